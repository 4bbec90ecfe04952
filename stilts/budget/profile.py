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
NOISY = 0.03  # relative difference of the CPU time of two identical arms; share of the time spent waiting for a core
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
    waited: float = 0.0
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
    counter = energy_counter() if device.type == "cuda" else None
    idle = idle_power(counter) if counter else 0.0
    for arm in arms:
        arm.offline()
    measure_queries(arms, queries)
    for arm in (*arms, *reversed(arms)):
        start = time.perf_counter()
        arm.offline()
        arm.rates.append(arm.examples / (time.perf_counter() - start))
    found = {
        arm.name: [*latencies(arm.seconds, arm.cpu, arm.waited), *_offline(arm, device), *energies(arm, counter, idle)]
        for arm in arms
    }
    first = found[arms[0].name]
    return {name: [_against(m, f, arms[0].name) for m, f in zip(of, first, strict=True)] for name, of in found.items()}


def measure_queries(arms: Sequence[Arm], queries: int) -> None:
    """Answer single queries in turn, after some that do not count; what they took is kept in the arms."""
    half = max(1, queries // 2)
    for arm in arms:
        for i in range(WARM_UP):
            arm.query(i % half)
    for start in range(0, half, BLOCK):
        for twin in (0, 1):
            for arm in arms if (start // BLOCK + twin) % 2 == 0 else reversed(arms):
                cpu, waited = time.process_time(), waited_for_a_core()
                arm.seconds[twin] += [arm.query(i) for i in range(start, min(half, start + BLOCK))]
                arm.cpu[twin] += time.process_time() - cpu
                arm.waited += waited_for_a_core() - waited


def waited_for_a_core() -> float:
    """Return the seconds that this thread could have run and other work had the core; 0 where no system tells."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def latencies(
    seconds: Sequence[Sequence[tuple[float, ...]]], cpu: Sequence[float], waited: float = 0.0
) -> list[Measure]:
    """Return latencies and spans of two twins.

    seconds: [twin][query][span]; cpu: seconds of each twin; waited: seconds without a core, of both.
    """
    twins = [np.asarray(twin) for twin in seconds]
    n = sum(len(twin) for twin in twins)
    noise = abs(cpu[0] - cpu[1]) / max(min(cpu), 1e-9)
    waiting = waited / max(sum(float(twin.sum()) for twin in twins), 1e-9)
    reasons = [f"two identical arms differ by {noise:.0%} of CPU time"] if noise > NOISY else []
    reasons += [f"{waiting:.0%} of the time went by waiting for a core"] if waiting > NOISY else []
    note = f"the machine was too noisy: {', '.join(reasons)}" if reasons else ""
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


def _against(measure: Measure, first: Measure, name: str) -> Measure:
    """Return a measurement that says so where it cannot be told from that of the first arm."""
    if measure is first or None in (measure.value, measure.spread, first.value) or apart(measure, first):
        return measure
    return measure._replace(note="; ".join(filter(None, [measure.note, f"within the spread of {name}"])))


def _offline(arm: Arm, device: torch.device) -> list[Measure]:
    """Return throughput and the peak memory of a pass."""
    rate = _pair("throughput", arm.rates, "examples/s", arm.examples, "higher is better")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        arm.offline()
        held = float(torch.cuda.max_memory_allocated(device))
        return [rate, Measure("memory_peak", held, "bytes", None, arm.examples, "torch, on GPU")]
    return [rate, _resident_peak(arm)]


def energies(arm: Arm, counter: Callable[[], int] | None, idle: float) -> list[Measure]:
    """Return the energy of an example, gross and without what the device takes at rest (idle, in watt)."""
    names, unit = ("energy", "energy_above_idle"), "J/example"
    if counter is None:
        return [Measure(name, None, unit, None, 0, "this device has no energy counter") for name in names]
    windows = [_window(counter, arm.offline) for _ in range(2)]
    n = sum(passes for _, _, passes in windows) * arm.examples
    gross = [spent / (passes * arm.examples) for spent, _, passes in windows]
    above = [(spent - idle * seconds) / (passes * arm.examples) for spent, seconds, passes in windows]
    found = [_pair("energy", gross, unit, n, f"gross, windows of {WINDOW:.0f} s")]
    if min(above) > 0:
        return [*found, _pair(names[1], above, unit, n, f"above {idle:.1f} W at rest")]
    return [
        *found,
        Measure(names[1], None, unit, None, n, f"no more than the {idle:.1f} W at rest: no share of its own"),
    ]


def idle_power(counter: Callable[[], int]) -> float:
    """Return what the device takes at rest, models loaded, in watt."""
    spent, seconds, _ = _window(counter, lambda: time.sleep(WINDOW / 100))
    return spent / seconds


def _window(counter: Callable[[], int], act: Callable[[], object]) -> tuple[float, float, int]:
    """Return (joule, seconds, times) of acting again and again for a window."""
    before, start, times = counter(), time.perf_counter(), 0
    while time.perf_counter() - start < WINDOW:
        act()
        times += 1
    return joules(before, counter()), time.perf_counter() - start, times


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
