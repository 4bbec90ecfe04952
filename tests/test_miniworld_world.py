"""The files of a mini world: every file in its schema, the same bytes again, splits apart, any source language."""

from __future__ import annotations

import hashlib
import json
import re

import pyarrow.parquet as pq
import pytest

from stilts.miniworld import write_world
from stilts.miniworld.settings import SIZES
from stilts.miniworld.write import WRITERS
from tests.study_case import ROOT

SMALL = {
    "seed": 7,
    "sizes": {
        "mlm_documents": 60,
        **{key: 90 for key in SIZES if key.endswith("_train")},
        "eval": 45,
        "validation": 30,
        "tatoeba": 30,
        "lareqa_paragraphs": 6,
        "mewslix_mentions": 20,
    },
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    out = tmp_path_factory.mktemp("world")
    write_world(SMALL, out)
    return out


def rows(world, *parts: str) -> list[dict]:
    return pq.read_table(world.joinpath(*parts).with_suffix(".parquet")).to_pylist()


def digests(folder) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_spec_gives_the_same_bytes_and_another_seed_others(world, tmp_path):
    write_world(SMALL, tmp_path / "again")
    write_world({**SMALL, "seed": 8}, tmp_path / "other")
    first, again, other = digests(world), digests(tmp_path / "again"), digests(tmp_path / "other")
    assert first == again
    assert set(first) == set(other)
    # The numbers of the supertags follow from the grammar alone.
    assert [path for path in first if first[path] == other[path]] == ["ccg/tags_to_id.json"]


def full(world, out) -> None:
    raise OSError(28, "No space left on device", str(out))


@pytest.mark.parametrize("processes", [2, 5])
def test_the_number_of_processes_changes_no_byte(world, tmp_path, processes):
    write_world(SMALL, tmp_path, processes)
    assert digests(tmp_path) == digests(world)


def test_what_goes_wrong_in_one_process_is_told_by_the_job(tmp_path, monkeypatch):
    monkeypatch.setitem(WRITERS, "bucc", full)
    with pytest.raises(OSError, match="No space left"):
        write_world(SMALL, tmp_path, 2)


def test_every_file_is_there(world):
    languages = ["qaa", "qab", "qac", "qad", "qae"]
    expected = {"mnli/mnli/train", "mnli/mnli/validation_matched", "squad1/plain_text/train"}
    expected |= {"squad1/plain_text/validation", "squad2/squad_v2/train", "squad2/squad_v2/validation"}
    expected |= {"hellaswag/default/train", "hellaswag/default/validation", "copa/copa/train", "copa/copa/validation"}
    expected |= {f"anli/plain_text/{split}_r{number}" for split in ("train", "dev") for number in (1, 2, 3)}
    single = ("snli/plain_text", "qqp/qqp", "cosmosqa/default", "csqa/default", "siqa/default")
    expected |= {f"{config}/{split}" for config in single for split in ("train", "validation")} | {"panx_r/qaa/train"}
    expected |= {"tydiqa/secondary_task/train", "tydiqa/secondary_task/validation"}
    expected |= {"pawsx/PAWS-X.qaa/train", "udpos/udpos.qaa/train", "panx/PAN-X.qaa/train"}
    expected |= {f"mewslix/{part}" for part in ("wikipedia_pairs/train", "wikipedia_pairs/validation")}
    expected |= {"mewslix/candidate_entities/test"}
    for code in languages:
        expected |= {f"{config}/{split}" for config in (f"xnli/{code}", f"pawsx/PAWS-X.{code}", f"xcopa/{code}")
                     for split in ("validation", "test")}  # fmt: skip
        expected |= {f"{config}/{split}" for config in (f"udpos/udpos.{code}", f"panx/PAN-X.{code}", f"mewslix/{code}")
                     for split in ("validation", "test")}  # fmt: skip
        expected |= {f"xquad/xquad.{code}/validation"}
        expected |= {f"{config}/{split}" for config in (f"mlqa/mlqa.{code}.{code}", f"panx_r/{code}")
                     for split in ("validation", "test")}  # fmt: skip
        if code != "qaa":
            expected |= {f"tatoeba/tatoeba.{code}/validation", f"tatoeba_r/{code}-eng/test"}
            expected |= {f"bucc_gold/bucc18.{code}/{split}" for split in ("validation", "test")}
    found = {str(path.relative_to(world).with_suffix("")) for path in world.rglob("*.parquet")}
    assert found == expected
    assert {path.stem for path in (world / "mlm_text").iterdir()} == set(languages)
    for task in ("xquad", "tydiqa", "mlqa"):
        controls = json.loads((world / task / "controls.json").read_text(encoding="utf-8"))
        assert set(controls) == set(languages)
        assert all(set(scores) == {"f1", "exact_match"} for scores in controls.values())
    assert {path.stem for path in (world / "lareqa").iterdir()} == set(languages)
    assert {path.name for path in (world / "ccg").iterdir()} == {"train.tsv", "validation.tsv", "tags_to_id.json"}
    corpora = {path.name for path in (world / "bucc" / "qad-qaa").iterdir()}
    assert corpora == {f"qad-qaa.{split}.{end}" for split in ("sample", "training") for end in ("qad", "qaa", "gold")}


def test_the_workflow_knows_the_folders_of_the_world(world):
    text = (ROOT / "rules" / "common.smk").read_text(encoding="utf-8")
    block = text[text.index("WORLD_TASKS = (") :].split(".split()")[0]
    named = " ".join(re.findall(r'"([^"]*)"', block)).split()
    assert sorted(named) == named
    assert set(named) == {path.name for path in world.iterdir()} == set(WRITERS)


def test_label_types_are_those_of_the_hub(world):
    assert {row["label"] for row in rows(world, "pawsx", "PAWS-X.qab", "test")} == {"0", "1"}
    assert {row["label"] for row in rows(world, "xnli", "qab", "test")} == {0, 1, 2}
    assert {row["label"] for row in rows(world, "hellaswag", "default", "train")} == {"0", "1", "2", "3"}
    assert {row["question"] for row in rows(world, "xcopa", "qab", "test")} == {"cause", "effect"}


def test_languages_are_parallel_row_by_row(world):
    for parts, column in (
        (("xnli", "{}", "test"), "label"),
        (("pawsx", "PAWS-X.{}", "test"), "label"),
        (("xcopa", "{}", "test"), "label"),
        (("xquad", "xquad.{}", "validation"), "id"),
    ):
        columns = [
            [row[column] for row in rows(world, *(p.format(code) for p in parts))] for code in ("qaa", "qab", "qae")
        ]
        assert columns[0] == columns[1] == columns[2]
    for code in ("qab", "qad"):
        here = rows(world, "udpos", f"udpos.{code}", "test")
        there = rows(world, "udpos", "udpos.qaa", "test")
        nouns = [[sum(tag == 7 for tag in row["pos_tags"]) for row in side] for side in (here, there)]
        assert nouns[0] == nouns[1]


def test_splits_share_no_example(world):
    for task, config, splits, columns in (
        ("mnli", "mnli", ("train", "validation_matched"), ("premise", "hypothesis")),
        ("pawsx", "PAWS-X.qaa", ("train", "validation", "test"), ("sentence1", "sentence2")),
        ("squad1", "plain_text", ("train", "validation"), ("question", "context")),
        ("copa", "copa", ("train", "validation"), ("premise", "choice1", "choice2")),
        ("hellaswag", "default", ("train", "validation"), ("ctx",)),
    ):
        seen = [{tuple(row[c] for c in columns) for row in rows(world, task, config, split)} for split in splits]
        for i, one in enumerate(seen):
            assert one
            assert all(one.isdisjoint(other) for other in seen[i + 1 :])
    train = {(row["question"], row["context"]) for row in rows(world, "squad1", "plain_text", "train")}
    assert train.isdisjoint(
        (row["question"], row["context"]) for row in rows(world, "xquad", "xquad.qaa", "validation")
    )


def test_names_of_the_entity_test_files_are_unseen_in_training(world):
    def names(split: str) -> set[str]:
        # Firms end in a common noun (bank, club, guild), which both splits share by design.
        return {
            token
            for row in rows(world, "panx", "PAN-X.qaa", split)
            for token, tag in zip(row["tokens"], row["ner_tags"], strict=True)
            if tag and token[0].isupper()
        }

    assert names("train")
    assert names("train").isdisjoint(names("test") | names("validation"))


def test_unanswerable_questions_are_a_third_of_squad2(world):
    empty = [not row["answers"]["text"] for row in rows(world, "squad2", "squad_v2", "train")]
    assert sum(empty) == len(empty) // 3


def test_tydiqa_ids_start_with_the_language_and_train_is_mostly_source(world):
    train = rows(world, "tydiqa", "secondary_task", "train")
    assert sum(row["id"].startswith("qaa--") for row in train) == 90
    assert {row["id"].split("--")[0] for row in train} == {"qaa", "qab", "qac", "qad", "qae"}


def test_lareqa_sentences_cover_the_answers(world):
    for code in ("qaa", "qae"):
        document = json.loads((world / "lareqa" / f"{code}.json").read_text(encoding="utf-8"))
        for paragraph in document["data"][0]["paragraphs"]:
            for sentence, (start, end) in zip(paragraph["sentences"], paragraph["sentence_breaks"], strict=True):
                assert paragraph["context"][start:end] == sentence
            for qa in paragraph["qas"]:
                start = qa["answers"][0]["answer_start"]
                assert any(low <= start < high for low, high in paragraph["sentence_breaks"])


def test_mentions_point_at_known_entities(world):
    known = {row["entity_id"] for row in rows(world, "mewslix", "candidate_entities", "test")}
    for row in rows(world, "mewslix", "qad", "test"):
        span = row["mention"]["mention_span"]
        assert row["mention"]["entity_id"] in known
        assert row["context"]["text"][span["start"] : span["end"]].strip()


def test_any_language_can_be_the_source(tmp_path):
    write_world({**SMALL, "source_language": "qae", "languages": ["qae", "qad"]}, tmp_path)
    assert (tmp_path / "pawsx" / "PAWS-X.qae" / "train.parquet").is_file()
    assert not (tmp_path / "pawsx" / "PAWS-X.qad" / "train.parquet").exists()
    assert (tmp_path / "tatoeba" / "tatoeba.qad" / "validation.parquet").is_file()
