"""What a SLURM cluster is like, and the lines of `profiles/slurm/config.yaml` that fit it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field

from stilts.errors import UserError

TOOLS = ("sbatch", "squeue", "scontrol", "sinfo", "srun", "scancel")
INTERVAL = 20  # seconds before the first question after a job, as in profiles/slurm
TIMEOUT = 60.0
Ask = Callable[..., tuple[int, str]]


@dataclass
class Findings:
    """facts: what was found, in words; lines: what belongs in the profile; faults: what will not work as it is."""

    facts: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def ask(*command: str) -> tuple[int, str]:
    """Return exit status and output of a command; one that hangs or is missing fails."""
    try:
        done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, (done.stdout + done.stderr).strip()


def check(ask: Ask = ask, have: Callable[[str], object] = shutil.which) -> Findings:
    """Return what this machine's SLURM is like. Raises UserError where there is none that answers."""
    missing = [tool for tool in TOOLS if not have(tool)]
    if missing:
        raise UserError(f"no {', '.join(missing)} here: run this on a login node of the cluster (module load slurm?)")
    status, text = ask("scontrol", "show", "config")
    if status:
        raise UserError(f"the cluster does not answer: scontrol says: {text}")
    settings = dict(re.findall(r"^(\w+)\s*= (.*?)\s*$", text, re.MULTILINE))
    found = Findings([f"SLURM {settings.get('SLURM_VERSION', '?')}, cluster {settings.get('ClusterName', '?')}"])
    _status(found, settings, *ask("sacct", "-n", "-X"))
    _preemption(found, settings)
    _partitions(found, ask("sinfo", "--noheader", "--format", "%R|%l|%G|%a")[1])
    return found


def _status(found: Findings, settings: dict[str, str], status: int, said: str) -> None:
    """Say by which command Snakemake can ask how its jobs fare."""
    age = int(re.match(r"\d*", settings.get("MinJobAge", "")).group() or 0)
    works = status == 0 and not settings.get("AccountingStorageType", "").endswith("none")
    answer = "answers" if works else f"does not answer ({said.splitlines()[0] if said else 'no accounting'})"
    found.facts.append(f"sacct {answer}; SLURM remembers ended jobs for {age} s (MinJobAge)")
    if age >= 3 * INTERVAL:
        found.lines.append("slurm-status-command: squeue")
    elif works:
        found.lines.append("slurm-status-command: sacct")
    else:
        found.lines += ["slurm-status-command: squeue", f"slurm-init-seconds-before-status-checks: {max(age // 3, 1)}"]
        found.faults.append(
            f"ended jobs are forgotten after {age} s and sacct does not answer: Snakemake may miss how a job ended"
        )


def _preemption(found: Findings, settings: dict[str, str]) -> None:
    """Say what happens to jobs that are preempted."""
    modes = settings.get("PreemptMode", "OFF")
    requeue = settings.get("JobRequeue", "0") != "0"
    found.facts.append(f"preemption: {modes}; jobs are queued again {'by default' if requeue else 'on request'}")
    found.lines.append("slurm-requeue: true")
    if "CANCEL" in modes:
        found.faults.append(
            "preempted jobs are cancelled: Snakemake would wait for them for ever. Use a partition or QOS "
            "without preemption, or stop it with Ctrl-C then and run the same command again"
        )


def _partitions(found: Findings, listed: str) -> None:
    """List the partitions and choose one for CPU jobs and one for GPU jobs."""
    rows = sorted({tuple(line.split("|")) for line in listed.splitlines() if line.count("|") == 3})
    up = [row for row in rows if row[3] == "up"]
    for name, limit, gres, state in rows:
        gpus = re.sub(r"\(.*?\)", "", gres) if "gpu" in gres else "no GPU"
        found.facts.append(f"partition {name}: {gpus}, at most {limit}{'' if state == 'up' else f', {state}'}")
    with_gpus, without = ([n for n, _, gres, _ in up if ("gpu" in gres) == gpu] for gpu in (True, False))
    cpu = (without or with_gpus or [""])[0]
    found.lines += ["default-resources:", f"  - slurm_partition='{cpu}'", "  - slurm_extra='--signal=USR1@120'"]
    if with_gpus:
        rules = ("pretrain", "train_intermediate", "train_target", "predict", "embed", "mine", "profile_budget")
        found.lines += ["set-resources:", *(f"  - {rule}:slurm_partition='{with_gpus[0]}'" for rule in rules)]
    else:
        found.faults.append("no partition has a GPU (GRES): experiments with `runtime: {gpus: 1}` cannot run here")


def try_gpu(partition: str, ask: Ask = ask) -> str:
    """Return what a job that asks for one GPU says of it. Raises UserError with SLURM's reason where it cannot run."""
    say = "nvidia-smi -L 2>/dev/null || echo devices $CUDA_VISIBLE_DEVICES"
    common = ["--partition", partition, "--time", "2", "--mem", "500", "--immediate=60", "--quiet", "bash", "-c", say]
    reasons = []
    for flag in ("--gpus=1", "--gres=gpu:1"):
        status, text = ask("srun", flag, *common)
        if status == 0:
            return f"a job with {flag} in partition {partition} sees: {text.splitlines()[0] if text else 'nothing'}"
        reasons.append(f"{flag}: {text.splitlines()[-1] if text else 'no answer'}")
    raise UserError(f"no GPU to be had in partition {partition} within a minute. {'; '.join(reasons)}")
