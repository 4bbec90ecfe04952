"""A task of the user's own: the files of docs/add_a_task.md, as they stand there, run to scores and report."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import yaml

from stilts.config.load import load_config
from stilts.errors import UserError
from stilts.tasks.registry import get_task
from stilts.tasks.spec import TaskSpec
from tests.study_case import planned, snakemake

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "add_a_task.md").read_text(encoding="utf-8")
BLOCKS = dict(zip(("task", "rows", "study"), re.findall(r"```(?:yaml|json)\n(.*?)```", PAGE, re.DOTALL), strict=True))
TINY = {"layers": 1, "hidden_size": 16, "heads": 2, "ffn_size": 24, "max_positions": 64, "steps": 3, "vocabulary": 90}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with the page's files; the backbone is a tiny one, made of text that lies there too."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_tasks").mkdir()
    (folder / "my_tasks" / "answerable.yaml").write_text(BLOCKS["task"], encoding="utf-8")
    data = folder / "my_data" / "answerable"
    rows = [json.loads(line) for line in BLOCKS["rows"].splitlines()]
    for language, split, times in [("en", "train", 8), ("en", "validation", 2), ("en", "test", 2), ("de", "test", 3)]:
        (data / language).mkdir(parents=True, exist_ok=True)
        many = [{**row, "sentence": f"{row['sentence']} {k}"} for k in range(times) for row in rows]
        text = "".join(json.dumps(row) + "\n" for row in many)
        (data / language / f"{split}.jsonl").write_text(text, encoding="utf-8")
    (folder / "my_data" / "mlm_text").mkdir()
    text = "\n\n".join(f"{r['question']}\n{r['sentence']}" for r in rows * 20)
    (folder / "my_data" / "mlm_text" / "en.txt").write_text(text, encoding="utf-8")
    study = yaml.safe_load(BLOCKS["study"])
    study["backbones"] = {"xlmr": {"source": "pretrain", "pretraining": {**TINY, "batch_tokens": 64}}}
    study["tasks"] = {"mlm_text": {"languages": ["en"]}}
    short = {"epochs": 1, "max_length": 32, "batch_size": 8}
    study |= {"intermediate": {"defaults": short}, "target": {"defaults": short}}
    (folder / "my_study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    done = snakemake(folder, configfile=folder / "my_study.yaml")
    assert done.returncode == 0, done.stdout
    return folder


def test_the_page_runs_to_scores(place):
    with (place / "results" / "my_study" / "scores.csv").open(newline="", encoding="utf-8") as file:
        found = {(r["recipe"], r["target"], r["language"]): r for r in csv.DictReader(file)}
    assert set(found) == {(r, "answerable", k) for r in ("none", "answerable") for k in ("en", "de")}
    assert {r["n"] for r in found.values() if r["language"] == "de"} == {"12"}
    page = (place / "results" / "my_study" / "report" / "index.html").read_text(encoding="utf-8")
    assert "Does the sentence answer the question?" in page


def test_an_edit_of_the_file_reruns_what_it_can_change(place):
    path = place / "my_tasks" / "answerable.yaml"
    before = path.read_text(encoding="utf-8")
    assert planned(place, configfile=place / "my_study.yaml") == {}
    try:
        path.write_text(before.replace("licence: CC0", "licence: other"), encoding="utf-8")
        assert planned(place, configfile=place / "my_study.yaml") == {"report": 1}
        path.write_text(before.replace("text_a: question", "text_a: sentence"), encoding="utf-8")
        assert "prepare" in planned(place, configfile=place / "my_study.yaml")
    finally:
        path.write_text(before, encoding="utf-8")


def raw(folder: Path, **changes) -> dict:
    (folder / "data").mkdir(exist_ok=True)
    study = yaml.safe_load(BLOCKS["study"])
    return {**study, "local_data": str(folder / "data"), "task_folders": [str(folder)], **changes}


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    (tmp_path / "answerable.yaml").write_text(BLOCKS["task"], encoding="utf-8")
    assert load_config(raw(tmp_path)).task_folders == [str(tmp_path)]
    wrong = {**raw(tmp_path)["grid"], "targets": ["answerabel"]}
    with pytest.raises(UserError, match=r'no task "answerabel" in tasks/ or .*Did you mean "answerable"'):
        load_config(raw(tmp_path, grid=wrong))
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        load_config(raw(tmp_path, task_folders=[str(tmp_path / "nowhere")]))
    with pytest.raises(UserError, match='the mini world has no data for "answerable"'):
        load_config(raw(tmp_path, provider="mini", source_language="qaa", languages="all"))
    (tmp_path / "xnli.yaml").write_text(BLOCKS["task"].replace("task: answerable", "task: xnli"), encoding="utf-8")
    with pytest.raises(UserError, match=r'the task "xnli" lies in .*tasks and in '):
        get_task("xnli", [tmp_path])


def test_nothing_outside_the_folder_is_read(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "answerable.yaml").write_text(BLOCKS["task"], encoding="utf-8")
    for name in ("../out/answerable", str(outside / "answerable")):
        with pytest.raises(UserError, match="There is no task"):
            get_task(name, [inside])
    (inside / "answerable.yaml").symlink_to(outside / "answerable.yaml")
    with pytest.raises(UserError, match="is a link to"):
        get_task("answerable", [inside])


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"config": "../{language}"}},
        {"source": {"config": "/etc"}},
        {"source": {"splits": {"test": "a/../../b"}}},
        {"source": {"config": "{language}", "aliases": {"en": "../../x"}}},
        {"languages": ["en", "../de"]},
    ],
)
def test_no_name_of_a_task_leaves_its_folder(change):
    task = yaml.safe_load(BLOCKS["task"])
    TaskSpec.model_validate(task)
    with pytest.raises(ValueError, match="leaves the folder"):
        TaskSpec.model_validate({**task, **change})
