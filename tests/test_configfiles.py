"""What Snakemake reads without a word, and the workflow does not: keys that stand twice, files that name no study."""

from __future__ import annotations

import pytest
import yaml

from stilts.config.claims import claims
from stilts.config.files import check_configfile, read_yaml
from stilts.errors import UserError
from stilts.tasks.registry import load_task
from tests.study_case import ROOT, snakemake

TWICE = "experiment: twice\ngrid: {seeds: [1]}\nbudget:\n  depths: [full]\n  depths: [full, 2]\ngrid: {seeds: [2]}\n"


def said(tmp_path, text: str) -> list[str]:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        check_configfile(path, False)
    except UserError as error:
        return str(error).splitlines()[1:]
    return []


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (TWICE, ["grid: in line 2 and in line 6", "budget.depths: in line 4 and in line 5"]),
        ("a: 1\n'a': 2\n\"a\": 3\n", ["a: in line 1 and in line 2", "a: in line 1 and in line 3"]),
        ("- {b: 1}\n- c:\n  - {d: 1, d: 2}\n", ["c.d: in line 3 and in line 3"]),
        ('{"json": 1, "json": 2}', ["json: in line 1 and in line 1"]),
    ],
)
def test_every_key_that_stands_twice_is_named_with_its_lines(tmp_path, text, places):
    assert sorted(said(tmp_path, text)) == sorted(f"  {place}; make one of them" for place in places)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: {x: 1}\nb: {x: 1}\n",
        "- {x: 1}\n- {x: 1}\n",
        "base: &b {x: 1, y: 2}\nnext: &n {<<: *b, x: 2}\nlast: {<<: *n, x: 3}\n",  # a merge may be overridden
        "a: &a {itself: *a}\n",
        "a: [\n",  # no YAML: whoever reads it says so
    ],
)
def test_what_stands_once_is_left_alone(tmp_path, text):
    assert said(tmp_path, text) == []


def test_no_file_of_the_project_holds_a_key_twice():
    files = [
        p
        for top in ("tasks", "claims", "published", "experiments", "profiles", "envs")
        for p in (ROOT / top).rglob("*.yaml")
    ]
    assert len(files) > 40
    for path in [ROOT / "config.yaml", *files]:
        assert read_yaml(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_task_and_claim_files_are_read_so(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("task: mine\nlabels: [a]\nlabels: [b]\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"mine\.yaml holds a key twice.*\n  labels: in line 2 and in line 3"):
        load_task(path)
    path.write_text(yaml.safe_dump({"claims": []}) + "claims: []\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"claims: in line 1 and in line 2"):
        claims(tmp_path)


def test_the_workflow_stops_with_the_places(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text(TWICE, encoding="utf-8")
    done = snakemake(tmp_path, "-n", configfile=path)
    assert done.returncode == 1
    assert f"{path} holds a key twice, and only the last would count:" in done.stdout
    assert "  grid: in line 2 and in line 6" in done.stdout
    assert "Traceback" not in done.stdout


def test_an_experiment_file_without_a_name_is_refused(tmp_path):
    (tmp_path / "experiments").mkdir()
    path = tmp_path / "experiments" / "mine.yaml"
    path.write_text("grid: {seeds: [1]}\n", encoding="utf-8")
    done = snakemake(tmp_path, "-n", configfile=path)
    assert done.returncode == 1
    assert "names no experiment" in done.stdout
    assert "begin it with `experiment: mine`" in done.stdout
