"""What ran a job: recorded in its `run.json`, never a reason to run it again."""

from __future__ import annotations

import os
import platform
import re
import resource
import sys
from pathlib import Path
from typing import Any

from stilts.errors import UserError
from stilts.provenance.energy import energy_counter, joules
from stilts.provenance.environment import version

# Other ways to compute the same up to rounding and the draws of dropout (docs/performance.md).
SWITCHES = ("STILTS_ATTENTION", "STILTS_SHAPES", "STILTS_COMPILE", "STILTS_LINEAR", "STILTS_ADAMW")


def _device() -> str:
    """Return the name of the GPU that the job used, or "cpu"."""
    torch = sys.modules.get("torch")  # in the resident worker it is there in every job, so being there says nothing
    return torch.cuda.get_device_name() if torch is not None and torch.cuda.is_initialized() else "cpu"


def _driver() -> dict[str, str]:
    """Return the versions of CUDA and of the GPU's driver, where the job used a GPU."""
    if _device() == "cpu":
        return {}
    said = Path("/proc/driver/nvidia/version")
    found = re.search(r"\d+\.\d+(\.\d+)?", said.read_text(encoding="utf-8")) if said.is_file() else None
    return {"cuda": str(sys.modules["torch"].version.cuda), "driver": found[0] if found else "unknown"}


def peak_memory() -> dict[str, int]:
    """Return the largest memory of this process in bytes (torch included), and what torch held on the GPU it used."""
    unit = 1 if sys.platform == "darwin" else 1024
    found = {"memory_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if _device() != "cpu":
        found["gpu_memory_peak"] = sys.modules["torch"].cuda.max_memory_allocated()
    return found


class Meter:
    """The energy of the job's GPU from here to `read`, which other work on the same GPU is part of."""

    def __init__(self) -> None:
        self.counter = energy_counter()
        self.start = self.counter() if self.counter else 0

    def read(self) -> dict[str, float | str]:
        """Return joules, or why there are none; nothing where the job used no GPU that counts."""
        if self.counter is None or _device() == "cpu":
            return {}
        try:
            return {"energy": joules(self.start, self.counter())}
        except UserError as error:
            return {"energy_note": str(error)}


def environment() -> dict[str, Any]:
    """Return what ran this job: versions of the packages already imported, switches in the environment, the machine."""
    names = (
        "torch",
        "tokenizers",
        "sentencepiece",
        "datasets",
        "huggingface_hub",
        "transformers",
        "numpy",
        "pyarrow",
        "pandas",
    )
    versions = {n: version(n.replace("_", "-")) for n in names if n in sys.modules}
    switches = {name: os.environ[name] for name in SWITCHES if name in os.environ}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "device": _device(),
        **_driver(),
        **({"switches": switches} if switches else {}),
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
    }
