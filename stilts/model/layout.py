"""Where flat sequences lie: their first tokens, their positions, and the blocks in which attention computes them."""

from __future__ import annotations

import os
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

SWITCH = "STILTS_SHAPES"
ROWS = 32  # states are computed in multiples of so many rows: kernels are made for few shapes, and made once
STEPS = 8  # numbers of rows between a power of two and the next, where there are few
CALL = 4000  # work of one call of the attention kernel, in the units of `_work`


class Layout:
    """Flat sequences of given lengths.

    lengths: [B] tokens of each sequence, on the CPU; device: where the batch lies. Attributes: `starts` [B] index of
    each first token, `positions` [N] index inside the sequence, `rows`: N and at least one row more, which belongs to
    no sequence, up to a multiple of ROWS. On a GPU, and elsewhere with STILTS_SHAPES=few in the environment (many: not
    on a GPU either), up to one of STEPS numbers an octave: at most an eighth more, and batches share their shapes.
    """

    def __init__(self, lengths: Tensor, device: torch.device | str = "cpu"):
        self.sizes, self.device = lengths.numpy(), torch.device(device)
        self.batch, self.longest, self.total = len(lengths), int(lengths.max()), int(lengths.sum())
        few = os.environ.get(SWITCH, "many" if self.device.type == "cpu" else "few") == "few"
        step = max(ROWS, 2 ** (self.total.bit_length() - 1) // STEPS) if few else ROWS
        self.rows = (self.total // step + 1) * step
        first = self.sizes.cumsum() - self.sizes
        self.first, self.place = first, np.arange(self.total) - first.repeat(self.sizes)
        self.lengths, self.starts, self.positions = (self._there(x) for x in (self.sizes, first, self.place))
        self._blocks: dict[int, Blocks] = {}

    def _there(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    @cached_property
    def index(self) -> Tensor:
        """Index of each token in the flattened B x T block, [N]."""
        return self._there(np.arange(self.batch).repeat(self.sizes) * self.longest + self.place)

    def pad(self, flat: Tensor, fill: float = 0.0) -> Tensor:
        """Return [B, T, ...] from flat [N, ...]; missing places hold `fill`."""
        block = flat.new_full((self.batch * self.longest, *flat.shape[1:]), fill)
        return block.index_copy(0, self.index, flat).view(self.batch, self.longest, *flat.shape[1:])

    def flatten(self, block: Tensor) -> Tensor:
        """Return flat [N, ...] from [B, T, ...]; the inverse of `pad`."""
        return block.flatten(0, 1).index_select(0, self.index)

    @cached_property
    def pieces(self) -> tuple[Tensor, int, int]:
        """Where each sequence begins, then the rows behind them in pieces no longer than the longest, then the end;
        the shortest and the longest of them all.
        """
        behind = np.arange(self.total, self.rows, self.longest)
        offsets = np.concatenate([self.first, behind, [self.rows]])
        sizes = np.diff(offsets)
        return self._there(offsets), int(sizes.min()), int(sizes.max())

    def blocks(self, heads: int) -> Blocks:
        """Return the sequences in blocks of similar length, for attention of so many heads; made once."""
        if heads not in self._blocks:
            self._blocks[heads] = Blocks(self, heads)
        return self._blocks[heads]


class Blocks:
    """Sequences sorted by length and padded to that of the longest beside them, one block after the other.

    A block holds the heads of its sequences one by one, [parts, sequences * heads, length, size]; parts are 3 (queries,
    keys, values) or 1. Attributes: `shapes` (sequences, length) of each block, `masks` of each, [sequences * heads, 1,
    length] (0 at tokens, -inf elsewhere; None when nothing is padded).
    """

    def __init__(self, layout: Layout, heads: int):
        self.layout, self.heads, self.shapes, self.masks, self._rows = layout, heads, [], [], []
        self._indices: dict[int, tuple[Tensor, Tensor]] = {}
        for members in _similar(layout.sizes):
            column = np.arange(layout.sizes[members[0]])
            real = column < layout.sizes[members, None]
            self._rows.append(np.where(real, layout.first[members, None] + column, layout.total))
            self.shapes.append(real.shape)
            mask = np.where(real, 0.0, -np.inf).astype(np.float32).repeat(heads, 0)[:, None]
            self.masks.append(None if real.all() else torch.from_numpy(mask).to(layout.device))

    def take(self, x: Tensor, parts: int) -> list[Tensor]:
        """Return what each block holds of rows x [rows, parts * heads * size]; empty slots show a row behind the
        sequences.
        """
        slots = x.reshape(len(x) * parts * self.heads, -1)
        return self._split(slots.index_select(0, self._index(parts)[0]), parts)

    def room(self, x: Tensor, parts: int) -> tuple[Tensor, list[Tensor]]:
        """Return slots to be filled, of the type and size of what was taken, and the view of them for each block."""
        slots = x.new_empty(len(self._index(parts)[0]) + 1, x.shape[-1])
        slots[-1] = 0
        return slots, self._split(slots[:-1], parts)

    def back(self, slots: Tensor, parts: int) -> Tensor:
        """Return rows [rows, parts * heads * size] of slots; those behind the sequences are 0."""
        return slots.index_select(0, self._index(parts)[1]).view(self.layout.rows, -1)

    def _split(self, slots: Tensor, parts: int) -> list[Tensor]:
        pieces = slots.split([parts * self.heads * n * length for n, length in self.shapes])
        shapes = [(parts, self.heads * n, length, -1) for n, length in self.shapes]
        return [piece.view(shape) for piece, shape in zip(pieces, shapes, strict=True)]

    def _index(self, parts: int) -> tuple[Tensor, Tensor]:
        """Return, where rows are cut into parts and heads, the piece of each slot, and the slot of each piece (of the
        pieces behind the sequences one slot more).
        """
        if parts not in self._indices:
            inside = np.arange(parts * self.heads).reshape(parts, 1, self.heads, 1)
            pieces = [(rows * inside.size)[:, None] + inside for rows in self._rows]
            take = np.concatenate([p.ravel() for p in pieces])
            full = np.flatnonzero(take < self.layout.total * inside.size)
            back = np.full(self.layout.rows * inside.size, len(take))
            back[take[full]] = full
            device = self.layout.device
            self._indices[parts] = torch.from_numpy(take).to(device), torch.from_numpy(back).to(device)
        return self._indices[parts]


def _similar(sizes: np.ndarray) -> list[np.ndarray]:
    """Split sequences, longest first, where padding all that follow would cost more work than another call."""
    order = np.argsort(-sizes, kind="stable")
    work = _work(sizes[order]).tolist()
    cuts, waste, longest = [], 0, work[0]
    for k, own in enumerate(work):
        waste += longest - own
        if waste > CALL:
            cuts.append(k)
            waste, longest = 0, own
    return np.split(order, cuts)


def _work(sizes: np.ndarray) -> np.ndarray:
    """Return what attention inside sequences of these lengths costs (fitted to measured times on one CPU)."""
    return sizes * (sizes + 40)
