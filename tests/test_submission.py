"""Submissions: the files that XTREME's evaluate.py reads, read back as it reads them and scored as it scores them."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts import export
from stilts.config.load import load_config
from stilts.config.specs import Specs
from stilts.config.study import Study
from stilts.errors import UserError
from stilts.metrics.judge import judge, judge_pairs
from stilts.metrics.table import write_csv
from stilts.provenance.job import run_job
from stilts.provenance.manifest import write_manifest
from stilts.report.submission import submission_files
from stilts.tasks.benchmarks import benchmark_of
from stilts.tasks.registry import get_task
from stilts.tasks.spec import TaskSpec

LANGUAGES = ["de", "en"]
UPOS = ["ADJ", "NOUN", "VERB", "X"]
NER = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def task(name, kind, **more):
    base = {"group": "qa", "description": "", "source": {}, "metrics": ["f1"], "languages": LANGUAGES}
    return TaskSpec.model_validate({"task": name, "kind": kind, **base, **more})


RAW = {"0": "no", "1": "yes", "2": "yes"}
TASKS = {
    "pawsx": task(
        "pawsx", "pair_classification", labels=["no", "yes"], label_values={"0": "no", "1": "yes", "2": "yes"}
    ),
    "xnli": task("xnli", "pair_classification", labels=["entailment", "neutral", "contradiction"]),
    "xcopa": task("xcopa", "multiple_choice", labels=["0", "1"]),
    "udpos": task("udpos", "token_tagging", labels=UPOS),
    "panx": task("panx", "token_tagging", labels=NER),
    "xquad": task("xquad", "span_extraction"),
    "mlqa": task("mlqa", "span_extraction", metrics=["mlqa_f1", "mlqa_exact_match"]),
    "tydiqa": task("tydiqa", "span_extraction"),
    "tatoeba": task("tatoeba", "bitext_retrieval", languages=["de"]),
}
ANSWERS = ["der alte Turm", "the tower", "Turm", "1987", "im Jahr 1987", "", "a red house"]


def made(name, languages=None, rows=12, seed=0):
    """Predictions, examples and the official gold files of one task with random content."""
    one, draw = TASKS[name], np.random.default_rng([seed, len(name), rows])
    codes = [k for k in languages or one.languages for _ in range(rows)]
    ids = [f"q{i}" for i in range(len(codes))]
    predicted, examples = {"id": ids, "language": codes}, {"id": ids, "language": codes}
    if one.kind in ("pair_classification", "multiple_choice"):
        gold = draw.integers(0, len(one.labels), len(ids)).tolist()
        predicted |= {"logits": draw.normal(size=(len(ids), len(one.labels))).tolist(), "label": gold}
        names = list(one.label_values)[:2] if one.label_values else one.labels
        lines = [json.dumps({"label": g}) if name == "xcopa" else names[g] for g in gold]
    elif one.kind == "token_tagging":
        lengths = draw.integers(1, 7, len(ids))
        predicted["gold"] = [draw.integers(0, len(one.labels), n).tolist() for n in lengths]
        predicted["tags"] = [
            [
                -1 if draw.random() < 0.1 else int(g if draw.random() < 0.6 else draw.integers(len(one.labels)))
                for g in s
            ]
            for s in predicted["gold"]
        ]
        lines = ["".join(f"{one.labels[g]}\n" for g in s) for s in predicted["gold"]]
    elif one.kind == "span_extraction":
        predicted["text"] = draw.choice(ANSWERS, len(ids)).tolist()
        examples["answers"] = [draw.choice([a for a in ANSWERS if a], 2).tolist() for _ in ids]
        lines = [
            {"id": i, "answers": [{"text": a} for a in answers]}
            for i, answers in zip(ids, examples["answers"], strict=True)
        ]
    else:
        examples["source_text"] = [f"{draw.choice(['the', 'A', 'z', 'ä'])} sentence {draw.integers(9)}\n" for _ in ids]
        numbers = [i for k in dict.fromkeys(codes) for i in range(codes.count(k))]
        guess = [i if draw.random() < 0.5 else int(draw.integers(rows)) for i in numbers]
        predicted = {"language": codes * 2, "layer": [3] * len(ids) + [14] * len(ids)}
        predicted |= {"query": numbers * 2, "match": [0] * len(ids) + guess}
        lines = []
    return (
        one,
        predicted,
        examples,
        {k: [x for x, c in zip(lines, codes, strict=True) if c == k] for k in set(codes)} if lines else {},
    )


def official_gold(name, examples, lines, language):
    """The text of the official label file."""
    if name == "tatoeba":
        texts = [t.strip() for t, k in zip(examples["source_text"], examples["language"], strict=True) if k == language]
        # utils_preprocess.py: the English side is sorted, the label is where its translation stands.
        return "".join(f"{i}\n" for _, i in sorted(((t, i) for i, t in enumerate(texts)), key=lambda x: x[0]))
    rows = lines[language]
    if isinstance(rows[0], dict):
        return json.dumps({"data": [{"paragraphs": [{"qas": [row]} for row in rows]}]})
    return "\n".join(rows) if name in ("udpos", "panx") else "".join(f"{x}\n" for x in rows)


# --- read back as evaluate.py reads


def read_tag(text):
    labels, example = [], []
    for line in text.splitlines():
        if line.strip():
            example.append(line.strip())
        else:
            labels.append(example)
            example = []
    return [*labels, example] if example else labels


def accuracy_of(predicted, gold):
    assert len(predicted) == len(gold)
    return 100 * sum(p == g for p, g in zip(predicted, gold, strict=True)) / len(gold)


@pytest.mark.parametrize("name", ["pawsx", "xnli", "xcopa"])
def test_labels_are_the_official_ones(name):
    one, predicted, examples, lines = made(name)
    ours = {k: m.value for _, k, m in judge(one, predicted, examples)}
    for file, text in submission_files(one, predicted, examples, 14):
        language = file.removeprefix("test-").split(".")[0]
        assert file.endswith(".jsonl" if name == "xcopa" else ".tsv")
        rows = text.splitlines()
        assert set(rows) <= set(lines[language]) | set(lines["de"]) | set(lines["en"])
        assert accuracy_of(rows, lines[language]) == pytest.approx(ours[language])


@pytest.mark.parametrize("name", ["udpos", "panx"])
def test_tags_keep_every_word_and_sentence(name):
    one, predicted, examples, lines = made(name)
    for file, text in submission_files(one, predicted, examples, 14):
        language = file.removeprefix("test-").removesuffix(".tsv")
        gold = read_tag(official_gold(name, examples, lines, language))
        found = read_tag(text)
        assert [len(s) for s in found] == [len(s) for s in gold]
        tags = [t for t, k in zip(predicted["tags"], predicted["language"], strict=True) if k == language]
        assert found == [["O" if t < 0 else one.labels[t] for t in s] for s in tags]


def test_answers_are_one_object_by_id():
    one, predicted, examples, _ = made("xquad")
    files = dict(submission_files(one, predicted, examples, 14))
    found = {k: v for text in files.values() for k, v in json.loads(text).items()}
    assert found == dict(zip(predicted["id"], predicted["text"], strict=True))
    ids = ["a", "a#2", "b#2", "c"]
    rows = {"id": ids, "language": ["de"] * 4}
    ((_, text),) = submission_files(one, rows | {"text": ["1", "2", "3", "4"]}, rows, 14)
    assert json.loads(text) == {"a": "1", "b#2": "3", "c": "4"}


def test_sentences_are_asked_in_the_official_order():
    one, predicted, examples, lines = made("tatoeba", rows=30)
    ((file, text),) = submission_files(one, predicted, examples, 14)
    assert file == "test-de.tsv"
    gold = official_gold("tatoeba", examples, lines, "de").splitlines()
    assert gold != [str(i) for i in range(30)]
    ours = {p: m.value for p, _, m in judge_pairs(one, predicted, "mean", examples)}
    assert accuracy_of(text.splitlines(), gold) == pytest.approx(ours["layer14-mean"])
    assert ours["layer14-mean"] != ours["layer3-mean"]
    with pytest.raises(UserError, match="0 matches at hidden state 7 for 30 sentences"):
        list(submission_files(one, predicted, examples, 7))


def test_pairs_above_the_threshold_of_the_dev_part_are_submitted():
    one = TaskSpec.model_validate({**task("bucc", "bitext_mining").model_dump(), "variant": "full"})

    def corpora(split, gold):
        names = [("query", f"de-{split}{i}", gold.get(i)) for i in range(3)]
        names += [("candidate", f"de:en-{split}{i}", None) for i in range(3)]
        columns = [[n for _, n, _ in names], ["de"] * 6, [s for s, _, _ in names]]
        columns.append([[f"de:en-{split}{g}"] if g is not None else [] for *_, g in names])
        return dict(zip(("id", "language", "side", "gold"), columns, strict=True))

    # On validation data the right pairs score 1.3 and 1.2, a wrong one 1.0: the best threshold is halfway, 1.1.
    rows = [("validation", 14, 0, 1, 1.3), ("validation", 14, 1, 0, 1.2), ("validation", 14, 2, 2, 1.0)]
    rows += [("test", 14, 0, 2, 1.11), ("test", 14, 1, 1, 1.09), ("test", 14, 2, 0, 1.5), ("test", 3, 1, 1, 9.0)]
    pairs = dict(zip(("split", "layer", "query", "match", "score"), map(list, zip(*rows, strict=True)), strict=True))
    pairs["language"] = ["de"] * len(rows)
    arguments = corpora("t", {}), 14, corpora("v", {0: 1, 1: 0})
    assert list(submission_files(one, pairs, *arguments)) == [("test-de.tsv", "de-t0\ten-t2\nde-t2\ten-t0\n")]
    with pytest.raises(UserError, match="nothing is mined at hidden state 5"):
        list(submission_files(one, pairs, corpora("t", {}), 5, corpora("v", {})))


def test_entities_are_listed_best_first_in_the_language_of_the_mention():
    one = task("mewslix", "entity_retrieval")
    examples = {"id": ["m1", "Q1", "m2", "Q2", "m3"], "language": ["de", "en", "en", "de", "de"]}
    examples["side"] = ["query", "candidate", "query", "candidate", "query"]
    pairs = {"query": [0, 0, 1, 1], "match": [1, 0, 0, 1]}
    files = {k: json.loads(v) for k, v in submission_files(one, pairs, examples, 14)}
    assert files == {"test-de.json": {"m1": ["Q2", "Q1"], "m3": []}, "test-en.json": {"m2": ["Q1", "Q2"]}}


def test_rows_of_other_examples_are_refused():
    one, predicted, examples, _ = made("xnli")
    with pytest.raises(UserError, match="row 0 predicts"):
        list(submission_files(one, predicted, {**examples, "id": examples["id"][::-1]}, 14))


# --- the job


def lay_out(root, spec, seed=0):
    """Write predictions and data of the members; return the arguments."""
    found = {"predictions": [], "data": []}
    for member in spec["members"]:
        name = member["task"]["task"]
        for number, recipe in enumerate(spec["recipes"]):
            one, predicted, examples, _ = made(name, seed=seed + number)
            for kind, columns in (("predictions", predicted), ("data", examples)):
                place = root / kind / (f"{recipe}/{name}" if kind == "predictions" else name)
                place.mkdir(parents=True, exist_ok=True)
                kept = "test" if kind == "data" else "pairs" if one.retrieval else "predictions"
                pq.write_table(pa.table(columns), place / f"{kept}.parquet")
                write_manifest(place)
                if kind == "predictions" or not number:
                    found[kind].append(str(place / "manifest.json"))
    return [x for kind in found for x in (f"--{kind}", *found[kind])]


def spec_of(recipes=("none",)):
    members = [{"name": n, "task": t.model_dump(), "languages": ["de", "en", "fr"]} for n, t in TASKS.items()]
    return {
        "members": members,
        "absent": {"bucc2018": "not here"},
        "recipes": list(recipes),
        "place": ["b", "p"],
        "layer": 14,
    }


def test_the_job_writes_every_task_and_names_what_is_missing(tmp_path, capsys):
    argv = [
        "--spec",
        json.dumps(spec_of()),
        *lay_out(tmp_path, spec_of()),
        "--output",
        str(tmp_path / "out/manifest.json"),
    ]
    assert run_job(export.work, {"predictions": "+", "data": "+", "tables": "?"}, argv) == 0
    names = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("test-*")}
    assert {n.split("/")[0] for n in names} == set(TASKS)
    assert {"pawsx/test-de.tsv", "xcopa/test-en.jsonl", "mlqa/test-de.json", "tatoeba/test-de.tsv"} <= names
    said = capsys.readouterr().out
    assert "missing: bucc2018: not here" in said
    assert "missing: xnli: no fr" in said


def test_best_per_target_takes_what_the_table_says(tmp_path, capsys):
    spec = spec_of(["none", "mnli"])
    columns = ["backbone", "budget_point", "target", "recipe", "average"]
    rows = [["b", "p", n, "mnli" if n == "xnli" else "none", "all"] for n in TASKS]
    rows += [["b", "other", n, "mnli", "all"] for n in TASKS]
    write_csv(tmp_path / "tables" / "best_per_target.csv", columns, rows)
    write_manifest(tmp_path / "tables")
    argv = ["--spec", json.dumps(spec), *lay_out(tmp_path, spec), "--tables", str(tmp_path / "tables/manifest.json")]
    argv += ["--output", str(tmp_path / "out/manifest.json")]
    assert run_job(export.work, {"predictions": "+", "data": "+", "tables": "?"}, argv) == 0
    for name, seed in (("xnli", 1), ("pawsx", 0)):
        one, predicted, examples, _ = made(name, seed=seed)
        for file, text in submission_files(one, predicted, examples, 14):
            assert (tmp_path / "out" / name / file).read_text(encoding="utf-8") == text
    rows[0][3] = ""
    write_csv(tmp_path / "tables" / "best_per_target.csv", columns, rows)
    write_manifest(tmp_path / "tables")
    assert run_job(export.work, {"predictions": "+", "data": "+", "tables": "?"}, argv) == 2
    assert "no recipe can be chosen for pawsx" in capsys.readouterr().err


def test_what_a_submission_depends_on():
    raw = {
        "grid": {"recipes": ["none", "mnli"], "targets": ["xnli", "tatoeba", "xcopa"], "seeds": [1, 2]},
        "budget": {"depths": ["full", 2]},
    }
    study = Study(load_config(raw))
    full, cut = "dfull-lfull-fp32", "d2-lfull-fp32"
    assert [m.task for m in study.submitted("xtreme", full)] == ["xnli", "tatoeba"]
    assert [m.task for m in study.submitted("xtreme", cut)] == ["xnli"]
    arms = set(study.submissions())
    assert ("xtreme_r", "mini", "best-per-target", cut, 2) in arms
    assert len(arms) == 2 * 1 * 3 * 2 * 2
    spec = Specs(study).export("xtreme", "mini", "best-per-target", cut)
    assert spec["recipes"] == ["none", "mnli"]
    assert set(spec["absent"]) == {m.name for m in benchmark_of("xtreme").members if m.task != "xnli"}
    assert (spec["absent"]["tatoeba"], spec["absent"]["mlqa"]) == ("not under this budget", "not in this experiment")
    assert spec["members"][0]["task"]["labels"] == get_task("xnli").labels
