"""What ran a job: recorded in its `run.json`, never a reason to run it again."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any


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


def environment() -> dict[str, Any]:
    """Return what ran this job: versions of the packages already imported, the machine, the attempt."""
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
    versions = {n: metadata.version(n.replace("_", "-")) for n in names if n in sys.modules}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "device": _device(),
        **_driver(),
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
    }
