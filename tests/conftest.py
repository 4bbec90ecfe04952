"""What all tests share: one thread a process, no network by accident, repeatable property tests."""

from __future__ import annotations

import os
from pathlib import Path

# Before torch or tokenizers are imported by anything: tests run side by side, one thread each.
os.environ.update(
    OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", HF_HUB_DISABLE_TELEMETRY="1"
)

import hypothesis
import pytest

hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def hub_mirror() -> Path:
    """Return the folder with real data in hub layout that lies beside some clones; skips where there is none."""
    folder = ROOT.parent / "shared" / "hub"
    if not folder.is_dir():
        pytest.skip("no real data beside this clone (../shared/hub)")
    return folder
