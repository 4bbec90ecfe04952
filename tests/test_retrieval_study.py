"""Every retrieval target at the size of a test, from the mini world to scores, recomputed from what is kept."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.study_case import changed, planned, snakemake
from tests.test_retrieval_mining import by_loops

TARGETS = ["tatoeba", "tatoeba_r", "tatoeba_reader", "tatoeba_dual", "bucc", "bucc_gold", "lareqa", "mewslix"]
PARTS = (("validation", "dev-"), ("test", ""))
POINT = "dfull-lfull-fp32/s1"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Return the results of a study of the baseline on all retrieval targets."""
    folder = tmp_path_factory.mktemp("retrieval")
    grid = {"recipes": ["none"], "targets": TARGETS, "seeds": [1], "controls": []}
    config = changed(folder / "config.yaml", grid=grid, budget={"depths": ["full"]})
    done = snakemake(folder, configfile=config)
    assert done.returncode == 0, done.stdout[-6000:]
    assert planned(folder, configfile=config) == {}
    return folder / "results" / "tiny"


def scores(place: Path) -> dict[tuple[str, str, str, str], float]:
    with (place / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(r["target"], r["protocol"], r["language"], r["metric"]): float(r["value"]) for r in rows}
    assert len(found) == len(rows)
    return found


def folder_of(place: Path, what: str, target: str) -> Path:
    return place / what / "mini" / "none" / target / POINT


def sides(place: Path, target: str, split: str = "test") -> tuple[list[dict], list[dict]]:
    rows = pq.read_table(place / "data" / target / f"{split}.parquet").to_pylist()
    return tuple([r for r in rows if r["side"] == which] for which in ("query", "candidate"))


def test_every_target_has_its_protocols(place):
    found: dict[str, set[str]] = {}
    for target, protocol, language, _ in scores(place):
        found.setdefault(target, set()).add(protocol)
        assert language in ("qaa", "qab", "qad")
    layers = {f"layer{k}-mean" for k in range(3)}
    assert found == {
        **dict.fromkeys(("tatoeba", "tatoeba_r", "tatoeba_reader", "tatoeba_dual"), layers),
        "bucc": {f"full-{part}{layer}" for part in ("", "dev-") for layer in layers},
        "bucc_gold": {f"gold-{part}{layer}" for part in ("", "dev-") for layer in layers},
        "lareqa": {"sentence-map20", "sentence-map"},
        "mewslix": {"mrr20"},
    }
    assert len((place / "tables" / "missing.csv").read_text().splitlines()) == 1


def test_only_the_owners_are_trained_and_their_encoders_embed_the_variants(place):
    trained = {p.name for p in (place / "models" / "target" / "mini" / "none").iterdir()}
    assert trained == {"xquad", "lareqa", "mewslix"}
    vectors = {
        target: np.load(folder_of(place, "embeddings", target) / "qab.source.npy")
        for target in ("tatoeba", "tatoeba_reader", "tatoeba_dual")
    }
    plain = vectors.pop("tatoeba")
    for other in vectors.values():
        assert other.shape == plain.shape
        assert not np.allclose(other[-1], plain[-1])
    assert not np.allclose(vectors["tatoeba_reader"][-1], vectors["tatoeba_dual"][-1])
    assert scores(place)["tatoeba", "layer2-mean", "qab", "accuracy"] == pytest.approx(
        scores(place)["tatoeba_r", "layer2-mean", "qab", "accuracy"]
    )


def test_lareqa_from_the_kept_vectors(place):
    folder = folder_of(place, "embeddings", "lareqa")
    # In single precision, as the ranking has them: an encoder of this size puts its vectors very close together.
    products = np.load(folder / "query.npy") @ np.load(folder / "candidate.npy").T
    asked, searched = sides(place, "lareqa")
    names = [row["id"] for row in searched]
    values: dict[tuple[str, str], list[float]] = {}
    for line, row in zip(products, asked, strict=True):
        order = [names[k] for k in np.argsort(-line, kind="stable")]
        assert len(row["gold"]) == 3  # one in each language
        for protocol, top in (("sentence-map20", 20), ("sentence-map", len(order))):
            hits, score = 0, 0.0
            for k, name in enumerate(order[:top], 1):
                if name in row["gold"]:
                    hits += 1
                    score += hits / k
            values.setdefault((protocol, row["language"]), []).append(score / 3)
    for (protocol, language), found in values.items():
        assert scores(place)["lareqa", protocol, language, "map"] == pytest.approx(100 * np.mean(found), abs=1e-5)


def test_mewslix_from_the_kept_vectors(place):
    folder = folder_of(place, "embeddings", "mewslix")
    # In single precision, as the ranking has them: an encoder of this size puts its vectors very close together.
    products = np.load(folder / "query.npy") @ np.load(folder / "candidate.npy").T
    asked, searched = sides(place, "mewslix")
    names = [row["id"] for row in searched]
    assert len({row["language"] for row in searched}) == 3
    found: dict[str, list[float]] = {}
    for line, row in zip(products, asked, strict=True):
        order = [names[k] for k in np.argsort(-line, kind="stable")]
        found.setdefault(row["language"], []).append(1 / (order.index(row["gold"][0]) + 1))
    for language, values in found.items():
        assert scores(place)["mewslix", "mrr20", language, "mrr"] == pytest.approx(100 * np.mean(values), abs=1e-5)
    best = pq.read_table(folder_of(place, "mined", "mewslix") / "pairs.parquet").to_pylist()
    assert {row["query"] for row in best} == set(range(len(asked)))


def f1_of(pairs: list[tuple[str, str, float]], gold: set[tuple[str, str]], threshold: float) -> float:
    kept = {(q, m) for q, m, score in pairs if score >= threshold}
    right = len(kept & gold)
    return 200 * right / (len(kept) + len(gold)) if kept else 0.0


@pytest.mark.parametrize(("target", "variant"), [("bucc", "full"), ("bucc_gold", "gold")])
def test_bucc_from_the_kept_vectors(place, target, variant):
    folder = folder_of(place, "embeddings", target)
    for language in ("qab", "qad"):
        mined, gold = {}, {}
        for split in ("validation", "test"):
            asked, searched = ([r for r in s if r["language"] == language] for s in sides(place, target, split))
            x, y = (np.load(folder / f"{split}.{language}.{which}.npy")[2] for which in ("query", "candidate"))
            assert len({r["text"] for r in asked}) == len(asked)  # nothing to leave out
            mined[split] = [(asked[i]["id"], searched[j]["id"], s) for i, j, s in by_loops(x, y, 4)]
            gold[split] = {(r["id"], name) for r in asked for name in r["gold"]}
        ordered = sorted(score for *_, score in mined["validation"])
        between = [*((a + b) / 2 for a, b in pairwise(ordered)), ordered[0] - 1e-6]  # the last keeps every pair
        at = {threshold: f1_of(mined["validation"], gold["validation"], threshold) for threshold in between}
        dev = max(at.values())
        # Equal F1: the highest threshold; nothing right: every pair is kept.
        threshold = max(k for k, f1 in at.items() if f1 == pytest.approx(dev)) if dev else 0.0
        found = {split: scores(place)[target, f"{variant}-{part}layer2-mean", language, "f1"] for split, part in PARTS}
        assert found["validation"] == pytest.approx(dev, abs=1e-4)
        assert found["test"] == pytest.approx(f1_of(mined["test"], gold["test"], threshold), abs=1e-4)


def test_dev_scores_are_kept_beside_the_vectors(place):
    for target, task in (("lareqa", "squad1_retrieval"), ("mewslix", "mewslix")):
        dev = json.loads((folder_of(place, "embeddings", target) / "dev.json").read_text())
        assert dev["task"] == task
        assert 0 < dev["value"] <= 100
        assert dev["n"] == 20
        model = place / "models" / "target" / "mini" / "none" / target / "dfull" / "s1"
        trained = json.loads((model / "manifest.json").read_text())["facts"]
        assert trained["dev"] == pytest.approx(dev["value"], abs=1e-3)
