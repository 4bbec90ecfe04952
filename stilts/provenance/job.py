"""What every script of the workflow shares: arguments, a clean output folder, `run.json`, and readable failures.

A script is `python -m scripts.<rule> --spec JSON --<input> MANIFEST... --output MANIFEST`. Its output folder is
the manifest's parent. Results are made in a sibling folder and renamed at the end, so that a folder with a
manifest is whole and a failed job leaves nothing behind.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from stilts.errors import UserError
from stilts.provenance.manifest import MANIFEST, RUN, SPEC, dump_json, read_manifest, write_atomic, write_manifest

Work = Callable[[dict[str, Any], argparse.Namespace, Path], dict[str, Any] | None]


def run_job(work: Work, inputs: dict[str, str], argv: list[str] | None = None) -> int:
    """Run one job and return its exit status.

    work(spec, args, folder) writes its files below `folder` and returns the facts of the manifest; the key
    "run" of what it returns goes to run.json instead. inputs: option name -> argparse nargs ("" for one value,
    "+" or "*" for many, "?" for an optional one); those that are manifests are checked against their folders before
    any work. A UserError becomes one message and status 2.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {sys.modules[work.__module__].__spec__.name}")
    parser.add_argument("--spec", required=True, type=json.loads, help="canonical JSON: all that can change the result")
    parser.add_argument("--output", required=True, type=Path, help="manifest to write; its folder receives the files")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; results differ by rounding at most")
    parser.add_argument(
        "--tokens-per-batch",
        type=int,
        default=8192,
        help="size of an evaluation batch; results differ by rounding at most",
    )
    for name, nargs in inputs.items():
        many = {"nargs": nargs} if nargs else {"required": True}
        parser.add_argument(f"--{name}", type=Path, **many)
    args = parser.parse_args(argv)
    final = args.output.parent
    folder = final.with_name(final.name + ".part")
    start, cpu = time.time(), time.process_time()
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for manifest in _manifests(args, inputs):
            read_manifest(manifest)
        facts = work(args.spec, args, folder) or {}
        volatile = facts.pop("run", {})
        write_atomic(folder / SPEC, dump_json(args.spec))
        write_manifest(folder, facts)
        seconds = {
            "wall_seconds": round(time.time() - start, 3),
            "cpu_seconds": round(time.process_time() - cpu, 3),
            "import_cpu_seconds": round(cpu, 3),
        }
        write_atomic(folder / RUN, dump_json({**environment(), **seconds, **volatile}))
        publish(folder, final)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        if not _is_full(error):
            raise
        name = getattr(error, "filename", None) or folder
        print(f"error: no space left on device while writing {name}: free some space and run again", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _manifests(args: argparse.Namespace, inputs: dict[str, str]) -> list[Path]:
    values = [getattr(args, name.replace("-", "_")) for name in inputs]
    paths = [path for value in values for path in (value if isinstance(value, list) else [value])]
    return [path for path in paths if path is not None and path.name == MANIFEST]


def _is_full(error: Exception) -> bool:
    """Tell a full disk or quota from other failures: numpy and safetensors report it without the system's number."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return bool(re.search(r"os error (28|122)\b|No space left|\d+ requested and \d+ written", str(error)))


def publish(folder: Path, final: Path) -> None:
    """Move the files of a finished folder to their place, the manifest last."""
    old = final.with_name(final.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    folder.rename(final)
    shutil.rmtree(old, ignore_errors=True)


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
