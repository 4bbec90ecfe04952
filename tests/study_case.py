"""Run the workflow as a user does, on the tiny study, and read what it did."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "tests" / "tiny.yaml"


def snakemake(
    folder: Path, *arguments: str, configfile: Path | None = TINY, timeout: int = 540
) -> subprocess.CompletedProcess:
    """Run the project's workflow with its results below `folder`; output and errors come back as one text in stdout.

    configfile: None is the default experiment.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += [*(["--configfile", str(configfile)] if configfile else []), "--cores", "2", *arguments]
    return subprocess.run(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=timeout
    )


def planned(folder: Path, *arguments: str, configfile: Path = TINY) -> dict[str, int]:
    """Return rule -> number of jobs that a dry-run would run."""
    done = snakemake(folder, "-n", *arguments, configfile=configfile)
    assert done.returncode == 0, done.stdout
    stats = done.stdout.split("Job stats:")[-1] if "Job stats:" in done.stdout else ""
    counts = dict(re.findall(r"^(\w+) +(\d+)$", stats, re.MULTILINE))
    return {rule: int(n) for rule, n in counts.items() if rule not in ("total", "all")}


def changed(path: Path, **keys) -> Path:
    """Write the tiny configuration with some top-level keys replaced; return the file."""
    raw = yaml.safe_load(TINY.read_text(encoding="utf-8"))
    for key, value in keys.items():
        raw[key] = {**raw.get(key, {}), **value} if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


def manifests(folder: Path) -> dict[str, bytes]:
    """Return every manifest below a folder of results, by relative name."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("manifest.json"))}
