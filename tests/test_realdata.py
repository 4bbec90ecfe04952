"""The study on real data sets through a hub endpoint, shortened: real clients, real rows, from fetch to report.

Needs the folder of real data that lies beside some clones (conftest.hub_mirror); skipped without it.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from tests.study_case import ROOT

SHORT = {
    "experiment": "short",
    "languages": ["de", "zh", "th", "vi", "et", "ja", "lt"],
    "grid": {
        "backbones": ["tiny"],
        "recipes": ["none", "multi"],
        "targets": [
            "pawsx",
            "udpos",
            "xquad",
            "xcopa",
            "tatoeba",
            "tatoeba_r",
            "tatoeba_reader",
            "tatoeba_dual",
            "lareqa",
        ],
        "seeds": [1],
        "controls": [],
        "control_seeds": [],
    },
}


@pytest.fixture(scope="module")
def place(hub_mirror, tmp_path_factory) -> Path:
    """Return a folder where experiments/realdata.yaml has run in a shortened form."""
    folder = tmp_path_factory.mktemp("real data")
    config = yaml.safe_load((ROOT / "experiments/realdata.yaml").read_text()) | SHORT
    config["backbones"]["tiny"]["pretraining"] |= {
        "steps": 15,
        "hidden_size": 32,
        "ffn_size": 64,
        "tokenizer_lines": 15000,
    }
    for phase in ("intermediate", "target"):
        config[phase]["defaults"] |= {"max_train_examples": 200, "epochs": 1}
    # Fewer questions: XQuAD's 1,190 a language are the slowest part; German and Thai are enough here.
    config["tasks"]["xquad"] = {"languages": ["en", "de", "th"]}
    # LAReQA's JSON lies in the mirror as well as where the task file says.
    files = "{endpoint}/raw/lareqa/xquad-r/{language}.json"
    config["tasks"]["lareqa"] = {"languages": ["en", "de", "th"], "source": {"files": files}}
    (folder / "short.yaml").write_text(yaml.safe_dump(config))
    workflow = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    workflow += ["--configfile", str(folder / "short.yaml"), "--cores", "2"]
    server = [sys.executable, "-m", "tests.hub_server", str(hub_mirror), "--"]
    done = subprocess.run(
        [*server, *workflow],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=540,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return folder / "results" / "short"


def test_every_language_has_a_score(place):
    with (place / "scores.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["recipe"] == "none"]
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["target"], {})[row["language"]] = int(row["n"])
    assert set(found["pawsx"]) == {"en", "de", "zh", "ja"}
    assert set(found["udpos"]) == {"en", "de", "zh", "th", "vi"}
    assert found["xquad"] == dict.fromkeys(("en", "de", "th"), 1190)
    assert found["xcopa"] == dict.fromkeys(("et", "zh", "th", "vi"), 500)
    assert set(found["tatoeba"]) == {"de", "zh", "th", "vi", "et", "ja"}
    assert found["tatoeba"]["de"] == 1000
    assert found["tatoeba"]["th"] == 548
    assert set(found["tatoeba_r"]) == set(found["tatoeba"]) | {"lt"}
    assert found["lareqa"] == dict.fromkeys(("en", "de", "th"), 1190)


def scores(place, target, recipe="none"):
    """(protocol, language) -> value of one target."""
    with (place / "scores.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if (r["target"], r["recipe"]) == (target, recipe)]
    return {(r["protocol"], r["language"]): float(r["value"]) for r in rows}


def test_the_two_repositories_of_tatoeba_give_the_same_scores(place):
    """Other files, columns and order of columns, the same pairs and encoder: the same accuracy, of every layer."""
    for recipe in ("none", "multi"):
        old, new = (scores(place, target, recipe) for target in ("tatoeba", "tatoeba_r"))
        assert len(old) == 3 * 6
        assert {k: new[k] for k in old} == old
    tuned = [scores(place, target) for target in ("tatoeba_r", "tatoeba_reader", "tatoeba_dual")]
    assert all(a.keys() == tuned[0].keys() for a in tuned)
    assert len({tuple(a.values()) for a in tuned}) == 3, "another encoder embeds each of them"


def test_lareqas_scores_follow_from_the_kept_vectors(place):
    folder = place / "embeddings" / "tiny" / "none" / "lareqa" / "dfull-lfull-fp32" / "s1"
    products = np.load(folder / "query.npy") @ np.load(folder / "candidate.npy").T
    rows = pq.read_table(place / "data" / "lareqa" / "test.parquet").to_pylist()
    queries, candidates = ([r for r in rows if r["side"] == side] for side in ("query", "candidate"))
    # The sentences that the dataset's paper counts in these three languages.
    assert products.shape == (3 * 1190, len(candidates)) == (3570, 1180 + 1276 + 852)
    number = {row["id"]: k for k, row in enumerate(candidates)}
    found: dict[tuple[str, str], list[float]] = {}
    for line, row in zip(products, queries, strict=True):
        order = np.argsort(-line, kind="stable")
        right = {number[name] for name in row["gold"]}
        assert len(right) == 3
        for protocol, seen in (("sentence-map20", order[:20]), ("sentence-map", order)):
            places = [k for k, candidate in enumerate(seen.tolist(), 1) if candidate in right]
            value = sum(hits / k for hits, k in enumerate(places, 1)) / 3
            found.setdefault((protocol, row["language"]), []).append(value)
    wanted = {k: 100 * float(np.mean(v)) for k, v in found.items()}
    assert scores(place, "lareqa") == pytest.approx(wanted, abs=1e-4)


def test_what_was_read_is_said(place):
    facts = json.loads((place / "raw/pawsx/manifest.json").read_text())["facts"]
    assert facts["mirror"] is True
    assert len(facts["revision"]) == 40
    page = (place / "report/index.html").read_text()
    assert facts["revision"][:8] in page
    assert "stand-in" in page.lower()
    # Commits of another endpoint never enter the committed lock.
    assert facts["revision"] not in (ROOT / "tasks/revisions.lock.yaml").read_text()


def test_the_faults_of_the_real_data_are_counted(place):
    quirks = json.loads((place / "data/xquad/manifest.json").read_text())["facts"]["quirks"]
    assert json.dumps(quirks) != "{}"
