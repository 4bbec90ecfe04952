"""What ran a job: recorded in its `run.json`, never a reason to run it again."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import Any


def _device() -> str:
    """Return the name of the GPU that the job used, or "cpu"."""
    torch = sys.modules.get("torch")  # in the resident worker it is there in every job, so being there says nothing
    return torch.cuda.get_device_name() if torch is not None and torch.cuda.is_initialized() else "cpu"


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
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
    }
