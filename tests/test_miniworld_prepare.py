"""Every task that the mini world writes is prepared by the task files, none of its rows lost without a reason."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from scripts import prepare
from stilts.config.load import load_config
from stilts.config.specs import Specs
from stilts.config.study import Study
from stilts.data.tables import read_table
from stilts.miniworld import write_world
from stilts.miniworld.settings import SIZES
from stilts.miniworld.write import WRITERS
from stilts.provenance.manifest import write_manifest
from stilts.tasks.registry import task_names

LANGUAGES = ["qaa", "qab", "qae"]
RAW = {
    "languages": LANGUAGES,
    "sizes": {**dict.fromkeys(SIZES, 24), "snli_train": 300, "eval": 20, "validation": 15, "bucc": 70},
}
STUDY = Study(load_config({"world": RAW}))


# Counts that are meant: SNLI's pairs without a gold label, other languages' rows in TyDi QA's one file, a question
# that two paragraphs answer.
HARMLESS = {
    "snli": ("unlabelled",),
    "anli+": ("unlabelled",),
    "tydiqa": ("other_languages",),
    "lareqa": ("repeated_query",),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("world")
    write_world(RAW, out)
    for folder in out.iterdir():
        write_manifest(folder)
    return out


def prepared(world: Path, task: str, folder: Path) -> dict:
    """Prepare a task as the workflow does; a union's members first."""
    spec = STUDY.task(task)
    raw = [world / (spec.source.world or task) / "manifest.json"]
    if spec.union:
        raw = []
        for member in spec.union:
            prepared(world, member, folder)
            raw.append(folder / member / "manifest.json")
    place = folder / task
    place.mkdir(parents=True, exist_ok=True)
    facts = prepare.work(Specs(STUDY).prepare(task), Namespace(raw=raw), place)
    write_manifest(place)
    return facts


def test_every_task_file_has_a_counterpart_in_the_world():
    """Each task is written, or made of others, or reads another one's rows."""
    for task in task_names():
        spec = STUDY.task(task)
        assert spec.union or (spec.source.world or task) in WRITERS, task


@pytest.mark.parametrize("task", task_names())
def test_every_task_is_prepared_and_nothing_is_mended(world, tmp_path, task):
    facts = prepared(world, task, tmp_path)
    quirks = {what: found for what, found in facts["quirks"].items() if what not in HARMLESS.get(task, ())}
    assert quirks == {}, task
    for split, rows in facts["rows"].items():
        assert rows
        assert min(rows.values()) > 0
        table = read_table(tmp_path / task / f"{split}.parquet")
        # Where something is searched, the file holds candidates beside the questions that are counted.
        search = "side" in table.column_names
        assert table.num_rows == sum(rows.values()) or (search and table.num_rows > sum(rows.values()))
