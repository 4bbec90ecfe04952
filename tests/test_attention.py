"""Attention inside flat sequences against the formula, and the blocks in which it is computed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts.model import layout
from stilts.model.attention import attend, attend_nested, attend_padded
from stilts.model.layout import Layout

SIZES = [[7], [5, 5, 5], [2, 11, 3, 7], [48, 2, 17], [30, 4, 29, 4, 28, 5, 5]]


def each_alone(qkv: torch.Tensor, sizes: list[int], count: int) -> torch.Tensor:
    """The formula, one sequence and one head after the other."""
    done = []
    for part in qkv.split(sizes):
        q, k, v = (x.view(len(part), count, -1) for x in part.chunk(3, 1))
        mixed = [(q[:, h] @ k[:, h].T / q.shape[2] ** 0.5).softmax(1) @ v[:, h] for h in range(count)]
        done.append(torch.cat(mixed, 1))
    return torch.cat(done)


@pytest.mark.parametrize("shapes", ["many", "few"])
@pytest.mark.parametrize("way", [attend_padded, attend_nested], ids=lambda f: f.__name__)
@pytest.mark.parametrize("sizes", [*SIZES, [40] * 9], ids=str)
def test_attention_is_the_formula_in_each_sequence(way, sizes, shapes, monkeypatch):
    monkeypatch.setattr(layout, "CALL", 500)
    monkeypatch.setenv(layout.SWITCH, shapes)
    torch.manual_seed(0)
    flat = Layout(torch.tensor(sizes))
    qkv = torch.randn(flat.rows, 24, requires_grad=True)
    weight = torch.randn(flat.total, 8)
    out = way(qkv, flat, 2, 0.0)
    assert out.shape == (flat.rows, 8)
    (out[: flat.total] * weight).sum().backward()
    got, qkv.grad = qkv.grad, None
    wanted = each_alone(qkv[: flat.total], sizes, 2)
    (wanted * weight).sum().backward()
    torch.testing.assert_close(out[: flat.total], wanted, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(got, qkv.grad, atol=1e-6, rtol=1e-5)
    assert not got[flat.total :].any()


@pytest.mark.parametrize("way", [attend_padded, attend_nested], ids=lambda f: f.__name__)
def test_attention_dropout_acts(way):
    flat = Layout(torch.tensor([9, 14, 3]))
    qkv = torch.randn(flat.rows, 24)
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(way(qkv, flat, 2, 0.5)[: flat.total])
    assert torch.equal(runs[0], runs[1])
    assert not torch.allclose(runs[0], runs[2])
    torch.manual_seed(3)
    mean = torch.stack([way(qkv, flat, 2, 0.5)[: flat.total] for _ in range(300)]).mean(0)
    torch.testing.assert_close(mean, way(qkv, flat, 2, 0.0)[: flat.total], atol=0.4, rtol=0)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_gradient_of_padded_attention_is_that_of_its_values(dropout, monkeypatch):
    monkeypatch.setattr(layout, "CALL", 100)
    flat = Layout(torch.tensor([3, 5, 5, 2]))
    assert len(flat.blocks(2).shapes) > 1

    def values(qkv: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)  # the same weights are dropped at every call
        return attend_padded(qkv, flat, 2, dropout)[: flat.total]

    torch.manual_seed(0)
    assert torch.autograd.gradcheck(values, torch.randn(flat.rows, 12, dtype=torch.double, requires_grad=True))


def test_attention_on_a_cpu_is_padded():
    flat = Layout(torch.tensor([9, 14, 3]))
    qkv = torch.randn(flat.rows, 24)
    assert torch.equal(attend(qkv, flat, 2, 0.0), attend_padded(qkv, flat, 2, 0.0))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(2, 70), min_size=1, max_size=30), st.sampled_from([0, 2000, 10**9]), st.sampled_from([1, 3])
)
def test_blocks_hold_every_token_once_and_do_not_waste(sizes, call, parts):
    heads = 2
    before, layout.CALL = layout.CALL, call
    try:
        flat = Layout(torch.tensor(sizes))
        blocks = flat.blocks(heads)
    finally:
        layout.CALL = before
    assert flat.rows % layout.ROWS == 0
    assert flat.total < flat.rows <= flat.total + layout.ROWS
    assert sum(n for n, _ in blocks.shapes) == len(sizes)
    slots = sum(n * longest for n, longest in blocks.shapes)
    assert (slots == flat.total) if call == 0 else (slots <= len(sizes) * max(sizes))

    # A number for every row, part and head, and one more to each: what is taken is looked up by hand.
    numbers = torch.arange(flat.rows * parts * heads).view(flat.rows, parts, heads, 1)
    numbers = torch.cat([numbers, -numbers], -1).float()
    taken = blocks.take(numbers.flatten(1), parts)
    order = sorted(range(len(sizes)), key=lambda k: -sizes[k])  # longest first
    for (n, longest), block, mask in zip(blocks.shapes, taken, blocks.masks, strict=True):
        wanted, shown = torch.empty(parts, n, heads, longest, 2), torch.zeros(n, heads, longest, dtype=bool)
        for place, member in enumerate(order[:n]):
            first = sum(sizes[:member])
            rows = [first + k if k < sizes[member] else flat.total for k in range(longest)]
            wanted[:, place] = numbers[rows].permute(1, 2, 0, 3)
            shown[place, :, : sizes[member]] = True
        assert torch.equal(block, wanted.flatten(1, 2))
        assert shown.all() if mask is None else torch.equal(mask[:, 0] == 0, shown.flatten(0, 1))
        assert shown[0].all()
        order = order[n:]

    empty, rooms = blocks.room(taken[0], parts)
    for room, block in zip(rooms, taken, strict=True):
        room.copy_(block)
    numbers[flat.total :] = 0
    assert torch.equal(blocks.back(empty, parts), numbers.flatten(1))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_padded_attention_in_bf16_is_near_fp32(dropout):
    flat = Layout(torch.tensor([9, 14, 3]))
    torch.manual_seed(0)
    qkv, above = torch.randn(flat.rows, 24), torch.randn(flat.rows, 8)
    above[flat.total :] = 0
    done = []
    for kind in (torch.float32, torch.bfloat16):
        x = qkv.detach().to(kind, copy=True).requires_grad_()
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=kind is torch.bfloat16):
            out = attend_padded(x, flat, 2, dropout)
        out.backward(above.to(kind))
        assert out.dtype == x.grad.dtype == kind
        done.append((out[: flat.total].float(), x.grad.float()))
    torch.testing.assert_close(done[0], done[1], atol=0.05, rtol=0.05)
