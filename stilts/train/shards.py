"""The gradient of a batch that is cut into shards, which several processes compute side by side (on a CPU).

The operations of a small encoder are too short for threads to share. Processes share the weights and hand back the
gradients of whole shards in memory that they have in common. The sum has the same bits however many processes there
are: every shard draws its own random numbers, and gradients are added in the order of the shards.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import numpy as np
import torch
from torch import Tensor, nn

from stilts.train.resume import SIGNALS

ALIGNED = 16  # numbers: a tensor begins where torch's own would, at a multiple of 64 bytes
FIRST = 0.85  # of another shard's tokens: the process of the first one also makes the batches and moves the weights
Arrays = tuple[np.ndarray, ...]  # what one shard holds


def cut(lengths: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the sequences of each of `count` shards, shortest first, without empty shards.

    All hold about as many tokens, but for the first (`FIRST`). Sequences of one shard have similar lengths, which
    attention computes with less padding.
    """
    order = np.argsort(lengths, kind="stable")
    middles = lengths[order].cumsum() - lengths[order] / 2
    bounds = np.searchsorted(middles, lengths.sum() * (np.arange(count - 1) + FIRST) / (count - 1 + FIRST))
    return [part for part in np.split(order, bounds) if len(part)]


class Shards:
    """Computes gradients, alone or (as a context) with helpers; a helper's fate is that of the whole.

    parameters: fp32, with gradients for all; loss_of(*arrays): a shard's share of the loss; count: shards of a batch at
    most; processes: this one included.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], loss_of: Callable[..., Tensor], count: int, processes: int):
        self.parameters, self.loss_of, self.processes = list(parameters), loss_of, min(processes, count)
        self.cpu_seconds = 0.0  # of the helpers
        self.helpers: list[tuple[BaseProcess, Connection]] = []
        self.rooms = [_room(self.parameters) for _ in range(count if self.processes > 1 else 0)]

    def __enter__(self) -> Shards:
        if self.processes > 1:
            with torch.no_grad():
                for parameter, shared in zip(self.parameters, _room(self.parameters), strict=True):
                    parameter.data = shared.copy_(parameter)
        try:
            for _ in range(self.processes - 1):
                self._start_helper()
        except OSError as error:  # a limit on processes or memory: fewer come to the same
            self.helpers = [(helper, pipe) for helper, pipe in self.helpers if helper.pid is not None]
            self.processes = 1 + len(self.helpers)
            reason = error.strerror or error
            print(f"note: no further process can be started ({reason}); {self.processes} compute", file=sys.stderr)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for _, pipe in self.helpers:
            pipe.close()
        for helper, _ in self.helpers:
            if helper.pid is not None:
                helper.join()

    def _start_helper(self) -> None:
        ours, theirs = get_context("fork").Pipe()
        helper = get_context("fork").Process(target=self._help, args=(theirs,), daemon=True)
        self.helpers.append((helper, ours))
        with theirs:
            helper.start()

    def backward(self, seed: Sequence[int], shards: Sequence[Arrays]) -> float:
        """Compute the gradients of a batch, the sum over its shards; return its loss.

        seed: numbers that tell this batch from all others.
        """
        share = -(-len(shards) // self.processes)  # whole shards, this process the first ones
        for n, (helper, pipe) in enumerate(self.helpers, start=1):
            with _sharing_the_fate_of(helper):
                pipe.send((seed, n * share, shards[n * share : (n + 1) * share]))
        losses = [self._add((*seed, k), arrays) for k, arrays in enumerate(shards[:share])]
        for helper, pipe in self.helpers:
            with _sharing_the_fate_of(helper):
                theirs, seconds = pipe.recv()
            for loss in theirs:
                torch._foreach_add_([p.grad for p in self.parameters], self.rooms[len(losses)])
                losses.append(loss)
            self.cpu_seconds += seconds
        return sum(losses)

    def _add(self, seed: Sequence[int], arrays: Arrays) -> float:
        """Add a shard's gradients to those of the parameters; return its loss."""
        self._reseed(int.from_bytes(blake2b(repr((*seed,)).encode(), digest_size=8).digest()))
        loss = self.loss_of(*arrays)
        loss.backward()
        return loss.item()

    def _reseed(self, seed: int) -> None:
        """Seed torch's generator where the weights lie; `torch.manual_seed` seeds all there are, in 0.1 ms."""
        if self.parameters[0].is_cuda:
            torch.cuda.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)

    def _help(self, pipe: Connection) -> None:
        """Compute what is asked for, until whoever asks is gone; signals are theirs to heed."""
        for _, other in self.helpers:  # the asking ends: one kept open here would keep its helper waiting
            other.close()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        with suppress(EOFError, ConnectionError):
            while True:
                seed, first, shards = pipe.recv()
                before, losses = time.process_time(), []
                for k, arrays in enumerate(shards, start=first):
                    for parameter in self.parameters:
                        parameter.grad = None
                    losses.append(self._add((*seed, k), arrays))
                    torch._foreach_copy_(self.rooms[k], [p.grad for p in self.parameters])
                pipe.send((losses, time.process_time() - before))


@contextmanager
def _sharing_the_fate_of(helper: BaseProcess) -> Iterator[None]:
    """End as a helper ended, if it is gone when its pipe is used."""
    try:
        yield
    except (EOFError, OSError):
        helper.join()
        print(f"error: a process that computed a part of the batch ended ({helper.exitcode})", file=sys.stderr)
        if helper.exitcode < 0:  # such as the kernel's, for want of memory: whoever waits for this process may know
            os.kill(os.getpid(), -helper.exitcode)
        raise SystemExit(1) from None


def _room(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """Return tensors of the parameters' shapes in memory that forked processes have in common."""
    sizes = [-(-p.numel() // ALIGNED) * ALIGNED for p in parameters]
    flat = torch.frombuffer(mmap.mmap(-1, 4 * sum(sizes)), dtype=torch.float32)
    return [piece[: p.numel()].view_as(p) for piece, p in zip(flat.split(sizes), parameters, strict=True)]
