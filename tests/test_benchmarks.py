"""The rows of benchmarks/ in miniature: they run, compare results, and write records that the page is made from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cold_start, compaction, compare, evaluation, mining, profiling, retrieval, shards, step, worker
from benchmarks.goals import FIGURES, RATIOS, goals_of, reached
from benchmarks.page import PAGE, UNMEASURED, records, render
from stilts.retrieval.mining import mine

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"layers": 1, "hidden": 32, "vocabulary": 60, "length": 8, "repeats": 1}
ROWS = {
    "step": (step, {**SMALL, "steps": 2}),
    "compaction": (compaction, {**SMALL, "read": 32, "steps": 2}),
    "evaluation": (evaluation, {**SMALL, "languages": 2, "sentences": 9}),
    "retrieval": (retrieval, {"layers": 2, "layer": 1, "hidden": 32, "length": 8, "sentences": 9, "repeats": 1}),
    "mining": (mining, {"rows": 90, "dim": 16, "repeats": 1}),
    "shards": (shards, {"layers": 1, "tokens": 100, "steps": 2, "repeats": 1}),
    "worker": (worker, {"jobs": 1, "repeats": 1}),
    "profiling": (profiling, {**SMALL, "queries": 72, "reference": 144}),
    "cold_start": (cold_start, {"examples": 20, "repeats": 1}),
}
PARTS = {"row", "what", "checked", "seconds", "ratios", "spread", "repeats", "sizes", "command", "commit", "date"}
PARTS |= {"threads", "load", "processor", "machine"}
# What a GPU image need not hold. (accelerate is optional, and the test environment has none.)
MISSING = ("pyarrow", "pandas", "datasets", "pydantic", "jinja2", "sentencepiece", "snakemake", "accelerate")


def whole(record: dict) -> bool:
    """Return whether a record has all parts, and each side of it all figures."""
    others = set(record["seconds"]) - {"ours"}
    clocks = {"cpu", "wall"}
    sides = [record["seconds"]["ours"], *(record[part][side] for part in ("ratios", "spread") for side in others)]
    return set(record) >= PARTS and all(set(side) == clocks for side in sides) and len(reached(record)) >= 0


@pytest.mark.parametrize("row", ROWS)
def test_a_row_runs_and_writes_its_record(row, tmp_path):
    module, sizes = ROWS[row]
    options = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    file = tmp_path / "record.json"
    assert compare.run_row(row, module.__doc__, module.measure, module.SIZES, [*options, "--record", str(file)]) == 0
    record = json.loads(file.read_text())
    assert whole(record)
    assert record["sizes"] == {**module.SIZES, **sizes}
    assert len(reached(record)) == len(goals_of(row))


def test_rows_of_a_gpu_run_without_one_on_few_packages(tmp_path):
    code = f"import sys; sys.modules.update(dict.fromkeys({MISSING})); from benchmarks import gpu; sys.exit(gpu.main())"
    options = ("--size", "tiny", "--device", "cpu", "--repeats", "1", "--records", str(tmp_path))
    own = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, *options], env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = records(tmp_path)
    assert sorted(found) == sorted(row for row in RATIOS if row.startswith("gpu_"))
    assert all(whole(record) and len(reached(record)) == len(goals_of(row)) for row, record in found.items())
    assert "no accelerate" in found["gpu_mnli"]["note"]


def test_results_that_differ_are_an_error_and_no_record(tmp_path, monkeypatch, capsys):
    def other(x, y):
        query, match, score = mine(x, y)
        return query, np.roll(match, 1), score

    monkeypatch.setattr(mining, "mine", other)
    file = tmp_path / "record.json"
    sizes = ["--rows", "60", "--dim", "8", "--repeats", "1", "--record", str(file)]
    assert compare.run_row("mining", "Mining", mining.measure, mining.SIZES, sizes) == 1
    assert "DIFFER" in capsys.readouterr().out
    assert not file.exists()


def test_sides_are_run_in_turn_and_in_alternating_order():
    ran = []
    clocks = {"cpu": lambda: float(len(ran) ** 2), "wall": lambda: float(len(ran))}
    found = compare.alternate({"a": lambda: ran.append("a"), "ours": lambda: ran.append("o")}, 3, clocks)
    assert "".join(ran) == "ao" + "oa" + "ao" + "oa"
    # By the first clock runs take 5, 7 (a), 9 (a), 11, 13, 15 (a).
    assert found["ratios"]["a"]["cpu"] == round(15 / 13, 3)
    assert found["spread"]["a"]["cpu"] == [round(9 / 11, 3), round(7 / 5, 3)]
    assert found["ratios"]["a"]["wall"] == 1.0


def test_the_page_is_in_step_with_the_records():
    text = PAGE.read_text(encoding="utf-8")
    assert render(text, records()) == text, "run `python -m benchmarks.page`"
    assert all(whole(record) for record in records().values())


def test_the_page_says_what_was_missed_and_what_was_not_measured():
    found = records()
    slow = {**found["step"], "ratios": {side: {"cpu": 1.01, "wall": 1.01} for side in found["step"]["ratios"]}}
    text = render(PAGE.read_text(encoding="utf-8"), {"step": slow})
    assert text.count("**missed**") == len(RATIOS["step"])
    assert text.count(UNMEASURED) == sum(row.startswith("gpu_") for row in RATIOS)
    assert set(FIGURES) <= set(RATIOS)
