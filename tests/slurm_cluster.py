"""A real SLURM on this machine: munge, slurmctld and two slurmd, without systemd or cgroups, with countable GPUs.

Needs Debian's slurmctld, slurmd, slurm-client and munge, and root: SLURM runs as root here, and its programs inside a
job find the configuration only at its default place, /etc/slurm/slurm.conf (a link, put back at the end).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo")
PLACE = Path("/etc/slurm")
NODES = ("n1", "n2")

# What mattered: no cgroups (proctrack, task, jobacct_gather), several slurmd on one host (NodeHostname, Port,
# config_overrides), GPUs with a file each (a bare count makes nodes invalid), short KillWait, credentials that expire
# soon (a job that is queued again waits for that), preemption by requeue.
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge/munge.sock,cred_expire=10
CredType=cred/munge
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool/%n
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.%n.pid
SlurmctldLogFile={base}/log/slurmctld.log
SlurmdLogFile={base}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=2
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
MailProg=/bin/true
GresTypes=gpu
KillWait=5
MinJobAge=300
MessageTimeout=20
EnforcePartLimits=ALL
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
{nodes}
PartitionName=cpu Nodes=ALL Default=YES MaxTime=120 PriorityTier=1 State=UP
PartitionName=gpu Nodes=n1 MaxTime=120 PriorityTier=1 State=UP
PartitionName=high Nodes=ALL MaxTime=120 PriorityTier=10 PreemptMode=OFF State=UP
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=8 Sockets=1 CoresPerSocket=8 "
    "ThreadsPerCore=1 RealMemory=64000 Gres=gpu:2 State=UNKNOWN"
)


def lacking() -> str:
    """Return why no cluster can be started here; empty where it can."""
    missing = [p for p in PROGRAMS if shutil.which(p) is None]
    if missing:
        return f"no {', '.join(missing)}: apt-get install slurmctld slurmd slurm-client munge (as .ci/run does)"
    if os.geteuid():
        return "SLURM's daemons and /etc/slurm need root"
    there = PLACE / "slurm.conf"
    return f"{there} is another cluster's" if there.exists() and not there.is_symlink() else ""


@contextmanager
def cluster(base: Path) -> Iterator[None]:
    """Run a cluster, its files below an empty folder; it is stopped at the end, its links taken away."""
    host, links = socket.gethostname().split(".")[0], [PLACE / "slurm.conf", PLACE / "gres.conf"]
    for name in ("state", "log", "munge", "dev", *(f"spool/{n}" for n in NODES)):
        (base / name).mkdir(parents=True)
    port, *ports = _free_ports(1 + len(NODES))
    nodes = [NODE.format(name=n, host=host, port=p) for n, p in zip(NODES, ports, strict=True)]
    gres = []
    for node in NODES:
        for gpu in range(2):
            (base / "dev" / f"{node}-gpu{gpu}").symlink_to("/dev/null")
        gres.append(f"NodeName={node} Name=gpu File={base}/dev/{node}-gpu[0-1]\n")
    (base / "slurm.conf").write_text(CONFIG.format(host=host, port=port, base=base, nodes="\n".join(nodes)))
    (base / "gres.conf").write_text("".join(gres))
    before = {link: os.readlink(link) for link in links if link.is_symlink()}
    PLACE.mkdir(exist_ok=True)
    try:
        for link in links:
            link.unlink(missing_ok=True)
            link.symlink_to(base / link.name)
        _start(base)
        yield
    finally:
        _stop(base)
        for link in links:
            link.unlink(missing_ok=True)
            if link in before and Path(before[link]).exists():
                link.symlink_to(before[link])


def kill_node(base: Path, node: str, job: str) -> None:
    """Let a node die while it runs a job, without a word; SLURM is told at once what it would find out in minutes."""
    step = f"slurmstepd: [{job}.".encode()
    steps = [p for p in Path("/proc").glob("[0-9]*") if _read(p / "cmdline").startswith(step)]
    for number in (base / f"slurmd.{node}.pid").read_text(), *(p.name for p in steps):
        with suppress(OSError):
            os.kill(int(number), signal.SIGKILL)
    send(job, signal.SIGKILL)
    _run("scontrol", "update", f"nodename={node}", "state=down", "reason=dead")


def send(job: str, number: signal.Signals, where: str = "") -> None:
    """Send a signal to all processes of a job whose command line has a text in it, past SLURM."""
    for process in _processes(job):
        if where.encode() in _read(process / "cmdline"):
            with suppress(OSError):
                os.kill(int(process.name), number)


def _processes(job: str) -> list[Path]:
    variable = f"SLURM_JOB_ID={job}".encode()
    return [p for p in Path("/proc").glob("[0-9]*") if variable in _read(p / "environ").split(b"\0")]


def _read(path: Path) -> bytes:
    """Return what is in a file of /proc, nothing where its process has ended."""
    with suppress(OSError):
        return path.read_bytes()
    return b""


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _start(base: Path) -> None:
    munge = base / "munge"
    munge.chmod(0o700)
    (munge / "munge.key").write_bytes(os.urandom(1024))
    (munge / "munge.key").chmod(0o600)
    files = {"key-file": "key", "socket": "sock", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    _run("munged", "--force", *(f"--{option}={munge}/munge.{end}" for option, end in files.items()))
    _run("slurmctld", "-f", str(base / "slurm.conf"))
    for node in NODES:
        _run("slurmd", "-f", str(base / "slurm.conf"), "-N", node)
    for _ in range(300):
        states = subprocess.run(["sinfo", "-h", "-N", "-o", "%T"], text=True, capture_output=True, check=False).stdout
        if set(states.split()) == {"idle"}:
            return
        time.sleep(0.1)
    raise RuntimeError(f"the cluster did not start: {states}\n{(base / 'log/slurmctld.log').read_text()[-3000:]}")


def _run(*command: str) -> None:
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def _stop(base: Path) -> None:
    """End the jobs, then the daemons, each by the number it left."""
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(["scancel", "--full", "--user", "root"], capture_output=True, check=False, timeout=20)
        for _ in range(80):
            left = subprocess.run(["squeue", "-h"], capture_output=True, check=False, timeout=20).stdout
            if not left.strip():
                break
            time.sleep(0.1)
    for path in [*base.glob("slurmd.*.pid"), base / "slurmctld.pid", base / "munge" / "munge.pid"]:
        with suppress(OSError, ValueError):
            number = int(path.read_text())
            os.kill(number, 15)
            for _ in range(100):
                os.kill(number, 0)
                time.sleep(0.1)
