"""The task files: valid, complete, and as the literature has them."""

from __future__ import annotations

import pytest

from stilts.data.columns import needed
from stilts.data.layout import Request
from stilts.data.pins import COMMITTED, Lock, is_commit
from stilts.data.readers import SCHEMAS
from stilts.errors import UserError
from stilts.tasks.registry import get_task, load_task, task_names

# XTREME's languages by task (reference: evaluate.py of google-research/xtreme); XCOPA's from XTREME-R.
COUNTS = {"xnli": 15, "pawsx": 7, "udpos": 33, "xquad": 11, "tydiqa": 9, "tatoeba": 36, "xcopa": 11}


def test_the_tasks_of_the_spine_exist():
    expected = {"mnli", "squad1", "hellaswag", "copa", "mlm_text", *COUNTS}
    assert expected <= set(task_names())


@pytest.mark.parametrize("name", task_names())
def test_task_is_complete(name):
    task = get_task(name)
    assert all((task.description, task.licence, task.metrics))
    assert task.kind == "masked_lm" or task.citation
    assert task.source.id or task.source.files or (task.kind == "bitext_mining" and task.url)
    assert task.source.revision is None or is_commit(task.source.revision)
    assert task.languages == sorted(set(task.languages))
    assert set(task.source.aliases) <= set(task.languages)
    assert len(set(task.source.aliases.values())) == len(task.source.aliases)
    if task.kind in SCHEMAS and task.kind != "masked_lm":
        assert set(needed(task)) - {"id"} >= set(SCHEMAS[task.kind]) - {"choices"}
    if task.model_of:
        owner = get_task(task.model_of)
        assert owner.trainable
        assert not owner.model_of
        assert task.kind == "bitext_retrieval" or (task.kind, task.labels) == (owner.kind, owner.labels)
    if task.train_task:
        assert "train" in get_task(task.train_task).source.splits
        assert get_task(task.train_task).kind == task.kind
        assert get_task(task.train_task).labels == task.labels


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_targets_have_the_languages_of_the_benchmark(name, count):
    assert len(get_task(name).languages) == count


def test_training_paths():
    paths = {name: get_task(name).train_task for name in COUNTS}
    assert paths == {**dict.fromkeys(COUNTS), "xnli": "mnli", "xquad": "squad1", "xcopa": "copa"}


def test_unknown_task_names_the_closest():
    with pytest.raises(UserError, match=r'no task "udpo".*Did you mean "udpos"'):
        get_task("udpo")


def test_a_wrong_task_file_names_file_and_key(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "task: mine\nkind: pair_classification\ngroup: qa\ndescription: x\nmetrics: [f1]\nsource: {idd: a/b}\n"
    )
    with pytest.raises(UserError, match=r"mine\.yaml is not a valid task:\n  source\.idd"):
        load_task(path)


def test_committed_lock_is_readable_and_holds_commits(tmp_path):
    lock = Lock(COMMITTED, tmp_path)
    content = lock._read()
    assert all(is_commit(commit) for commit in content["repositories"].values())
    assert not any("127.0.0.1" in key or "{endpoint}" in key for key in content["files"])


def request(name, languages, provider="hub", source="en"):
    return Request(get_task(name), tuple(languages), source, provider)


def test_aliases_apply_to_repositories_and_not_to_the_mini_world():
    assert [p.config for p in request("udpos", ["de"]).parts()] == ["udpos.English", "udpos.German", "udpos.German"]
    mini = request("udpos", ["qab"], "mini", "qaa").parts()
    assert [p.config for p in mini] == ["udpos.qaa", "udpos.qab", "udpos.qab"]
    assert request("udpos", ["de"]).languages_of(["udpos.German", "udpos.Thai", "XNLI"]) == ["de", "th"]


def test_training_rows_come_from_the_source_language_only():
    train = [p for p in request("pawsx", ["de", "en", "fr"]).parts() if p.split == "train"]
    assert [(p.config, p.language) for p in train] == [("PAWS-X.en", "en")]


def test_only_dev_data_of_other_languages_are_optional():
    optional = {(p.split, p.language) for p in request("udpos", ["en", "yo"]).parts() if p.optional}
    assert optional == {("validation", "yo")}
