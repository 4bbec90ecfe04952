"""What users of workflows expect beside the code: citation, catalog, containers, rule graph, use as a module."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

from scripts.rulegraph import BEGIN, END, rule_graph, with_graph
from tests.study_case import ROOT, TINY

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What the workflow needs to run; the rest of the repository is for people.
NEEDED = "Snakefile config.yaml benchmarks claims envs experiments profiles published report rules scripts stilts tasks"


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


def test_the_citation_file_is_whole_and_of_this_version():
    # What schema 1.2.0 of the Citation File Format asks for; cffconvert 2.0.0 found it valid.
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cff["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= cff.keys()
    assert all({"name"} <= a.keys() or {"family-names", "given-names"} <= a.keys() for a in cff["authors"])
    assert cff["type"] == "software"
    assert (cff["version"], cff["license"], cff["title"]) == (PROJECT["version"], PROJECT["license"], TITLE)
    assert all({"type", "title", "authors"} <= r.keys() for r in cff["references"])


TITLE = "Does English intermediate-task training help zero-shot cross-lingual transfer when inference is budgeted?"


def test_licence_and_changelog_are_of_this_version():
    assert PROJECT["description"] == TITLE
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")[:200]
    headings = re.findall(r"^## \[(.+?)\](?: - (.+))?$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert headings[0] == ("Unreleased", "")
    released = [version for version, _ in headings[1:]]
    assert released == sorted(released, key=lambda v: tuple(map(int, v.split("."))), reverse=True)
    assert all(datetime.date.fromisoformat(day) for _, day in headings[1:])
    assert not released or released[0] == PROJECT["version"]


def test_the_catalogs_file_says_what_is_true():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]
    assert usage["report"] is True
    assert re.search(r"^report:", (ROOT / "Snakefile").read_text(encoding="utf-8"), re.MULTILINE)
    stack = usage["software-stack-deployment"]
    rules = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "rules").glob("*.smk"))
    assert stack == {"conda": "conda:" in rules, "apptainer": "container:" in rules, "apptainer+conda": False}
    for option in usage["mandatory-flags"]["flags"].split():
        assert option.startswith("--")


def test_container_recipes_install_the_lock_and_take_what_the_workflow_needs():
    docker, apptainer = ((ROOT / name).read_text(encoding="utf-8") for name in ("Dockerfile", "apptainer.def"))
    for recipe in (docker, apptainer):
        assert re.search(r"python3 \S*envs/install\.py --torch", recipe)
        assert not re.search(r"pip install|==", recipe)  # versions are the lock's
        base = re.search(r"^(?:FROM|From:) python:([\d.]+)-slim$", recipe, re.MULTILINE)[1]
        assert base in (ROOT / "envs/train.yaml").read_text(encoding="utf-8")
        assert "--snakefile /stilts/Snakefile" in recipe.replace('", "', " ")
    copied = re.findall(r"^    (\S+) /stilts/(\S+)$", apptainer, re.MULTILINE)
    assert all(source == target for source, target in copied)
    assert [source for source, _ in copied] == NEEDED.split()
    top = {name.split("/")[0] for name in tracked()}
    assert set(NEEDED.split()) <= top
    for_people = {"docs", "tests", "results", "Makefile", "README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md"}
    for_people |= {"pyproject.toml", "config.schema.json", "Dockerfile", "apptainer.def"}
    assert {n for n in top if not n.startswith(".")} - set(NEEDED.split()) - for_people == set()
    ignored = set((ROOT / ".dockerignore").read_text(encoding="utf-8").split())
    assert {".git", ".venv", "results", ".snakemake"} <= ignored
    assert ignored & set(NEEDED.split()) == set()


def test_the_rule_graph_of_the_readme_is_that_of_the_workflow():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    graph = rule_graph()
    assert "  train_intermediate --> train_target\n" in graph
    assert "  summarise --> report\n" in graph
    assert with_graph(text, graph) == text, "run `make rulegraph`"
    assert with_graph(f"a\n{BEGIN}old\n{END}b\n", graph) == f"a\n{BEGIN}{graph}{END}b\n"


def test_another_workflow_uses_this_one_as_the_documents_show(finished, tmp_path):
    """The Snakefile of docs/module.md, planned whole and run as far as tokens: the results are the study's own."""
    page = (ROOT / "docs/module.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    assert code.count('"stilts/Snakefile"') == 1
    folder = tmp_path / "another workflow"
    folder.mkdir()
    (folder / "stilts").symlink_to(ROOT)
    (folder / "study.yaml").write_text(TINY.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "Snakefile").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--workflow-profile", "stilts/profiles/default"]

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*command, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    planned = run("-n")
    counts = dict(re.findall(r"^(\w+) +(\d+)$", planned.split("Job stats:")[1], re.MULTILINE))
    alone = dict(re.findall(r"^(\w+) +(\d+)$", (finished / "output.txt").read_text().split("Job stats:")[1], re.M))
    mine = {"all", "rows", "total"}
    theirs = {name: count for name, count in alone.items() if name not in ("all", "total")}
    assert {n.removeprefix("stilts_"): c for n, c in counts.items() if n not in mine} == theirs
    wanted = Path("results/tiny/tokens/mini/pawsx")
    run(f"{wanted}/manifest.json")
    for place in (wanted, Path("results/tiny/tokenizers/mini"), Path("results/tiny/data/pawsx")):
        assert (folder / place / "manifest.json").read_bytes() == (finished / place / "manifest.json").read_bytes()
