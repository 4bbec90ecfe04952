"""Training jobs of every kind for the tests of resuming, and ways to kill them at a chosen step."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stilts.data.search import SCHEMA
from stilts.provenance.attempts import FOLDER, MINUTES
from stilts.provenance.manifest import write_manifest
from stilts.tokens.build import build_tokens
from stilts.train.resume import Checkpoints
from tests.engine_case import corpus, make_tokenizer, settings, task_of, tokenised, toy
from tests.test_dual import pairs
from tests.test_engine_scripts import PRETRAINING, script

ALWAYS = "1e-9"  # minutes between checkpoints: one after each step
KINDS = {"nli": "pair_classification", "story": "multiple_choice", "pos": "token_tagging", "squad": "span_extraction"}
KINDS |= {"answers": "answer_retrieval", "entities": "entity_retrieval"}
OWN = settings(dropout=0.1, weight_decay=0.01, eval_every=2, epochs=3, query_length=20, max_length=40)
# Dev scores that never rise again: the best model is an early one, and patience ends the run before its steps do.
IMPATIENT = {**OWN, "patience": 3, "epochs": 9, "learning_rate": 1e-9, "eval_every": 1}
TEXT = {"corpus": "text", "rate": 0.5, "languages": ["en", "de"], "language_alpha": 0.5, "mask_probability": 0.3}
TEXT |= {"batch_size": 4, "max_length": 40}


def build(root: Path) -> Path:
    """Write tokens and data of small tasks and a pretrained encoder; return the folder."""
    tokenizer = make_tokenizer(root / "tokenizer")
    for seed, (name, kind) in enumerate(KINDS.items()):
        if kind.endswith("retrieval"):
            (root / name / "data").mkdir(parents=True)
            for split, count in (("train", 24), ("validation", 9)):
                table = pa.Table.from_pylist(pairs(count, seed), schema=SCHEMA)
                pq.write_table(table, root / name / "data" / f"{split}.parquet")
            write_manifest(root / name / "data")
            (root / name / "tokens").mkdir()
            made = build_tokens(kind, root / name / "data", tokenizer, root / name / "tokens")
            write_manifest(root / name / "tokens", made)
        else:
            tokenised(kind, tokenizer, root / name, train=toy(kind, 24, seed), validation=toy(kind, 9, seed + 50))
    text = {"text": corpus(40), "language": ["en", "de"] * 20}
    tokenised("masked_lm", tokenizer, root / "text", train=text)
    assert run(root, "pretrain", root / "pretrained") == 0
    return root


def entry(name: str) -> dict:
    return task_of(KINDS[name], name).model_dump()


def job(root: Path, what: str) -> tuple[str, dict, dict]:
    """Return (script, spec, inputs): pretrain, a task, `multi`, `co-trained`, `chain`, `impatient` or `long`."""
    tokens, data = (lambda n: root / n / "tokens"), (lambda n: root / n / "data")
    if what == "pretrain":
        spec = {"pretraining": {**PRETRAINING, "steps": 60, "training": OWN}, "seed": 1}
        return "pretrain", spec, {"tokens": tokens("text"), "tokenizer": root / "tokenizer"}
    common, encoder = {"seed": 1, "source_language": "en"}, {"encoder": root / "pretrained"}
    if what in ("multi", "co-trained"):
        tasks = ["nli", "story", "pos", "squad"] if what == "multi" else ["nli"]
        mixing = {"sampling": "proportional", "temperature": 1.0, "examples_cap": 100}
        spec = {"tasks": [{"task": entry(t), "settings": OWN} for t in tasks], "settings": OWN, "mixing": mixing}
        inputs = {"tokens": [tokens(t) for t in tasks], "data": [data(t) for t in tasks]}
        if what == "co-trained":
            spec, inputs = {**spec, "masked_lm": TEXT}, {**inputs, "text": [tokens("text")]}
        return "train_intermediate", {**spec, **common}, {**inputs, **encoder}
    name = what if what in KINDS else "nli"
    own = {"impatient": IMPATIENT, "long": {**OWN, "epochs": 40, "eval_every": 0}}.get(what, OWN)
    spec = {"task": entry(name), "dev_task": entry(name), "settings": own, "depth": "full", "blind": False, **common}
    inputs = {"tokens": tokens(name), "dev_tokens": tokens(name), "dev_data": data(name)}
    if what == "chain":
        steps = {"first": IMPATIENT, "second": OWN}
        spec["chain"] = [{"task": {**entry(name), "task": t}, "settings": s} for t, s in steps.items()]
        inputs |= {"chain_tokens": [tokens(name)] * 2, "chain_data": [data(name)] * 2}
    return "train_target", spec, {**inputs, **encoder}


def run(root: Path, what: str, output: Path) -> int:
    """Run a job in this process; return its status."""
    name, spec, inputs = job(root, what)
    options = ("--threads", "2") if what == "pretrain" else ()  # a process for each shard
    return script(name, spec, output, *options, **inputs)


def in_child(work: Callable[[], int], errors: Path) -> int:
    """Run something in a forked child, its error stream in a file; return its status, 128 + n for a signal."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        sys.stdout = sys.stderr = errors.open("w", buffering=1)
        status = 99
        try:
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


def struck(after: int, number: int, saving: range | None = None) -> None:
    """Let this process get a signal before the end of its `after`-th step, counted over all runs of the job.

    saving: the steps after which a checkpoint may be written, None for all that the interval allows.
    """
    steps, original = [0], Checkpoints.after_step

    def after_step(self: Checkpoints, state, total: int) -> None:
        steps[0] += 1
        if steps[0] == after:
            os.kill(os.getpid(), number)
        if saving is None or steps[0] in saving:
            original(self, state, total)

    Checkpoints.after_step = after_step


def killed(root: Path, what: str, output: Path, after: int, number: int = signal.SIGKILL, saving=None) -> int:
    """Run a job in a child that gets a signal at a step; return its status. Its error stream: `<output>.err`."""

    def work() -> int:
        struck(after, number, saving)
        return run(root, what, output)

    return in_child(work, output.with_name(output.name + ".err"))


class Whole:
    """The results of jobs that were never stopped, each made once: whole(what) is its folder."""

    def __init__(self, root: Path, folder: Path):
        self.root, self.folder = root, folder

    def __call__(self, what: str) -> Path:
        if not (self.folder / what).exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.delenv(FOLDER, raising=False)
                assert run(self.root, what, self.folder / what) == 0
        return self.folder / what


def keep_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let jobs write a checkpoint after each step; return where."""
    monkeypatch.setenv(FOLDER, str(folder / "state"))
    monkeypatch.setenv(MINUTES, ALWAYS)
    return folder / "state"


def files(place: Path) -> list[Path]:
    """Return the checkpoints below a folder, the newest last."""
    return sorted(place.glob("*/*.safetensors"))


def same(a: Path, b: Path) -> bool:
    return (a / "manifest.json").read_bytes() == (b / "manifest.json").read_bytes()


def record(output: Path) -> dict:
    return json.loads((output / "run.json").read_text())
