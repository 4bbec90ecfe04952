"""No import runs against the flow of the pipeline, and no stage pulls in what it does not need."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from stilts.provenance.code import closure

ROOT = Path(__file__).resolve().parents[1]
# Earlier may not import later. What is not listed (config, tasks, provenance, errors, progress) serves every stage.
FLOW = ["data", "tokens", "model", "metrics", "predict", "train", "retrieval", "budget", "report"]


def stages_imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
        found |= {n.split(".")[1] for n in names if n.startswith("stilts.")}
    return found


def test_no_import_runs_against_the_flow():
    backwards = [
        f"{path.relative_to(ROOT)} imports stilts.{later}"
        for stage in FLOW
        for path in (ROOT / "stilts" / stage).glob("*.py")
        for later in stages_imported(path) & set(FLOW[FLOW.index(stage) + 1 :])
    ]
    assert backwards == []


@pytest.mark.parametrize(
    ("rule", "strangers"),
    [
        ("train_target", {"data", "report", "retrieval", "miniworld", "config", "worker"}),
        ("score", {"data", "tokens", "model", "train", "predict", "report", "miniworld"}),
        ("report", {"data", "tokens", "model", "train", "predict", "retrieval", "miniworld"}),
        ("prepare", {"tokens", "model", "metrics", "train", "predict", "report"}),
        ("make_world", {"tokens", "model", "metrics", "train", "predict", "report", "data"}),
    ],
)
def test_an_edit_elsewhere_does_not_reach_a_rule(rule, strangers):
    stages = {p.relative_to(ROOT).parts[1] for p in closure(f"scripts.{rule}") if p.parts[-2] != "scripts"}
    assert stages & strangers == set()
