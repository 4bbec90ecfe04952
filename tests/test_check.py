"""Ours against published numbers: verdicts by hand, and experiments/check_xlmr.yaml on random weights to the end."""

from __future__ import annotations

import csv
import json
import math
import random
from pathlib import Path

import pytest
import yaml

from stilts.metrics.table import Score
from stilts.report.check import check, lines, tolerance
from stilts.tasks.published import Published, published
from stilts.tasks.registry import get_task
from tests.study_case import snakemake

ROOT = Path(__file__).resolve().parents[1]


def score(language, value, n=1000, recipe="none", seed=1):
    return Score("x", "b", recipe, "tatoeba", "layer14-mean", language, "p", seed, "accuracy", value, n, True)


def said(language, value):
    return Published("s", "tatoeba", "layer14-mean", language, "accuracy", value, "verified", "q")


@pytest.mark.parametrize(
    ("n", "ours", "verdict"),
    [
        (1000, 63.5, "agree"),
        (1000, 64.4, "agree"),
        (1000, 64.5, "differ"),
        (1000, 63.3, "differ"),
        (205, 64.8, "agree"),  # two of 205 sentences are 0.98 points
        (205, 65.0, "differ"),
        (1000, math.nan, "differ"),
    ],
)
def test_a_verdict_allows_half_a_point_or_two_sentences(n, ours, verdict):
    assert [v.verdict for v in check([said("de", 63.9)], [score("de", ours, n)])] == [verdict]


def test_tolerance_by_hand():
    assert (tolerance(1000), tolerance(400), tolerance(205)) == (0.5, 0.5, pytest.approx(200 / 205))


def test_only_the_raw_encoder_counts_and_gaps_are_said():
    rows = [said("de", 60.0), said("fr", 50.0), said("all", 55.0), said("th", 27.4)]
    scores = [score("de", 60.1), score("de", 59.9, seed=2), score("fr", 58.0), score("th", 27.4, recipe="mnli")]
    found = {v.language: v for v in check(rows, scores)}
    assert {k: v.verdict for k, v in found.items()} == {
        "de": "agree", "fr": "differ", "th": "not compared", "all": "not compared",
    }  # fmt: skip
    assert found["de"].ours == pytest.approx(60.0)
    whole = {v.language: v for v in check(rows[:3], scores)}
    assert whole["all"].ours == pytest.approx(59.0)
    assert whole["all"].verdict == "differ"
    text = lines(check(rows, scores))
    assert "tatoeba@layer14-mean  de  ours  60.0  published  60.0  (± 0.5)  agree" in text
    assert text[-1] == "tatoeba@layer14-mean (b, p): 1 agree, 1 differ, 2 not compared"


def test_a_target_without_any_score_is_not_passed_over():
    assert [v.verdict for v in check([said("de", 60.0)], [])] == ["not compared"]


def test_check_xlmr_runs_on_random_weights_up_to_the_comparison(tmp_path):
    """The file as it stands but for the weights, and for sentences that lie here instead of on the hub."""
    raw = yaml.safe_load((ROOT / "experiments" / "check_xlmr.yaml").read_text(encoding="utf-8"))
    draw, words = (
        random.Random(1),
        ["river", "stone", "heron", "mill", "sold", "bread", "winter", "tree", "old", "sings"],
    )
    aliases = get_task("tatoeba").source.aliases
    for language in get_task("tatoeba").languages:
        rows = []
        for k in range(5):
            text = " ".join([*draw.sample(words, 3), str(k)])
            names = {"source_lang": f"x.{language}", "target_lang": "x.eng"}
            rows.append({"source_sentence": f"{text}\n", "target_sentence": f"{text}!\n", **names})
        place = tmp_path / "data" / "tatoeba" / f"tatoeba.{aliases[language]}"
        place.mkdir(parents=True)
        (place / "validation.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    for language in get_task("bucc").languages:
        stem = tmp_path / "data" / "bucc" / f"{language}-en" / f"{language}-en"
        stem.parent.mkdir(parents=True)
        for split in ("sample", "training"):
            for side in (language, "en"):
                lines = [f"{side}-{k:09}\t{' '.join(draw.sample(words, 4))} {k}\n" for k in range(6)]
                stem.with_name(f"{stem.name}.{split}.{side}").write_text("".join(lines), encoding="utf-8")
            gold = "".join(f"{language}-{k:09}\ten-{k:09}\n" for k in range(3))
            stem.with_name(f"{stem.name}.{split}.gold").write_text(gold, encoding="utf-8")
    (tmp_path / "data" / "mlm_text").mkdir()
    text = "\n\n".join(" ".join(draw.sample(words, 6)) for _ in range(60))
    (tmp_path / "data" / "mlm_text" / "en.txt").write_text(text, encoding="utf-8")
    small = {"layers": 24, "hidden_size": 8, "heads": 2, "ffn_size": 8, "max_positions": 40, "steps": 1}
    raw["backbones"]["xlm-r-large"] = {
        "source": "pretrain",
        "pretraining": {**small, "vocabulary": 60, "batch_tokens": 32},
    }
    raw |= {"provider": "local", "local_data": "data", "tasks": {"mlm_text": {"languages": ["en"]}}}
    (tmp_path / "check.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    done = snakemake(tmp_path, "check", configfile=tmp_path / "check.yaml")
    assert done.returncode == 0, done.stdout
    with (tmp_path / "results" / "check_xlmr" / "checked" / "checked.csv").open(newline="") as file:
        found = {(r["target"], r["language"]): r for r in csv.DictReader(file)}
    expected = {r.language: r.value for r in published() if r.target == "tatoeba"}
    assert {k: float(found["tatoeba", k]["published"]) for k in expected} == expected
    assert {r["verdict"] for r in found.values()} <= {"agree", "differ"}
    assert {k for t, k in found if t == "bucc"} == {"de", "fr", "ru", "zh", "all"}
    with (tmp_path / "results" / "check_xlmr" / "scores.csv").open(newline="") as file:
        scores = {
            (r["target"], r["protocol"], r["language"], r["metric"]): float(r["value"]) for r in csv.DictReader(file)
        }
    single = [r for r in found.values() if r["language"] != "all"]
    assert len(single) == 40
    for r in single:
        ours = scores[r["target"], r["protocol"], r["language"], r["metric"]]
        assert float(r["ours"]) == pytest.approx(ours, abs=1e-3)
    assert "tatoeba@layer14-mean  de  ours" in done.stdout
    assert "bucc@full-dev-layer14-mean  de  ours" in done.stdout
