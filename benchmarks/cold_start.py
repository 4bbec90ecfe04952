"""A job of the mini world in a process of its own up to its first training step, and transformers' imports alone.

The job is `python -m scripts.train_target` on a few examples: importing, reading encoder, tokens and dev data, building
the head and the optimizer. The other side imports what a script around transformers needs at least: its model and its
tokenizer class.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.compare import RECORDS, alternate, run_row
from stilts.model.checkpoint import copy_tokenizer, save_encoder
from stilts.provenance.manifest import canonical, write_manifest
from tests import engine_case as case

SIZES = {"examples": 200, "repeats": 5}
IMPORTS = "from transformers import AutoTokenizer, XLMRobertaForSequenceClassification"
# A training step begins where its gradients are computed.
STOPPED = """
import os, runpy, sys
import stilts.train.loop
def stop(*_):
    print("first step", flush=True)
    os._exit(0)
stilts.train.loop._backward = stop
runpy.run_module("scripts.train_target", run_name="__main__", alter_sys=True)
"""


def job(folder: Path, examples: int) -> list[str]:
    """Write the inputs of a job that tunes a tiny encoder; return its arguments."""
    task = case.task_of("pair_classification").model_dump()
    made = case.make_tokenizer(folder / "tokenizer")
    splits = {name: case.toy(task["kind"], examples) for name in ("train", "validation")}
    place = case.tokenised(task["kind"], made, folder / "toy", **splits)
    (folder / "encoder").mkdir()
    save_encoder(folder / "encoder", case.random_encoder(case.tiny_config()))
    copy_tokenizer(folder / "tokenizer", folder / "encoder")
    write_manifest(folder / "encoder", {})
    spec = {"task": task, "dev_task": task, "settings": case.settings(eval_every=2), "depth": "full", "seed": 1}
    spec |= {"source_language": "en", "blind": False}
    inputs = {"encoder": folder / "encoder", "tokens": place / "tokens", "dev-tokens": place / "tokens"}
    inputs |= {"dev-data": place / "data", "output": folder / "tuned"}
    given = [word for name, at in inputs.items() for word in (f"--{name}", str(at / "manifest.json"))]
    return ["--spec", canonical(spec), *given]


def python(*arguments: str, **environment: str) -> str:
    """Run Python on one thread, as jobs are; return what it prints."""
    own = {**os.environ, "PYTHONPATH": str(RECORDS.parents[1]), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=own | environment, capture_output=True, text=True, check=True)
    return done.stdout


def measure(examples: int, repeats: int) -> dict[str, Any]:
    """Return seconds of both sides, and whether the job came to its first step."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = job(Path(folder), examples)

        def ours() -> str:
            return python("-c", STOPPED, *arguments)

        said = ours().splitlines()[-1:]
        found = alternate({"transformers' imports": lambda: python("-c", IMPORTS), "ours": ours}, repeats)
    return {
        "checked": "the job comes to its first step",
        "equal": said == ["first step"],
        **found,
        "figures": {"our CPU seconds": found["seconds"]["ours"]["cpu"]},
    }


if __name__ == "__main__":
    sys.exit(run_row("cold_start", __doc__, measure, SIZES))
