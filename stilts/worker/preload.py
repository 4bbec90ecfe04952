"""What the resident worker imports, and how a job of an edited project gets none of the project's part of it."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("stilts", "scripts")
FOLDERS = (*PACKAGES, "envs")
# The rules with many jobs. Their scripts' imports, code digests and package versions cost as much as many a job.
SCRIPTS = ("prepare", "tokenize", "train_intermediate", "train_target", "predict", "embed", "mine", "score")
LOADED: dict[str, tuple[int, int, int]] = {}  # the stamps of the project's files as they were imported


def import_packages() -> None:
    """Import what takes seconds."""
    import numpy.ctypeslib  # noqa: F401
    import pandas  # noqa: F401  (pyarrow imports it at the first conversion)
    import pyarrow.dataset
    import pyarrow.parquet  # noqa: F401
    import pydantic
    import safetensors.torch  # noqa: F401
    import tokenizers  # noqa: F401
    import torch  # noqa: F401

    pydantic.create_model("Any", value=(int, ...))  # pydantic imports its parts at the first model


def import_project() -> None:
    """Import the project's code as well, unless there is something wrong with it: its jobs will say what."""
    files = [str(path) for name in FOLDERS for path in (PROJECT / name).rglob("*") if path.is_file()]
    stamps = _stamps(file for file in files if "__pycache__" not in file)
    try:
        from stilts.provenance.code import code_files
        from stilts.provenance.environment import unlocked
        from stilts.provenance.machine import environment

        for name in SCRIPTS:
            importlib.import_module(f"scripts.{name}")
            del sys.modules[f"scripts.{name}"]  # a job runs it as its main module
            code_files(f"scripts.{name}")
            unlocked(name)
        environment()
    except Exception:
        forget()
        return
    # A new file may come before one that was found; its folder is younger then.
    loaded = [getattr(sys.modules[name], "__file__", None) for name in _own()]
    LOADED.update(stamps | _stamps({os.path.dirname(file) for file in loaded if file}))


def is_current(cwd: str, paths: list[str]) -> bool:
    """Return whether a job that imports from a folder, then from `paths`, would import just what is here already."""
    near = [os.path.join(cwd, name + end) for name in PACKAGES for end in ("", ".py")] if cwd != str(PROJECT) else []
    at_home = paths[:1] == [str(PROJECT)] and not any(map(os.path.exists, near))
    return at_home and bool(LOADED) and _stamps(LOADED) == LOADED


def forget() -> None:
    """Let the next import read the project's code afresh."""
    for name in _own():
        del sys.modules[name]


def freeze() -> None:
    """Keep memory that parent and children share from being written to by the garbage collector."""
    gc.collect()
    gc.freeze()


def _own() -> list[str]:
    return [n for n in sys.modules if n.partition(".")[0] in PACKAGES]


def _stamps(paths: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """Return date, size and number of files or folders; of what is gone nothing."""
    found = {}
    for path in paths:
        with suppress(OSError):
            known = os.stat(path)
            found[path] = known.st_mtime_ns, known.st_size, known.st_ino
    return found
