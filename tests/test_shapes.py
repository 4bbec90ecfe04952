"""Few shapes of batches, and what is compiled for each of them."""

from __future__ import annotations

import pytest
import torch

from stilts.errors import UserError
from stilts.model import encoder, layout, linear
from stilts.model.layout import Layout
from tests.engine_case import random_encoder, tiny_config


def test_few_shapes_are_few_and_waste_little(monkeypatch):
    monkeypatch.setenv(layout.SWITCH, "few")
    rows = {}
    for total in range(1, 5000):
        flat = Layout(torch.tensor([total]))
        assert total < flat.rows <= total + max(layout.ROWS, total // layout.STEPS)
        rows[total] = flat.rows
        offsets, shortest, longest = flat.pieces
        assert (int(offsets[0]), int(offsets[-1])) == (0, flat.rows)
        assert 0 < shortest <= longest == max(total, shortest)
    assert len({rows[total] for total in range(1024, 2048)}) == layout.STEPS
    assert len(set(rows.values())) <= 45


@pytest.mark.parametrize("products", ["", "torch"])
def test_compiled_layers_give_the_same_and_compile_once_a_shape(products, monkeypatch):
    """Traced whole and run by torch's own kernels; what a compiler makes of it is the compiler's."""
    from torch._dynamo.testing import CompileCounterWithBackend

    monkeypatch.setenv(layout.SWITCH, "few")
    monkeypatch.setenv(linear.SWITCH, products)
    model = random_encoder(tiny_config())
    batches = [[9, 14, 3], [20, 5], [30, 40, 45, 46]]
    assert len({Layout(torch.tensor(sizes)).rows for sizes in batches}) == 2

    def gradients() -> list[torch.Tensor]:
        found = []
        for sizes in batches:
            torch.manual_seed(len(sizes))
            model.zero_grad(set_to_none=True)
            states = model(torch.randint(4, tiny_config().vocab_size, (sum(sizes),)), Layout(torch.tensor(sizes)))
            (states * torch.randn(states.shape)).sum().backward()
            found += [states.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]
        return found

    plain = gradients()
    counter = CompileCounterWithBackend("aot_eager")
    compiler = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, mode, **how: compiler(f, backend=counter, **how))
    monkeypatch.setenv(encoder.SWITCH, "default")
    encoder._compiled.cache_clear()
    torch._dynamo.reset()
    compiled = gradients()
    assert counter.frame_count == 2, "a compilation for each number of rows, whatever the layer and the batch"
    assert gradients()[0] is not None
    assert counter.frame_count == 2
    for wanted, got in zip(plain, compiled, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-5)
    encoder._compiled.cache_clear()


def test_a_mode_that_no_compiler_has_is_named(monkeypatch):
    monkeypatch.setenv(encoder.SWITCH, "1")
    with pytest.raises(UserError, match=r"STILTS_COMPILE=1 .* choose one of default, reduce-overhead"):
        encoder.row_by_row()
