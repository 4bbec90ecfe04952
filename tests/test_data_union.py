"""Tasks made of others, and corpora that the user brings: CCGbank's files and jiant's form of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from engine_case import make_tokenizer
from hub_fixture import facts, message, rows_of, run, spec_of, write_rows

import scripts.fetch
import scripts.prepare
from stilts.config.load import load_config
from stilts.config.specs import Specs
from stilts.config.study import Study
from stilts.data.tagged import LEAF, read_tag_names
from stilts.errors import UserError
from stilts.provenance.manifest import write_manifest
from stilts.tokens.build import build_tokens
from stilts.tokens.store import TokenSplit

MEMBERS = {"anli": "plain_text", "mnli": "mnli", "snli": "plain_text"}
SPLITS = {
    "anli": ["train_r1", "train_r2", "train_r3", "dev_r1", "dev_r2", "dev_r3"],
    "mnli": ["train", "validation_matched"],
    "snli": ["train", "validation"],
}


def nli(task, split, count, label=None):
    return [
        {
            "uid": f"{split}{n}",
            "premise": f"{task} {split}",
            "hypothesis": f"{n}",
            "label": n % 3 if label is None else label,
        }
        for n in range(count)
    ]


@pytest.fixture
def members(tmp_path):
    """Return the manifests of the prepared members of anli+."""
    made = []
    for task, config in MEMBERS.items():
        for split in SPLITS[task]:
            write_rows(tmp_path / "raw" / task / config / f"{split}.parquet", nli(task, split, 4))
        write_rows(
            tmp_path / "raw" / "snli/plain_text/train.parquet", [*nli("snli", "train", 4), *nli("snli", "train", 1, -1)]
        )
        out = tmp_path / "data" / task / "manifest.json"
        assert run(scripts.prepare, spec_of(task, []), out, "--raw", write_manifest(tmp_path / "raw" / task)) == 0
        made.append(out)
    return made


def test_a_union_holds_its_members_one_after_the_other(members, tmp_path):
    out = tmp_path / "data" / "anli+" / "manifest.json"
    assert run(scripts.prepare, spec_of("anli+", []), out, "--raw", *members) == 0
    assert facts(out)["rows"] == {"train": {"en": 12 + 4 + 4}, "validation": {"en": 12 + 4 + 4}}
    for split in ("train", "validation"):
        parts = [(m.parent.name, row) for m in members for row in rows_of(m.parent / f"{split}.parquet")]
        expected = [{**row, "id": f"{name}/{row['id']}"} for name, row in parts]
        assert rows_of(out.parent / f"{split}.parquet") == expected
    assert "shared_by_members" not in facts(out)["quirks"]


def test_examples_in_two_members_are_kept_and_counted(members, tmp_path):
    rows = nli("same", "x", 3)
    for task in ("mnli", "snli"):
        split = SPLITS[task][1]
        write_rows(tmp_path / "raw" / task / MEMBERS[task] / f"{split}.parquet", rows)
        out = tmp_path / "data" / task / "manifest.json"
        assert run(scripts.prepare, spec_of(task, []), out, "--raw", write_manifest(tmp_path / "raw" / task)) == 0
    out = tmp_path / "data" / "anli+" / "manifest.json"
    assert run(scripts.prepare, spec_of("anli+", []), out, "--raw", *members) == 0
    assert facts(out)["quirks"]["shared_by_members"] == {"validation": {"en": 3}}
    assert facts(out)["rows"]["validation"] == {"en": 12 + 3 + 3}


def test_a_union_needs_all_its_members(members, tmp_path, capsys):
    out = tmp_path / "data" / "anli+" / "manifest.json"
    assert run(scripts.prepare, spec_of("anli+", []), out, "--raw", *members[:2]) == 2
    assert "is the union of anli, mnli, snli; 2 folders were given" in message(capsys)


# Two sentences in the form of CCGbank's AUTO files (Hockenmaier and Steedman's manual); the words are made up.
FIRST = (
    "(<T S[dcl] 0 2> (<T S[dcl] 1 2> (<T NP 0 1> (<L N NNP NNP Ada N>) ) "
    "(<T S[dcl]\\NP 0 2> (<L (S[dcl]\\NP)/NP VBZ VBZ reads (S[dcl]\\NP_1)/NP_2>) "
    "(<T NP 0 1> (<L N NNS NNS 1\\/2-books N>) ) ) ) (<L . . . . .>) )"
)
SECOND = "(<T NP 0 2> (<L NP[nb]/N DT DT the NP[nb]_2/N_2>) (<L N NN NN -LRB- N>) )"


def ccgbank(home: Path) -> Path:
    for section, text in {"02": FIRST, "21": SECOND, "00": FIRST, "22": SECOND, "01": SECOND}.items():
        path = home / "data" / "AUTO" / section / f"wsj_{section}01.auto"
        path.parent.mkdir(parents=True)
        path.write_text(f"ID=wsj_{section}01.1 PARSER=GOLD NUMPARSE=1\n{text}\n")
    return home


def test_leaves_of_a_derivation():
    assert LEAF.findall(SECOND) == [("NP[nb]/N", "the"), ("N", "-LRB-")]
    assert [word for _, word in LEAF.findall(FIRST)] == ["Ada", "reads", "1\\/2-books", "."]


def fetched(tmp_path, home):
    raw = tmp_path / "raw" / "ccg" / "manifest.json"
    return run(scripts.fetch, spec_of("ccg", []), raw, "--path", home), raw


def test_ccgbank_to_supertags(tmp_path):
    status, raw = fetched(tmp_path, ccgbank(tmp_path / "ccgbank_1_1"))
    assert status == 0
    # Sections 01 and 22 belong to no split.
    assert facts(raw)["rows"] == {"train.tsv": 2, "validation.tsv": 1}
    out = tmp_path / "data" / "ccg" / "manifest.json"
    assert run(scripts.prepare, spec_of("ccg", []), out, "--raw", raw) == 0
    names = facts(out)["labels"]
    assert names == sorted({".", "N", "NP[nb]/N", "(S[dcl]\\NP)/NP"})
    row = rows_of(out.parent / "train.parquet")[0]
    assert row["tokens"] == ["Ada", "reads", "1\\/2-books", "."]
    assert [names[tag] for tag in row["tags"]] == ["N", "(S[dcl]\\NP)/NP", "N", "."]
    tokens = tmp_path / "tokens"
    tokens.mkdir()
    build_tokens("token_tagging", out.parent, make_tokenizer(tmp_path / "tokenizer"), tokens)
    assert TokenSplit(tokens, "train").outputs([]) == 4


def lines(home: Path, ids: dict, train: str, names=("ccg.train", "ccg.val")) -> Path:
    home.mkdir()
    (home / names[0]).write_text(train)
    (home / names[1]).write_text("the cat\tNP/N N\n")
    (home / "tags_to_id.json").write_text(json.dumps(ids))
    return home


@pytest.mark.parametrize(
    "names", [("ccg.train", "ccg.val"), ("train.tsv", "validation.tsv"), ("x_train.txt", "x_dev.txt")]
)
def test_the_form_of_jiant_with_a_gap_in_the_ids(tmp_path, names):
    home = lines(tmp_path / "ccg", {"NP/N": 0, "N": 3}, "a dog\tNP/N N\nit\tN\n", names)
    status, raw = fetched(tmp_path, home)
    assert status == 0
    out = tmp_path / "data" / "ccg" / "manifest.json"
    assert run(scripts.prepare, spec_of("ccg", []), out, "--raw", raw) == 0
    assert [row["tags"] for row in rows_of(out.parent / "train.parquet")] == [[0, 3], [3]]
    assert facts(out)["quirks"]["label_gaps"] == {"train": {"en": 2}}
    assert facts(out)["labels"] == ["NP/N", "(no tag 1)", "(no tag 2)", "N"]


def test_what_is_wrong_with_tagged_lines(tmp_path, capsys):
    cases = {
        "line 2: expected words, a TAB and as many tags; found 2 words and 1 tags": ({"N": 0}, "a\tN\na b\tN\n"),
        "must be a JSON mapping": (["N"], "a\tN\n"),
    }
    for number, (text, (ids, train)) in enumerate(cases.items()):
        status, _ = fetched(tmp_path, lines(tmp_path / str(number), ids, train))
        assert status == 2
        assert text in message(capsys)
    status, _ = fetched(tmp_path, tmp_path / "nothing")
    assert status == 2
    assert "There is no folder" in message(capsys)
    (tmp_path / "empty").mkdir()
    status, _ = fetched(tmp_path, tmp_path / "empty")
    assert status == 2
    assert "no file for the split train" in message(capsys)


def test_two_tags_of_one_number(tmp_path):
    (tmp_path / "tags_to_id.json").write_text('{"N": 0, "NP": 0}')
    with pytest.raises(UserError, match="two tags share a number"):
        read_tag_names(tmp_path / "tags_to_id.json")


def study(**changes) -> Study:
    grid = {"backbones": ["x"], "recipes": ["none", "ccg", "multi"], "targets": ["udpos"], "controls": []}
    raw = {
        "experiment": "e",
        "provider": "hub",
        "source_language": "en",
        "grid": grid,
        "backbones": {"x": {"source": "hub", "id": "a/b"}},
        "recipes": {"none": {}, "ccg": {"tasks": ["ccg"]}, "multi": {"tasks": ["mnli", "ccg", "anli+"]}},
    }
    return Study(load_config({**raw, **changes}))


def test_without_its_corpus_a_recipe_is_left_out_and_said():
    found = study()
    assert found.grid.recipes == ["none", "multi"]
    assert found.recipe("multi").tasks == ["mnli", "anli+"]
    assert len(found.notes) == 2
    assert found.notes[0].startswith("recipe ccg is left out. The data of ccg are for you to bring")
    assert found.notes[1].startswith("recipe multi is trained on mnli, anli+ only. The data of ccg")
    assert {arm[1] for arm in found.runs("udpos")} == {"none", "multi"}
    assert Specs(found).report()["notes"] == found.notes


def test_with_its_corpus_nothing_is_left_out_and_no_spec_holds_the_path(tmp_path):
    here = study(tasks={"ccg": {"source": {"path": str(tmp_path)}}})
    assert here.notes == []
    assert here.recipe("multi").tasks == ["mnli", "ccg", "anli+"]
    assert here.local("ccg") == str(tmp_path)
    assert here.local("mnli") == ""
    specs = Specs(here)
    for rule in (specs.fetch, specs.prepare):
        assert str(tmp_path) not in json.dumps(rule("ccg"))
    with pytest.raises(UserError, match=r"tasks\.ccg\.source\.path: there is no folder"):
        study(tasks={"ccg": {"source": {"path": str(tmp_path / "gone")}}})


def test_local_data_hold_the_corpus_or_not(tmp_path):
    local = {"provider": "local", "local_data": str(tmp_path)}
    assert study(**local).grid.recipes == ["none", "multi"]
    (tmp_path / "ccg").mkdir()
    assert study(**local).grid.recipes == ["none", "ccg", "multi"]


def test_another_code_of_a_language_in_the_experiment():
    found = study(
        languages=["zh_cn", "de"],
        recipes={"none": {}},
        grid={"backbones": ["x"], "recipes": ["none"], "targets": ["udpos"]},
    )
    assert found.languages("udpos") == ["en", "de", "zh"]
    assert found.notes == ["languages: zh_cn is read as zh"]
