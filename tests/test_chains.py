"""Training jobs one after the other: what a recipe, a co-trained recipe and a target's chain hand over, and repeat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM

from stilts.provenance.manifest import read_manifest
from tests.engine_case import corpus, make_tokenizer, settings, task_of, tokenised, toy
from tests.test_engine_scripts import PRETRAINING, script

KINDS = {"nli": "pair_classification", "nli.de": "pair_classification", "story": "multiple_choice"}
KINDS |= {"tale": "multiple_choice", "saga": "multiple_choice", "text": "masked_lm"}
ROWS = {"saga": 192}
MIXING = {"sampling": "proportional", "temperature": 1.0, "examples_cap": 100}
TEXT = {"corpus": "text", "rate": 0.5, "languages": ["en", "de"], "language_alpha": 0.5, "mask_probability": 0.3}
TEXT |= {"batch_size": 4, "max_length": 40}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Return a folder with tokens and data of small tasks, and a pretrained encoder with its masked-LM head."""
    root = tmp_path_factory.mktemp("chains")
    tokenizer = make_tokenizer(root / "tokenizer")
    for seed, (name, kind) in enumerate(KINDS.items()):
        rows = {"train": toy(kind, ROWS.get(name, 24), seed)} if kind != "masked_lm" else {}
        rows |= {"validation": toy(kind, 9, seed + 50)} if rows and name != "nli.de" else {}
        rows = rows or {"train": {"text": corpus(40), "language": ["en", "de"] * 20}}
        tokenised(kind, tokenizer, root / name, **rows)
    inputs = {"tokens": root / "text" / "tokens", "tokenizer": root / "tokenizer"}
    spec = {"pretraining": {**PRETRAINING, "steps": 30}, "seed": 1}
    assert script("pretrain", spec, root / "pretrained", **inputs) == 0
    return root


def recipe(
    root: Path, output: Path, encoder: Path, tasks: list[str], seed: int = 1, own: dict | None = None, **more
) -> dict:
    """Train a recipe; return the facts."""
    own = own or settings(dropout=0.1, eval_every=3)
    entries = [{"task": task_of(KINDS[t], t).model_dump(), "settings": own} for t in tasks]
    spec = {"tasks": entries, "settings": own, "mixing": MIXING, "seed": seed, "source_language": "en", **more}
    inputs = {"tokens": [root / t / "tokens" for t in tasks], "data": [root / t / "data" for t in tasks]}
    inputs["translated"] = [root / f"{t}.de" / "tokens" for t in tasks] if "translated" in more else []
    inputs["text"] = [root / "text" / "tokens"] if "masked_lm" in more else []
    assert script("train_intermediate", spec, output, encoder=encoder, **inputs) == 0
    return read_manifest(output / "manifest.json")["facts"]


def history(folder: Path, name: str = "history.jsonl") -> list[dict]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_a_co_trained_recipe_repeats_byte_for_byte_and_takes_turns(root, tmp_path):
    for name in ("a", "b"):
        facts = recipe(root, tmp_path / name, root / "pretrained", ["nli"], masked_lm=TEXT)
    assert (tmp_path / "a" / "manifest.json").read_bytes() == (tmp_path / "b" / "manifest.json").read_bytes()
    assert facts["items"] == {"nli": 24, "text": 12}
    assert facts["steps"] == 6
    tasks = [h["task"] for h in history(tmp_path / "a")]
    assert sorted(tasks) == ["nli"] * 3 + ["text"] * 3
    assert "dev" in history(tmp_path / "a")[2], "checkpoints are judged on the task's dev data"
    recipe(root, tmp_path / "c", root / "pretrained", ["nli"], seed=2, masked_lm=TEXT)
    assert (tmp_path / "a" / "model.safetensors").read_bytes() != (tmp_path / "c" / "model.safetensors").read_bytes()
    assert AutoModelForMaskedLM.from_pretrained(tmp_path / "a").config.architectures == ["XLMRobertaForMaskedLM"]


def test_co_training_goes_on_with_the_backbones_head(root, tmp_path):
    """All layers frozen, learning rate next to nothing: the head that is saved is the one that was read."""
    still = settings(learning_rate=1e-12, frozen_layers=3)
    recipe(root, tmp_path / "a", root / "pretrained", ["nli"], own=still, masked_lm=TEXT)
    before, after = (load_file(f / "model.safetensors") for f in (root / "pretrained", tmp_path / "a"))
    assert set(before) == set(after)
    assert all(abs(before[k] - after[k]).max() < 1e-6 for k in before)


def test_the_order_of_a_task_is_the_same_with_and_without_co_training(root, tmp_path):
    """With the encoder frozen, text steps cannot reach the task's head: its losses are the same number by number."""
    own = settings(frozen_layers=3, warmup_ratio=0.0, learning_rate=1e-9)
    recipe(root, tmp_path / "a", root / "pretrained", ["nli"], own=own)
    recipe(root, tmp_path / "b", root / "pretrained", ["nli"], own=own, masked_lm=TEXT)
    losses = [[h["loss"] for h in history(tmp_path / n) if h["task"] == "nli"] for n in "ab"]
    assert losses[0] == losses[1]


def test_a_chain_starts_from_the_encoder_of_the_recipe_before(root, tmp_path):
    recipe(root, tmp_path / "first", root / "pretrained", ["nli"])
    recipe(root, tmp_path / "again", tmp_path / "first", ["story"], own=settings(frozen_layers=3))
    recipe(root, tmp_path / "moved", tmp_path / "first", ["story"])
    start, first, again, moved = (
        load_file(f / "model.safetensors")
        for f in (root / "pretrained", *(tmp_path / n for n in ("first", "again", "moved")))
    )
    assert all((first[k] == again[k]).all() for k in first), "frozen, the second recipe leaves the first one's encoder"
    assert any((first[k] != start[f"roberta.{k}"]).any() for k in first)
    assert any((first[k] != moved[k]).any() for k in first)


def test_a_chain_goes_on_from_a_co_trained_recipe(root, tmp_path):
    recipe(root, tmp_path / "first", root / "pretrained", ["nli"], masked_lm=TEXT)
    recipe(root, tmp_path / "next", tmp_path / "first", ["story"], own=settings(frozen_layers=3))
    first, after = (load_file(tmp_path / n / "model.safetensors") for n in ("first", "next"))
    assert all((first[f"roberta.{k}"] == after[k]).all() for k in after)
    assert not [k for k in after if "lm_head" in k]


def test_temperature_draws_the_small_task_more_often(root, tmp_path):
    """192 and 24 rows: 1 step in 9 is the small task's, at temperature 4 about 3 in 8, in a run of the same length."""
    own = settings(epochs=4)
    shares, steps = [], 4 * (24 + 3)
    for sampling, wanted in (("proportional", 1 / 9), ("temperature", 1 / (1 + 8**0.25))):
        mixing = {"sampling": sampling, "temperature": 4.0, "examples_cap": 1000}
        facts = recipe(root, tmp_path / sampling, root / "pretrained", ["saga", "nli"], own=own, mixing=mixing)
        assert (facts["steps"], facts["items"]) == (steps, {"saga": 192, "nli": 24})
        tasks = [h["task"] for h in history(tmp_path / sampling)]
        shares.append(tasks.count("nli") / steps)
        assert shares[-1] == pytest.approx(wanted, abs=3 * (wanted * (1 - wanted) / steps) ** 0.5)
    assert shares[1] - shares[0] > 0.15
    models = [load_file(tmp_path / s / "model.safetensors") for s in ("proportional", "temperature")]
    assert any(abs(models[0][k] - models[1][k]).max() > 1e-4 for k in models[0])


def test_translated_rows_enter_the_run(root, tmp_path):
    more = {"translated": {"languages": ["de"], "source_rows": True}}
    assert recipe(root, tmp_path / "a", root / "pretrained", ["nli"], **more)["items"] == {"nli": 48}
    more = {"translated": {"languages": ["de"], "source_rows": False}}
    assert recipe(root, tmp_path / "b", root / "pretrained", ["nli"], **more)["items"] == {"nli": 24}
    recipe(root, tmp_path / "c", root / "pretrained", ["nli"])
    losses = [[h["loss"] for h in history(tmp_path / n)] for n in "bc"]
    assert losses[0] != losses[1]


# --- a target that is tuned in several steps


def target(root: Path, output: Path, name: str, own: dict, chain: dict[str, dict] | None = None) -> None:
    """Tune a target, with a chain of task -> settings before it."""
    entry = task_of(KINDS[name], name).model_dump()
    spec = {"task": entry, "dev_task": entry, "settings": own, "depth": "full", "seed": 1, "source_language": "en"}
    spec["blind"] = False
    steps = chain or {}
    if steps:
        spec["chain"] = [{"task": task_of(KINDS[t], t).model_dump(), "settings": s} for t, s in steps.items()]
    inputs = {"tokens": root / name / "tokens", "dev_tokens": root / name / "tokens", "dev_data": root / name / "data"}
    inputs |= {"chain_tokens": [root / t / "tokens" for t in steps], "chain_data": [root / t / "data" for t in steps]}
    assert script("train_target", spec, output, encoder=root / "pretrained", **inputs) == 0


STILL = {"learning_rate": 1e-12, "warmup_ratio": 0.0}


def tensors(folder: Path) -> dict:
    return load_file(folder / "model.safetensors") | load_file(folder / "head.safetensors")


def close(a: dict, b: dict) -> bool:
    return set(a) == set(b) and all(abs(a[k] - b[k]).max() < 1e-6 for k in a)


def test_a_chain_hands_over_encoder_and_head(root, tmp_path):
    """A last step that hardly moves leaves what the step before it made, head included."""
    own = settings(eval_every=2)
    target(root, tmp_path / "one", "tale", own)
    target(root, tmp_path / "chained", "story", settings(**STILL), {"tale": own})
    target(root, tmp_path / "other", "story", settings(**STILL))
    assert close(tensors(tmp_path / "one"), tensors(tmp_path / "chained"))
    assert not close(tensors(tmp_path / "other"), tensors(tmp_path / "chained"))
    assert [h["task"] for h in history(tmp_path / "chained", "history.tale.jsonl")] == ["tale"] * 3
    assert [h["task"] for h in history(tmp_path / "chained")] == ["story"] * 3
    assert read_manifest(tmp_path / "chained" / "manifest.json")["facts"]["chain"] == ["tale"]


def test_a_chain_repeats_byte_for_byte_and_depends_on_every_step(root, tmp_path):
    own = settings(dropout=0.1)
    for name in ("a", "b"):
        target(root, tmp_path / name, "story", own, {"tale": own})
    target(root, tmp_path / "c", "story", own, {"tale": settings(dropout=0.1, epochs=2)})
    one, same, other = ((tmp_path / n / "model.safetensors").read_bytes() for n in "abc")
    assert one == same != other


def test_layers_that_one_step_froze_are_trained_by_the_next(root, tmp_path):
    target(root, tmp_path / "a", "story", settings(), {"tale": settings(frozen_layers=3)})
    before = load_file(root / "pretrained" / "model.safetensors")
    after = load_file(tmp_path / "a" / "model.safetensors")
    moved = [k for k in after if (after[k] != before[f"roberta.{k}"]).any()]
    assert "embeddings.word_embeddings.weight" in moved
    assert any(".layer.0." in k for k in moved)
