"""Energy from the GPU's own counter, or nothing: a number is never estimated from a power rating.

The counter (total energy since the driver was loaded, in millijoule) ticks every 20 to 100 ms.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from stilts.errors import UserError

DRIVER = Path("/proc/driver/nvidia/version")


def energy_counter() -> Callable[[], int] | None:
    """Return a function that reads, in millijoule, the counter of the GPU that the scheduler gave this job.

    None where there is none: no GPU, one that is older than Volta, a slice of one.
    """
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    if not DRIVER.is_file() or not (first.isdigit() or first.startswith("GPU-")):
        return None
    with contextlib.suppress(Exception):  # whatever the driver's library says, the answer is that there is no counter
        import pynvml

        pynvml.nvmlInit()
        by = pynvml.nvmlDeviceGetHandleByIndex if first.isdigit() else pynvml.nvmlDeviceGetHandleByUUID
        handle = by(int(first) if first.isdigit() else first)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        return lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    return None


def joules(before: int, after: int) -> float:
    """Return the energy between two readings in joule.

    Raises UserError where the counter did not rise: it wrapped, or the driver was loaded anew meanwhile.
    """
    if after <= before:
        raise UserError(
            f"the GPU's energy counter went from {before} to {after} mJ: it wrapped or was reset; measure again"
        )
    return (after - before) / 1000
