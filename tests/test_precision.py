"""Number formats at prediction: against the plain product, the fp32 encoder, and every way to make batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stilts.errors import UserError
from stilts.model.encoder import Encoder, EncoderConfig, Layout, initialise
from stilts.model.quantise import QuantisedLinear, set_precision

CPU = torch.device("cpu")


def encoder_of(precision):
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(500, 64, 3, 4, 128, 66)).eval()
    initialise(encoder, 0.1)
    set_precision(encoder, precision, CPU)
    return encoder


def states(encoder, lengths, ids):
    with torch.no_grad():
        return encoder(ids, Layout(torch.tensor(lengths))).float()


def test_int8_is_the_product_of_rounded_numbers():
    rng = np.random.default_rng(1)
    x, w, b = rng.normal(size=(7, 32)), rng.normal(size=(5, 32)), rng.normal(size=5)
    x[3] = 0.0  # a row without a scale
    steps = [np.abs(m).max(1, keepdims=True) / 127 for m in (x, w)]
    rounded = [
        np.divide(m, s, where=s > 0, out=np.zeros_like(m)).round() * s for m, s in zip((x, w), steps, strict=True)
    ]
    layer = QuantisedLinear(torch.tensor(w).float(), torch.tensor(b).float(), torch.int8)
    assert np.allclose(layer(torch.tensor(x).float()).numpy(), rounded[0] @ rounded[1].T + b, atol=1e-4)


@pytest.mark.parametrize(("precision", "low", "high"), [("bf16", 1e-4, 0.1), ("int8", 1e-4, 0.1), ("fp32", -1.0, 0.0)])
def test_a_precision_is_near_fp32_and_not_fp32(precision, low, high):
    ids = torch.randint(500, (40,), generator=torch.Generator().manual_seed(1))
    exact = states(encoder_of("fp32"), [10, 30], ids)
    error = float((states(encoder_of(precision), [10, 30], ids) - exact).abs().mean() / exact.abs().mean())
    assert low < error <= high


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_batch_does_not_change_its_sequences(precision):
    encoder, ids = encoder_of(precision), torch.randint(500, (40,), generator=torch.Generator().manual_seed(2))
    together, alone = states(encoder, [10, 30], ids), states(encoder, [10], ids[:10])
    assert (together[:10] - alone).abs().max() < 1e-4  # per-tensor scales would differ by 1e-2


def test_int8_is_a_quarter_of_the_layers():
    sizes = {
        p: sum(t.numel() * t.element_size() for t in encoder_of(p).layers.state_dict().values())
        for p in ("fp32", "bf16", "int8")
    }
    assert sizes["bf16"] == sizes["fp32"] / 2
    assert sizes["int8"] < 0.3 * sizes["fp32"]


def test_a_device_that_cannot_is_named_and_nothing_falls_back():
    with pytest.raises(UserError, match=r"fp8 needs a GPU of compute capability 8.9.* the CPU.*budget.precisions"):
        encoder_of("fp8")
    with pytest.raises(UserError, match=r"int8 is for CPUs.*cuda"):
        set_precision(Encoder(EncoderConfig(50, 8, 1, 2, 8, 10)), "int8", torch.device("cuda"))
