"""The house rules that a machine can check: style, generated files, one locked environment, one rule shape."""

from __future__ import annotations

import ast
import difflib
import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

from stilts.config.load import load_config
from stilts.config.models import Config
from stilts.config.render import render_all
from stilts.miniworld.settings import resolve_world
from stilts.provenance.code import closure

ROOT = Path(__file__).resolve().parents[1]
PYTHON_FILES = sorted(p for d in ("stilts", "scripts", "tests", "envs") for p in (ROOT / d).rglob("*.py"))
WORKFLOW_FILES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
# Requirements that are run, or loaded by others, and never imported by us.
RUN_ONLY = {"snakemake", "snakemake-executor-plugin-slurm", "pytest-xdist", "ruff", "snakefmt", "protobuf"}


def run(*command: str) -> subprocess.CompletedProcess:
    # `make test` hands its own settings down by these; a test's command must not see them.
    inherited = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "EXPERIMENT", "CORES", "ARGS", "TORCH", "PYTHON")
    environment = {key: value for key, value in os.environ.items() if key not in inherited}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment, timeout=300)


def requirement_names(text: str) -> dict[str, str]:
    """Return name -> version of the `name==version` lines of a requirements file."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[a-z,]+\])?(?:==([^\s;\\]+))?", text, flags=re.MULTILINE))


LOCK = requirement_names((ROOT / "envs/requirements.lock").read_text())
WANTED = requirement_names((ROOT / "envs/requirements.in").read_text())
TORCH = requirement_names((ROOT / "envs/torch.txt").read_text())


DISTRIBUTIONS = importlib.metadata.packages_distributions()
RULE = re.compile(r"^rule (\w+):\n((?:[ \t].*\n|\n)+)", re.MULTILINE)


def conda_pins(path: Path) -> list[str]:
    return next(d["pip"] for d in yaml.safe_load(path.read_text())["dependencies"] if isinstance(d, dict))


# --- style


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("snakefmt", "--check", "Snakefile", "rules"),
        ("snakemake", "--lint"),
    ],
    ids=" ".join,
)
def test_style(command):
    done = run(sys.executable, "-m", *command)
    print(done.stdout, done.stderr, sep="\n")
    assert done.returncode == 0, "see the output; `make format` mends most of it"


def test_files_are_short_and_say_what_they_are():
    faults = []
    for path in [*PYTHON_FILES, *WORKFLOW_FILES]:
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT)
        if len(text.splitlines()) >= 400:
            faults.append(f"{name}: 400 lines or more")
        if path.suffix == ".py" and text.strip():
            if not ast.get_docstring(ast.parse(text)):
                faults.append(f"{name}: no docstring")
            if "\ndef " in text and "from __future__ import annotations" not in text:
                faults.append(f"{name}: no `from __future__ import annotations`")
        if path.suffix == ".smk" and not text.startswith("# "):
            faults.append(f"{name}: opens with no comment that says what it is for")
    assert faults == []


def test_public_functions_of_the_library_are_explained():
    faults = []
    for path in (ROOT / "stilts").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                faults.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert faults == []


def test_no_path_or_host_of_one_machine_is_in_the_project():
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard").stdout.splitlines()
    places = re.compile(r"/(work|root|opt|home)/[a-z]|https?://(10|192\.168)\.\d")
    hits = []
    for name in listed:
        path = ROOT / name
        if path.is_file() and path.suffix not in (".lock", ".parquet", ".png", ".model") and name != "LICENSE":
            text = path.read_text(encoding="utf-8", errors="ignore")
            hits += [f"{name}: {m.group(0)}" for m in places.finditer(text) if path.name != "test_house.py"]
    assert hits == []


def test_links_in_the_documents_lead_somewhere():
    broken = []
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{path.relative_to(ROOT)} -> {target}")
    assert broken == []


# --- configuration


@pytest.mark.parametrize("name", sorted(render_all()))
def test_generated_files_are_in_step_with_the_models(name):
    path = ROOT / name
    now = path.read_text(encoding="utf-8") if path.is_file() else ""
    diff = difflib.unified_diff(now.splitlines(), render_all()[name].splitlines(), name, "the models", lineterm="", n=1)
    shown = "\n".join(diff)
    assert not shown, f"run `make config`:\n{shown}"


def test_the_default_configuration_reads_back_as_the_models_defaults():
    assert load_config(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))) == Config()


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda p: p.stem)
def test_experiments_are_valid(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../config.schema.json\n")
    assert load_config(yaml.safe_load(text)).experiment == path.stem


def test_the_mini_worlds_defaults_are_the_configurations():
    assert resolve_world(Config().world.model_dump()) == resolve_world({})


def test_reading_the_configuration_imports_nothing_heavy():
    imports = {
        m for path in WORKFLOW_FILES for m in re.findall(r"^(?:from|import) (stilts[\w.]*)", path.read_text(), re.M)
    }
    modules = ", ".join(sorted(imports | {"stilts.config.load", "stilts.tasks.registry"}))
    heavy = "{'torch', 'transformers', 'datasets', 'pandas', 'pyarrow', 'numpy'}"
    done = run(sys.executable, "-c", f"import sys, {modules}; print(sorted({heavy} & set(sys.modules)))")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


# --- one environment


OURS = {"stilts", "scripts", "tests", "benchmarks", *(p.stem for p in (ROOT / "tests").rglob("*.py"))}


def packages_of(path: Path) -> dict[str, str]:
    """Return package -> module for everything a file imports that is neither Python's nor ours."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
    modules = {name.split(".")[0] for name in names} - sys.stdlib_module_names - OURS
    return {DISTRIBUTIONS.get(m, [m])[0].lower().replace("_", "-"): m for m in sorted(modules)}


def test_every_import_is_a_requirement_and_the_other_way_round():
    used = {d: f"{p.relative_to(ROOT)} imports {m}" for p in PYTHON_FILES for d, m in packages_of(p).items()}
    assert {d: where for d, where in used.items() if d not in {**WANTED, **TORCH}} == {}
    text = (ROOT / "envs/requirements.in").read_text()
    torchs_own = requirement_names(text[text.index("# what torch needs") : text.index("# tests and style")])
    assert set(WANTED) - set(used) - RUN_ONLY - set(torchs_own) == set()


@pytest.mark.parametrize("path", WORKFLOW_FILES, ids=lambda p: p.name)
def test_a_rules_conda_environment_holds_what_its_script_imports(path):
    faults = []
    for name, body in RULE.findall(path.read_text(encoding="utf-8")):
        conda = re.search(r'^    conda:\s+"\.\./(envs/\w+\.yaml)"', body, re.MULTILINE)
        if conda and (ROOT / "scripts" / f"{name}.py").is_file():
            held = {pin.split("==")[0] for pin in conda_pins(ROOT / conda[1])}
            wanted = {d for p in closure(f"scripts.{name}") for d in packages_of(p)}
            faults += [f"{name}: {conda[1]} lacks {d}" for d in sorted(wanted - held)]
    assert faults == []


def test_the_lock_is_complete_hashed_and_names_no_host():
    text = (ROOT / "envs/requirements.lock").read_text()
    assert set(WANTED) <= set(LOCK)
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=[a-z])", text)[1:])
    assert not re.search(r"https?://|file:|find-links|index-url|/", text.replace("-e ", ""))
    assert [n for n in LOCK if n == "torch" or n.startswith(("nvidia-", "cuda-", "triton"))] == ["nvidia-ml-py"]


def test_what_is_installed_is_what_is_locked():
    wrong = {}
    for name, version in {**LOCK, **TORCH}.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another system or Python
        if found.split("+")[0] != version:
            wrong[name] = f"{found}, locked {version}"
    assert wrong == {}, "run `make env`"
    missing = [n for n in {**WANTED, **TORCH} if not importlib.metadata.version(n)]
    assert missing == []


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda p: p.stem)
def test_conda_environments_agree_with_the_lock(path):
    pins, known = conda_pins(path), {**LOCK, **TORCH}
    assert [p for p in pins if p != f"{p.split('==')[0]}=={known.get(p.split('==')[0])}"] == []
    assert re.search(r"^  - python=3\.1[1-9]$", path.read_text(), re.MULTILINE)
    assert pins == sorted(pins)


# --- the front door


def test_an_unknown_experiment_is_named_with_the_known_ones():
    done = run("make", "-n", "reproduce", "EXPERIMENT=nonsense")
    assert done.returncode != 0
    assert 'There is no experiment "nonsense"; experiments/ holds:' in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_knobs_reach_snakemake():
    target = "results/paper/scores.csv"  # which --configfile would take for its own, were it behind it
    done = run("make", "-n", "reproduce", "EXPERIMENT=paper", "CORES=3", f"ARGS={target} -n", "TORCH=cu130")
    assert '--torch "cu130"' in done.stdout
    args = get_argument_parser().parse_args(shlex.split(done.stdout.split("-m snakemake ")[1]))
    assert (args.targets, [str(path) for path in args.configfile]) == ([target], ["experiments/paper.yaml"])
    assert (args.cores, args.dryrun) == (3, True)


def test_make_alone_shows_every_target_and_knob():
    shown = run("make").stdout
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1).split()
    assert [t for t in targets if f"make {t} " not in shown] == []
    assert [k for k in ("EXPERIMENT", "CORES", "ARGS", "TORCH", "PYTHON") if k not in shown] == []


# --- one rule shape


@pytest.mark.parametrize("path", WORKFLOW_FILES, ids=lambda p: p.name)
def test_rules_have_one_shape(path):
    faults = []
    for name, body in RULE.findall(path.read_text(encoding="utf-8")):
        if "shell:" not in body:
            continue  # a named list of results
        for part in ("output", "log", "benchmark", "conda", "params", "threads", "resources", "message"):
            if not re.search(rf"^    {part}:", body, re.MULTILINE):
                faults.append(f"{name}: no {part}")
        if not (ROOT / "scripts" / f"{name}.py").is_file():
            faults.append(f"{name}: no scripts/{name}.py")
        if f"scripts.{name} " not in body:
            faults.append(f"{name}: does not run scripts.{name}")
        for part in ("log", "benchmark"):
            if not re.search(rf"^    {part}:\s+[^\n]*{part}s?/[^\n]*{name}", body, re.MULTILINE):
                faults.append(f"{name}: its {part} has another name")
    assert faults == []


@pytest.mark.parametrize("word", ["checkpoint ", "run:", "script:"])
def test_rules_avoid_what_hides_dependencies(word):
    found = [p.name for p in WORKFLOW_FILES if re.search(rf"^ *{word}", p.read_text(encoding="utf-8"), re.MULTILINE)]
    assert found == []
