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
    folder = Path(os.environ.get("STILTS_HUB_MIRROR") or ROOT.parent / "shared" / "hub")
    if not folder.is_dir():
        pytest.skip("no real data beside this clone (../shared/hub), and STILTS_HUB_MIRROR names none")
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """Return a folder (with a space in its name) where the tiny study has run once for all tests; leave it as it is."""
    from filelock import FileLock

    from tests.study_case import snakemake

    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / "a study"
    with FileLock(base / "study.lock"):
        if not (folder / "output.txt").is_file():
            folder.mkdir(exist_ok=True)
            done = snakemake(folder)
            assert done.returncode == 0, done.stdout[-6000:]
            (folder / "output.txt").write_text(done.stdout)
    return folder
