"""What a prediction costs by measurement: latency of single queries, throughput, memory, energy.

Every arm (a budget point) is measured twice over the same queries, as two identical arms A and A', and all arms take
turns in short blocks. Half the difference of the two is the spread of a number: smaller differences between points say
nothing. Percentiles are printed only over as many queries as MLPerf's loadgen asks for.
"""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from stilts.provenance.energy import energy_counter, joules

WINDOW = 10.0  # seconds of an energy measurement; a tick of the counter is at most 1 % of it
WARM_UP = 20  # queries of an arm before its clock counts
BLOCK = 8  # queries of one arm in a row
PERCENTILES = {"p50": (50, 1), "p90": (90, 64), "p99": (99, 662)}  # percentile, queries it takes
NOISY = 0.03  # relative difference of the CPU time of two identical arms
SPANS = ("tokenise", "transfer", "compute")


@dataclass
class Arm:
    """One budget point, ready to run.

    query(i): answer query i alone, and return the seconds of each span; offline(): answer all `examples` in batches.
    """

    name: str
    query: Callable[[int], tuple[float, ...]]
    offline: Callable[[], None]
    examples: int
    seconds: list[list[tuple[float, ...]]] = field(default_factory=lambda: [[], []])
    cpu: list[float] = field(default_factory=lambda: [0.0, 0.0])
    rates: list[float] = field(default_factory=list)


class Measure(NamedTuple):
    """One measured cost; value None where there is none."""

    cost: str
    value: float | None
    unit: str
    spread: float | None
    n: int
    note: str = ""


def measure(arms: Sequence[Arm], queries: int, device: torch.device) -> dict[str, list[Measure]]:
    """Return arm -> its measurements; queries: how many each arm answers alone, half of them as A and half as A'."""
    half = max(1, queries // 2)
    for arm in arms:
        for i in range(WARM_UP):
            arm.query(i % half)
        arm.offline()
    for start in range(0, half, BLOCK):
        for twin in (0, 1):
            for arm in arms if (start // BLOCK + twin) % 2 == 0 else reversed(arms):
                cpu = time.process_time()
                arm.seconds[twin] += [arm.query(i) for i in range(start, min(half, start + BLOCK))]
                arm.cpu[twin] += time.process_time() - cpu
    for arm in (*arms, *reversed(arms)):
        start = time.perf_counter()
        arm.offline()
        arm.rates.append(arm.examples / (time.perf_counter() - start))
    return {arm.name: [*latencies(arm.seconds, arm.cpu), *_offline(arm, device)] for arm in arms}


def latencies(seconds: Sequence[Sequence[tuple[float, ...]]], cpu: Sequence[float]) -> list[Measure]:
    """Return latencies and spans of two twins; seconds: [twin][query][span]; cpu: seconds of each twin."""
    twins = [np.asarray(twin) for twin in seconds]
    n = sum(len(twin) for twin in twins)
    noise = abs(cpu[0] - cpu[1]) / max(min(cpu), 1e-9)
    note = f"the machine was too noisy: two identical arms differ by {noise:.0%} of CPU time" if noise > NOISY else ""
    wholes = [twin[:, 1:].sum(axis=1) for twin in twins]  # tokenising is a span of its own
    found = []
    for name, (percent, enough) in PERCENTILES.items():
        if n >= enough:
            found.append(_pair(f"latency_{name}", [np.percentile(w, percent) for w in wholes], "s", n, note))
        else:
            found.append(Measure(f"latency_{name}", None, "s", None, n, f"takes {enough} queries"))
    for k, span in enumerate(SPANS):
        found.append(_pair(f"{span}_p50", [np.percentile(twin[:, k], 50) for twin in twins], "s", n, note))
    found.append(_pair("cpu_seconds", [c / len(t) for c, t in zip(cpu, twins, strict=True)], "s/query", n, note))
    return found


def _pair(cost: str, values: Sequence[float], unit: str, n: int, note: str = "") -> Measure:
    a, b = map(float, values)
    return Measure(cost, (a + b) / 2, unit, abs(a - b) / 2, n, note)


def apart(a: Measure, b: Measure) -> bool:
    """Whether two measurements differ by more than their spreads; otherwise no difference may be printed."""
    if a.value is None or b.value is None:
        return False
    return abs(a.value - b.value) > (a.spread or 0.0) + (b.spread or 0.0)


def _offline(arm: Arm, device: torch.device) -> list[Measure]:
    """Return throughput, the peak memory of a pass, and the energy of many where there is a counter."""
    rate = _pair("throughput", arm.rates, "examples/s", arm.examples, "higher is better")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        arm.offline()
        held = float(torch.cuda.max_memory_allocated(device))
        peak = Measure("memory_peak", held, "bytes", None, arm.examples, "torch, on GPU")
    else:
        peak = _resident_peak(arm)
    counter = energy_counter() if device.type == "cuda" else None
    if counter is None:
        return [rate, peak, Measure("energy", None, "J/example", None, 0, "this device has no energy counter")]
    energy = []
    for _ in range(2):
        before, start, done = counter(), time.perf_counter(), 0
        while time.perf_counter() - start < WINDOW:
            arm.offline()
            done += arm.examples
        energy.append(joules(before, counter()) / done)
    return [rate, peak, _pair("energy", energy, "J/example", done, f"gross, windows of {WINDOW:.0f} s")]


def _resident_peak(arm: Arm) -> Measure:
    """Return the largest resident memory of the process during a pass, where the system can start it afresh."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")
        arm.offline()
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        peak = float(found[1]) * 1024 if found else None
    except OSError:
        peak = None
    note = "of the whole process, interpreter and torch included" if peak else "this system does not tell"
    return Measure("memory_peak", peak, "bytes", None, arm.examples, note)
