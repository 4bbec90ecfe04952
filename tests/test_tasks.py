"""The task files: valid, complete, and as the literature has them."""

from __future__ import annotations

import pytest

from stilts.data.columns import needed
from stilts.data.layout import Request
from stilts.data.pins import COMMITTED, Lock, is_commit
from stilts.data.readers import SCHEMAS
from stilts.errors import UserError
from stilts.tasks.languages import canonical
from stilts.tasks.registry import get_task, load_task, task_names


def codes(text):
    return set(text.split())


# XTREME's and XTREME-R's languages by task (reference: evaluate.py of google-research/xtreme, its notes for wo).
XTREME_40 = codes(
    "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th tl tr ur "
    "vi yo zh"
)
UDPOS_33 = XTREME_40 - codes("bn jv ka ml ms my sw")
TATOEBA_36 = XTREME_40 - codes("en ms my yo")
XQUAD_11 = codes("en es de el ru tr ar vi th zh hi")
LANGUAGES = {
    "tatoeba": TATOEBA_36,
    "xnli": codes("ar bg de el en es fr hi ru sw th tr ur vi zh"),
    "pawsx": codes("de en es fr ja ko zh"),
    "xcopa": codes("et ht id it qu sw ta th tr vi zh"),
    "udpos": UDPOS_33,
    "udpos_r": UDPOS_33 | codes("lt pl uk wo ro"),
    "panx": XTREME_40,
    "panx_r": XTREME_40 | codes("az gu lt pa pl qu ro uk"),
    "xquad": XQUAD_11,
    "xquad_r": XQUAD_11 | {"ro"},
    "mlqa": codes("en es de ar hi vi zh"),
    "tydiqa": codes("en ar bn fi id ko ru sw te"),
    **dict.fromkeys(("tatoeba_r", "tatoeba_reader", "tatoeba_dual"), TATOEBA_36 | codes("az lt pl uk ro")),
}
COUNTS = {"xnli": 15, "pawsx": 7, "udpos": 33, "xquad": 11, "tydiqa": 9, "tatoeba": 36, "xcopa": 11, "panx": 40}
COUNTS |= {"mlqa": 7, "udpos_r": 38, "panx_r": 48, "xquad_r": 12}
COUNTS |= dict.fromkeys(("tatoeba_r", "tatoeba_reader", "tatoeba_dual"), 41)
INTERMEDIATES = codes("anli+ mnli qqp squad2 squad1 hellaswag ccg cosmosqa csqa")


def test_the_tasks_of_the_paper_exist():
    assert {*INTERMEDIATES, "anli", "snli", "siqa", "copa", "mlm_text", *COUNTS} <= set(task_names())


@pytest.mark.parametrize("name", task_names())
def test_task_is_complete(name):
    task = get_task(name)
    assert all((task.description, task.licence, task.metrics))
    assert task.kind == "masked_lm" or task.citation
    corpora = task.kind == "bitext_mining" and task.url
    assert task.union or name == "ccg" or task.source.id or task.source.files or corpora
    assert task.languages == sorted(set(task.languages))
    for source in (task.source, *task.more_sources):
        assert source.revision is None or is_commit(source.revision)
        assert {*source.aliases, *source.languages} <= set(task.languages)
        assert len(set(source.aliases.values())) == len(source.aliases)
    if task.kind in SCHEMAS and task.kind != "masked_lm" and not task.union:
        assert set(needed(task)) - {"id"} >= set(SCHEMAS[task.kind]) - {"choices"}
    for member in map(get_task, task.union):
        assert (member.kind, member.labels, member.union) == (task.kind, task.labels, [])
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
    assert name not in LANGUAGES or set(get_task(name).languages) == LANGUAGES[name]


def test_training_paths():
    paths = {name: get_task(name).train_task for name in COUNTS}
    assert paths == {**dict.fromkeys(COUNTS), "xnli": "mnli", "xquad": "squad1", "xcopa": "copa"}
    assert {t: get_task(t).train_chain for t in COUNTS if get_task(t).train_chain} == {"xcopa": ["siqa"]}
    owners = {name: get_task(name).model_of for name in COUNTS if get_task(name).model_of}
    readers = dict.fromkeys(("mlqa", "xquad_r", "tatoeba_reader"), "xquad")
    assert owners == {**readers, "udpos_r": "udpos", "panx_r": "panx", "tatoeba_dual": "lareqa"}


def test_the_three_tatoebas_of_xtreme_r_are_the_same_sentences():
    plain, *others = (get_task(name) for name in ("tatoeba_r", "tatoeba_reader", "tatoeba_dual"))
    for other in others:
        assert other.source.model_copy(update={"world": ""}) == plain.source
        assert (other.columns, other.languages, other.quirks) == (plain.columns, plain.languages, plain.quirks)


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
    parts = [(p.split, p.config) for p in request("udpos", ["de", "en"]).parts()]
    english = [(split, "udpos.English") for split in ("train", "validation", "test")]
    assert sorted(parts) == sorted([*english, ("test", "udpos.German")])
    mini = request("udpos", ["qab"], "mini", "qaa").parts()
    assert [p.config for p in mini] == ["udpos.qaa", "udpos.qab"]
    assert request("udpos", ["de"]).languages_of(["udpos.German", "udpos.Thai", "XNLI"]) == ["de", "th"]


def test_training_rows_come_from_the_source_language_only():
    train = [p for p in request("pawsx", ["de", "en", "fr"]).parts() if p.split == "train"]
    assert [(p.config, p.language) for p in train] == [("PAWS-X.en", "en")]


def test_question_and_context_of_one_language():
    mlqa = request("mlqa", ["de", "zh"])
    assert [p.file for p in mlqa.parts()] == ["mlqa.de.de/test.parquet", "mlqa.zh.zh/test.parquet"]
    assert mlqa.languages_of(["mlqa.de.de", "mlqa.de.en", "mlqa.zh.zh", "mlqa-translate-test.de"]) == ["de", "zh"]


def test_several_splits_are_read_one_after_the_other():
    files = [(p.split, p.file.split("/")[1]) for p in request("anli", ["en"]).parts()]
    rounds = [("train", f"train_r{n}.parquet") for n in (1, 2, 3)]
    assert files == [*rounds, *(("validation", f"dev_r{n}.parquet") for n in (1, 2, 3))]


def test_a_further_source_serves_its_own_languages_only():
    parts = {p.language: p for p in request("udpos_r", ["de", "en", "wo"]).parts()}
    assert {k: (p.source, p.config) for k, p in parts.items()} == {
        "de": (0, "udpos.German"),
        "en": (0, "udpos.English"),
        "wo": (1, "wo"),
    }
    found = request("udpos_r", ["de"])
    assert found.config_of(parts["wo"], ["wol", "udpos.Wolof"]) == "wol"
    # The mini world has one source.
    assert {p.source for p in request("udpos_r", ["qaa", "qab"], "mini", "qaa").parts()} == {0}


@pytest.mark.parametrize(
    ("held", "found"),
    [
        (["panx.zh", "zh"], "zh"),
        (["zh_cn", "de"], "zh_cn"),
        (["cmn"], "cmn"),
        (["zh-TW", "zh_min_nan", "de"], None),
    ],
)
def test_a_language_is_found_under_another_code(held, found):
    chinese = next(p for p in request("xnli", ["zh"]).parts() if p.split == "test")
    assert request("xnli", ["zh"]).config_of(chinese, held) == found


@pytest.mark.parametrize(("code", "own"), [("zh_CN", "zh"), ("cmn", "zh"), ("ZH", "zh"), ("pes", "fa"), ("qaa", "qaa")])
def test_other_codes_of_a_language(code, own):
    assert canonical(code) == own


def test_what_a_task_file_may_not_say(tmp_path):
    base = "task: mine\nkind: token_tagging\ngroup: qa\ndescription: x\nmetrics: [f1]\nlabels: [A]\n"
    for more, message in [
        ("union: [udpos]\nsource: {id: a/b}\n", "no source of its own"),
        ("source: {id: a/b}\nmore_sources: [{id: c/d}]\n", "its own `languages`"),
        ("source: {id: a/b}\nmore_sources: [{id: c/d, languages: [de]}, {id: e/f, languages: [de]}]\n", "its own"),
    ]:
        folder = tmp_path / str(len(more))
        folder.mkdir()
        (folder / "mine.yaml").write_text(base + more)
        with pytest.raises(UserError, match=message):
            load_task(folder / "mine.yaml")


def test_dev_rows_are_the_source_languages_unless_nothing_is_trained():
    assert [p.language for p in request("udpos", ["en", "yo"]).parts() if p.split == "validation"] == ["en"]
    assert not any(p.optional for p in request("udpos", ["en", "yo"]).parts())
