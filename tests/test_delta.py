"""Compact models: the same tensors and predictions as full ones, small, and only over the encoder they name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from stilts.errors import UserError
from stilts.model.checkpoint import load_encoder, save_encoder
from stilts.model.encoder import Encoder, EncoderConfig
from stilts.model.heads import MaskedLMHead
from stilts.provenance.manifest import write_manifest
from tests.engine_case import random_encoder, random_flat, tiny_config
from tests.rerun_case import copied, merged, tiny, write
from tests.study_case import manifests, snakemake

WORDS = "embeddings.word_embeddings.weight"


def kept(folder: Path, encoder: Encoder, *more, **how) -> Path:
    """Save an encoder with a manifest; return the manifest."""
    save_encoder(folder, encoder, *more, **how)
    return write_manifest(folder)


def trained(encoder: Encoder, rows: list[int], decay: float | None = None) -> Encoder:
    """Change what a run with some embedding rows changes; the others shrink."""
    with torch.no_grad():
        words = encoder.embeddings.word_embeddings.weight
        if decay:
            words *= decay
            encoder.decays.append(decay)
        words[rows] += torch.randn(len(rows), words.shape[1])
        for p in encoder.parameters():
            if p is not words:
                p.add_(0.01 * torch.randn_like(p))
    return encoder


def size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.iterdir())


def same(one: Encoder, other: Encoder) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("named", ["encoder", "masked LM"])
def test_two_trainings_one_after_the_other_come_back_bit_by_bit(tmp_path, named):
    encoder = random_encoder(tiny_config(vocab_size=500))
    head = MaskedLMHead(encoder.config, encoder.embeddings.word_embeddings)
    base = kept(tmp_path / "base", encoder, head if named == "masked LM" else None)
    kept(tmp_path / "first", trained(encoder, [3, 5, 499], 0.98), base=base)
    back, rest = load_encoder(tmp_path / "first", base=base)
    assert same(back, encoder)
    assert (back.decays, rest) == ([0.98], {})
    kept(tmp_path / "second", trained(back, [5, 7], 0.9), base=base)
    told = json.loads((tmp_path / "second" / "delta.json").read_text())
    assert told["decays"] == [0.98, 0.9]
    assert told["rows"] == [4, 500]
    assert same(load_encoder(tmp_path / "second", base=base)[0], back)
    short, _ = load_encoder(tmp_path / "second", 1, base)
    assert all(torch.equal(v, back.state_dict()[k]) for k, v in short.state_dict().items())


def test_a_masked_lm_head_and_rows_that_all_changed_are_kept(tmp_path):
    encoder = random_encoder(tiny_config())
    base = kept(tmp_path / "base", encoder)
    head = MaskedLMHead(encoder.config, encoder.embeddings.word_embeddings)
    kept(tmp_path / "m", trained(encoder, list(range(120))), head, base=base)
    back, rest = load_encoder(tmp_path / "m", base=base)
    assert same(back, encoder)
    assert {k: v.tolist() for k, v in rest.items()} == {
        f"lm_head.{k}": v.tolist() for k, v in head.state_dict().items()
    }


def test_a_backbone_in_half_precision_is_a_base_as_well(tmp_path):
    base = kept(tmp_path / "base", random_encoder(tiny_config()).half())
    encoder, _ = load_encoder(tmp_path / "base")
    kept(tmp_path / "m", trained(encoder, [3, 9], 0.9), base=base)
    assert same(load_encoder(tmp_path / "m", base=base)[0], encoder)
    assert json.loads((tmp_path / "m" / "delta.json").read_text())["rows"] == [2, 120]


def test_only_the_encoder_it_names_will_do(tmp_path):
    encoder = random_encoder(tiny_config())
    base = kept(tmp_path / "base", encoder)
    other = kept(tmp_path / "other", random_encoder(tiny_config(), seed=9))
    kept(tmp_path / "m", trained(encoder, [3]), base=base)
    with pytest.raises(UserError, match=r"no difference to .*other"):
        load_encoder(tmp_path / "m", base=other)
    with pytest.raises(UserError, match="name that one's manifest"):
        load_encoder(tmp_path / "m")
    (tmp_path / "m" / "delta.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        load_encoder(tmp_path / "m", base=base)
    (tmp_path / "base" / "model.safetensors").unlink()
    kept(tmp_path / "full", encoder)
    shutil.copy(tmp_path / "full" / "config.json", tmp_path / "m")
    with pytest.raises(UserError, match=r"base.model\.safetensors is missing"):
        kept(tmp_path / "n", encoder, base=base)


def test_bfloat16_matrices_change_no_prediction_that_is_computed_with_them(tmp_path):
    encoder = trained(random_encoder(tiny_config(), std=0.1), [4]).eval()
    base = kept(tmp_path / "base", random_encoder(tiny_config()))
    kept(tmp_path / "m", encoder, base=base, half=True)
    back = load_encoder(tmp_path / "m", base=base)[0].eval()
    ids, layout = random_flat(encoder.config, [5, 9, 2])
    with torch.no_grad():
        assert not torch.equal(encoder(ids, layout), back(ids, layout)), "fp32 sees the difference"
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(encoder(ids, layout), back(ids, layout))
        assert torch.equal(encoder.bfloat16()(ids, layout), back.bfloat16()(ids, layout))


@pytest.mark.parametrize(
    ("layers", "width", "half", "share"),
    [(12, 4500, False, 0.35), (12, 4500, True, 0.20), (24, 5900, False, 0.57), (24, 5900, True, 0.30)],
)
def test_the_size_of_a_model_with_xlmrs_vocabulary(tmp_path, layers, width, half, share):
    """Layers and embeddings in XLM-R Base's and Large's proportions at less width; 12,000 rows are trained."""
    encoder = Encoder(EncoderConfig(250_002, 96, layers, 12, width, 514))
    base = kept(tmp_path / "base", encoder)
    kept(tmp_path / "m", trained(encoder, list(range(12_000)), 0.99), base=base, half=half)
    found = size(tmp_path / "m") / size(tmp_path / "base")
    print(f"{layers} layers, {'bf16' if half else 'fp32'}: {found:.3f}")
    assert share - 0.03 < found < share


def test_a_compact_study_predicts_the_same(finished, tmp_path):
    """Recipes, controls, retrieval: with models as differences every prediction is the full models', byte for byte."""
    grid = {"targets": ["pawsx", "tatoeba"], "seeds": [1]}
    change = {"grid": grid, "budget": {"depths": ["full"]}, "model_files": "compact", "store": None}
    folder = copied(finished, tmp_path / "compact")
    done = snakemake(folder, "scores", configfile=write(tmp_path / "compact.yaml", merged(tiny(), change)))
    assert done.returncode == 0, done.stdout[-3000:]
    full, compact = (f / "results/tiny" for f in (finished, folder))
    assert manifests(full / "scores") == manifests(compact / "scores")
    assert manifests(full / "predictions") == manifests(compact / "predictions")
    assert manifests(full / "embeddings") == manifests(compact / "embeddings")
    models = {p.parent.relative_to(compact / "models") for p in (compact / "models").rglob("delta.safetensors")}
    assert Path("intermediate/mini/multi/s1") in models
    for recipe in ("none", "multi", "random-init", "blind"):
        tuned = Path(f"target/mini/{recipe}/pawsx/dfull/s1")
        assert tuned in models
        assert size(compact / "models" / tuned) < size(full / "models" / tuned)
