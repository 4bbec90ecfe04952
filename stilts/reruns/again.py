"""Run one finished job again, elsewhere, and compare bytes: the strongest thing that can be said of a result."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stilts.errors import UserError, did_you_mean
from stilts.provenance.code import ROOT, code_digest
from stilts.provenance.environment import PACKAGES, environment_digest
from stilts.provenance.key import read_key
from stilts.provenance.manifest import KEY, MANIFEST, RUN, canonical, is_manifest, sha256
from stilts.provenance.store import VARIABLE

OUTSIDE = ("fetch", "fetch_backbone", "profile_budget", "costs")  # they read what may have changed, gone, or a clock
COSTLY = ("pretrain",)  # only when named
MACHINE = ("device", "versions", "machine")


@dataclass(frozen=True)
class Job:
    """A finished result that can be made again. folder: from `base`, the folder that holds results/."""

    base: Path
    folder: Path
    key: Mapping[str, Any]
    run: Mapping[str, Any]

    def command(self, output: Path) -> list[str]:
        """Return the command line that makes the result again into the folder of `output`, a manifest."""
        spec = canonical(self.key["spec"])
        command = [sys.executable, "-m", f"scripts.{self.key['rule']}", "--spec", spec, "--output", str(output)]
        for name, value in self.run.get("options", {}).items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        given = {n: [path for path, _ in entries] for n, entries in self.key["inputs"].items() if n != "reads"}
        for name, values in (given | self.key.get("options", {})).items():
            command += [f"--{name.replace('_', '-')}", *values]
        return command


@dataclass(frozen=True)
class Outcome:
    """What a rerun gave. differing: files (or facts) that are not the same; empty means the same bytes."""

    job: Job
    seconds: float
    differing: tuple[str, ...]
    machine: tuple[str, ...]


def choose(root: Path, base: Path, wanted: str, seed: int) -> tuple[Job, int]:
    """Return a random job below `root` that can run again, and among how many it was drawn.

    wanted: a rule, an output (its manifest or folder), or nothing for any cheap one. Raises UserError that says why
    none can.
    """
    folder = _folder(wanted, base)
    if folder is None and wanted and wanted not in PACKAGES:
        raise UserError(f'"{wanted}" is neither a rule nor a result.{did_you_mean(wanted, PACKAGES)}')
    reasons: dict[str, int] = {}
    jobs = []
    for path in [base / folder / KEY] if folder else sorted(root.rglob(KEY)):
        job, reason = _job(path.parent, base, wanted if not folder else "", named=bool(folder))
        if job:
            jobs.append(job)
        elif reason:
            reasons[reason] = reasons.get(reason, 0) + 1
    if not jobs:
        why = "; ".join(f"{many} {reason}" for reason, many in reasons.items()) or f"there is none below {root}"
        raise UserError(f"no finished job{f' of {wanted}' if wanted else ''} can run again: {why}")
    return random.Random(seed).choice(jobs), len(jobs)


def _folder(wanted: str, base: Path) -> Path | None:
    """Return the result's folder that a user means, from `base`."""
    for path in (Path(wanted), base / wanted):
        place = path.parent if path.name == MANIFEST else path
        if wanted and (place / KEY).is_file() and place.resolve().is_relative_to(base.resolve()):
            return place.resolve().relative_to(base.resolve())
    return None


def _job(folder: Path, base: Path, rule: str, named: bool) -> tuple[Job | None, str]:
    """Return the job that made a result if it can run again, else the reason why not (none: it was not asked for)."""
    try:
        key = read_key(folder)
        run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (UserError, OSError, ValueError):
        return None, "with a damaged key.json or run.json"
    if key is None:
        return None, "made by an older version"
    if (rule and key["rule"] != rule) or any(part.endswith((".part", ".old")) for part in folder.parts):
        return None, ""
    if key["rule"] in OUTSIDE:
        return None, "read the outside world"
    if key["rule"] in COSTLY and not rule and not named:
        return None, ""
    code, versions = _now(key["rule"])
    if key["code"] != code or key["versions"] != versions:
        return None, "made by other code or packages than are here now (run the workflow first)"
    inputs = [entry for entries in key["inputs"].values() for entry in entries]
    if any(not (base / path).is_file() or sha256(base / path) != digest for path, digest in inputs):
        return None, "whose inputs are gone or others now (run the workflow first)"
    return Job(base, folder.resolve().relative_to(base.resolve()), key, run), ""


@cache
def _now(rule: str) -> tuple[str, str]:
    """Return the digests of a rule's code and packages as they are; a rule that is no more has none."""
    known = rule in PACKAGES and (ROOT / "scripts" / f"{rule}.py").is_file()
    return (code_digest(f"scripts.{rule}"), environment_digest(rule)) if known else ("", "")


def run_again(job: Job, place: Path) -> Outcome:
    """Make a result again below an empty folder and compare every manifest; raises UserError if the job fails."""
    output = place.resolve() / job.folder.name / MANIFEST
    own = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    environment = {**os.environ, **own}
    environment.pop(VARIABLE, None)
    start = time.time()
    done = subprocess.run(
        job.command(output),
        cwd=job.base,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(f"  {line}" for line in done.stdout.strip().splitlines()[-10:])
        raise UserError(f"the rerun of {job.folder} failed (status {done.returncode}):\n{last}")
    seconds = time.time() - start
    before, after = job.base / job.folder, output.parent
    run = json.loads((after / RUN).read_text(encoding="utf-8"))
    machine = tuple(f"{n}: {job.run.get(n)} then, {run.get(n)} now" for n in MACHINE if job.run.get(n) != run.get(n))
    return Outcome(job, seconds, tuple(_differences(before, after)), machine)


def _differences(before: Path, after: Path) -> list[str]:
    """Return what the manifests of two results differ in: files with other content, facts."""
    names = sorted(
        {p.relative_to(d).as_posix() for d in (before, after) for p in d.rglob("*.json") if is_manifest(p.name)}
    )
    found = []
    for name in names:
        texts = [(d / name).read_bytes() if (d / name).is_file() else b"{}" for d in (before, after)]
        if texts[0] == texts[1]:
            continue
        old, new = (json.loads(text) for text in texts)
        files = [side.get("files", {}) for side in (old, new)]
        changed = [f for f in sorted(files[0].keys() | files[1].keys()) if files[0].get(f) != files[1].get(f)]
        here = Path(name).parent
        found += [(here / f).as_posix() for f in changed]
        facts = [side.get("facts", {}) for side in (old, new)]
        keys = [k for k in sorted(facts[0].keys() | facts[1].keys()) if facts[0].get(k) != facts[1].get(k)]
        found += [f"{name}: {k} {facts[0].get(k)} -> {facts[1].get(k)}" for k in keys]
        found += [] if changed or keys else [f"{name}: other bytes"]
    return found
