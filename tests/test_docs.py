"""Every command in the documents can be given: its target, settings, script, options and experiment exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
SETTINGS = set(re.findall(r"\$\(([A-Z]+)\)", MAKEFILE)) - {"CURDIR", "RUN", "CONFIGFILE", "EXPERIMENTS", "STATE"}
# Programs that are not the project's.
OTHERS = {
    "git",
    "cd",
    "source",
    "squeue",
    "scancel",
    "sacct",
    "tensorboard",
    "cp",
    "mkdir",
    "export",
    "pip",
    "ls",
    "cat",
}
INLINE = re.compile(r"`((?:make|python -m|snakemake) [^`]+)`")


def commands(page: Path) -> list[str]:
    """Return the commands of a page's shell blocks and of its running text, those with a `<placeholder>` left out."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"^ *```(?:bash|sh|console)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        lines = block.replace("\\\n", " ").splitlines()
        found += [part for line in lines for part in re.split(r"\s(?:&&|\|\|?|;)\s", line)]
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [c.strip() for c in [*found, *INLINE.findall(prose.replace("\n", " "))] if "<" not in c and words(c)]


def words(command: str) -> list[str]:
    """Return a command's words without its comment."""
    try:
        return shlex.split(command, comments=True)
    except ValueError as error:
        raise AssertionError(f"{command}: {error}") from None


def run(*command: str) -> subprocess.CompletedProcess:
    inherited = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", *SETTINGS)
    environment = {key: value for key, value in os.environ.items() if key not in inherited}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


@cache
def help_of(module: str) -> str:
    done = run(sys.executable, "-m", module, "--help")
    assert done.returncode == 0, f"python -m {module} --help: {done.stderr[-500:]}"
    return done.stdout


@cache
def recipe(target: str, settings: tuple[str, ...]) -> str:
    done = run("make", "-n", target, *settings)
    return done.stdout.splitlines()[-1] if done.returncode == 0 else f"make: {done.stderr}"


def fault(command: str) -> str:
    """Return what is wrong with a command, or nothing."""
    first, *rest = words(command)
    while re.fullmatch(r"[A-Z_]+=.*", first) and rest:
        first, *rest = rest
    if first == "make":
        return fault_of_make(rest)
    if Path(first).name.startswith("python") and rest[:1] == ["-m"]:
        return fault_of_module(rest[1], rest[2:])
    if Path(first).name == "snakemake":
        return fault_of_module("snakemake", rest)
    return "" if first in OTHERS else f"{first} is no program that the documents may name"


def fault_of_make(arguments: list[str]) -> str:
    settings = tuple(a for a in arguments if "=" in a and not a.startswith("-"))
    targets = [a for a in arguments if a not in settings]
    unknown = [t for t in targets if t not in TARGETS] + [s for s in settings if s.partition("=")[0] not in SETTINGS]
    if unknown:
        return f"make knows no {', '.join(unknown)}"
    for target in targets:
        told = recipe(target, tuple(s for s in settings if "..." not in s))
        _, _, ran = told.partition("bin/python -m ")
        if told.startswith("make: "):
            return told
        if ran:
            module, *options = words(ran.replace("\\", ""))
            if found := fault_of_module(module, options):
                return found
    return ""


def fault_of_module(module: str, arguments: list[str]) -> str:
    if module in ("uv", "venv", "pytest"):
        return ""
    if (
        module.startswith(("scripts.", "tests.", "stilts."))
        and not ROOT.joinpath(*module.split(".")).with_suffix(".py").is_file()
    ):
        return f"there is no {module}"
    if module.startswith("tests."):
        return ""
    known = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", help_of(module)))
    options = [a.partition("=")[0] for a in arguments if re.match(r"--?[a-zA-Z]", a)]
    wrong = [o for o in options if o not in known]
    named = [a for a in arguments if re.fullmatch(r"(experiments|tests)/[\w.-]+\.yaml", a) and not (ROOT / a).is_file()]
    return f"{module} knows no {', '.join(wrong + named)}" if wrong + named else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_of_a_page_can_be_given(page):
    # An experiment that the page has its reader write stands for one that is there.
    named = re.findall(r"experiments/(\w+)\.yaml", page.read_text(encoding="utf-8"))
    own = "|".join(name for name in named if not (ROOT / f"experiments/{name}.yaml").is_file()) or "-"
    told = {c: fault(re.sub(rf"(EXPERIMENT=|experiments/)({own})\b", r"\1paper", c)) for c in commands(page)}
    assert {c: f for c, f in told.items() if f} == {}


def test_commands_are_found_and_wrong_ones_are_named():
    assert len(commands(ROOT / "README.md")) > 8
    assert fault("make reproduce EXPERIMENT=paper CORES=4 ARGS=-n  # comment") == ""
    assert fault("make reprodce") == "make knows no reprodce"
    assert fault("make reproduce EXPERMENT=paper") == "make knows no EXPERMENT=paper"
    assert "no experiment" in fault("make reproduce EXPERIMENT=papers")
    assert fault('make stale ARGS="--delete"') == "scripts.stale knows no --delete"
    assert fault("python -m scripts.wy") == "there is no scripts.wy"
    assert fault("snakemake --report-everything x") == "snakemake knows no --report-everything"
    assert fault("curl example.org").startswith("curl is no program")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_to_headings_lead_to_one(page):
    broken = []
    for file, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
        target = page.parent / file if file else page
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        slugs = {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}
        broken += [f"{file}#{anchor}"] if anchor not in slugs else []
    assert broken == []
