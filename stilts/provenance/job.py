"""What every script of the workflow shares: arguments, a clean output folder, `run.json`, and readable failures.

A script is `python -m scripts.<rule> --spec JSON --<input> MANIFEST... --output MANIFEST`. Its output folder is
the manifest's parent. Results are made in a sibling folder and renamed at the end, so that a folder with a
manifest is whole and a failed job leaves nothing behind.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stilts.errors import UserError
from stilts.provenance.attempts import Attempts
from stilts.provenance.code import ROOT, code_files
from stilts.provenance.contents import check_unchanged, hash_contents, stamp
from stilts.provenance.ends import noted
from stilts.provenance.environment import environment_digest, unlocked
from stilts.provenance.key import Key, hashed
from stilts.provenance.machine import Meter, environment, peak_memory
from stilts.provenance.manifest import (
    KEY,
    RUN,
    SPEC,
    canonical,
    dump_json,
    is_manifest,
    read_manifest,
    write_atomic,
    write_manifest,
    write_parts,
)
from stilts.provenance.store import GPUS, Store

Work = Callable[[dict[str, Any], argparse.Namespace, Path], dict[str, Any] | None]
LOCK = "lock.part"  # what ends in .part is no part of a result
Reads = Callable[[dict[str, Any], argparse.Namespace], list[Path]]


def run_job(
    work: Work,
    inputs: dict[str, str],
    argv: list[str] | None = None,
    *,
    reads: Reads | None = None,
    copies: Mapping[str, str] | None = None,
    outside: bool = False,
    in_parts: bool = False,
) -> int:
    """Run one job, or take its result from the store; return its exit status.

    work(spec, args, folder) writes its files below `folder` and returns the facts of the manifest; the key
    "run" of what it returns goes to run.json instead. inputs: option name -> argparse nargs ("" for one value,
    "+" or "*" for many, "?" for an optional one); those that are manifests are checked against their folders, byte by
    byte where something is computed. reads(spec, args): manifests the work reads that no option names. copies: option
    -> file of the result that is copied to the path given there. outside: the work reads the outside world, so nothing
    is reused. in_parts: the result is a task's, whose training and test parts get a manifest each.
    A UserError becomes one message and status 2.
    """
    args = _parser(work, inputs, copies or {}).parse_args(argv)
    final = args.output.parent
    folder = final.with_name(final.name + ".part")
    claim, published = None, False
    try:
        code = _code(_module(work))  # before any waiting: what was loaded runs, not what an edit makes of it meanwhile
        stamps = _stamps(code)
        claim = _claim(folder)
        read = _inputs(args, inputs) | ({"reads": reads(args.spec, args)} if reads else {})
        manifests = [path for paths in read.values() for path in paths]
        for manifest in manifests:
            read_manifest(manifest)
        key = _key(_module(work), args.spec, code, read)
        store = None if outside or key is None else Store.of_job()
        args.attempts = Attempts.of_job(None if key is None else key.digest, str(final))
        reused = store is not None and store.take(key.digest, folder)
        if reused:
            _note_reuse(folder, key.digest, store)
        else:
            _stop_without_gpu(args, store, key)
            contents = hash_contents(manifests)
            with noted(args.attempts.folder):
                _make(work, args, folder)
            if in_parts:
                write_parts(folder)
            check_unchanged(contents)
        targets = {getattr(args, option.replace("-", "_")): name for option, name in (copies or {}).items()}
        targets.pop(None, None)
        if key is not None:
            write_atomic(folder / KEY, key.dump(list(targets), _options(args, inputs)))
        publish(folder, final)
        published = True
        args.attempts.forget()
        (final / LOCK).unlink(missing_ok=True)
        for target, name in targets.items():
            write_atomic(target, (final / name).read_text(encoding="utf-8"))
        if store is not None and not reused:
            _keep(store, key, final, unchanged=stamps == _stamps(code))
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
        if claim is not None:
            if not published:  # after that the folder of this name may be another job's
                shutil.rmtree(folder, ignore_errors=True)
            os.close(claim)
    return 0


def _claim(folder: Path) -> int:
    """Return a handle that holds an empty folder; wait while a job of a killed run still makes the same result."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o664)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another process that makes the same result", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            pass
        try:
            ours = os.path.samestat(os.fstat(handle), (folder / LOCK).stat())
        except FileNotFoundError:
            ours = False
        if ours:
            for path in folder.iterdir():
                if path.name != LOCK:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            return handle
        os.close(handle)


def _module(work: Work) -> str:
    return sys.modules[work.__module__].__spec__.name


def _parser(work: Work, inputs: dict[str, str], copies: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {_module(work)}")
    parser.add_argument("--spec", required=True, type=json.loads, help="canonical JSON: all that can change the result")
    parser.add_argument("--output", required=True, type=Path, help="manifest to write; its folder receives the files")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; results differ by rounding at most")
    parser.add_argument(
        "--tokens-per-batch",
        type=int,
        default=8192,
        help="size of an evaluation batch; results differ by rounding at most",
    )
    parser.add_argument("--memory", type=int, default=128, help="MB for mining; results differ by rounding at most")
    parser.add_argument("--gpus", type=int, help="GPUs that the job asked for; 0: the store held its result")
    for name, nargs in (inputs | dict.fromkeys(copies, "?")).items():
        many = {"nargs": nargs} if nargs else {"required": True}
        parser.add_argument(f"--{name}", type=Path, **many)
    return parser


def _make(work: Work, args: argparse.Namespace, folder: Path) -> None:
    """Do the work and write what belongs beside its files."""
    meter = Meter()
    facts = work(args.spec, args, folder) or {}
    volatile = facts.pop("run", {})
    write_atomic(folder / SPEC, dump_json(args.spec))
    write_manifest(folder, facts)
    seconds = {
        **args.attempts.seconds(),
        "import_cpu_seconds": round(args.attempts.started["cpu_seconds"], 3),
        **args.attempts.note(),
    }
    options = {"threads": args.threads, "tokens_per_batch": args.tokens_per_batch}
    write_atomic(
        folder / RUN,
        dump_json({**environment(), **seconds, **peak_memory(), **meter.read(), "options": options, **volatile}),
    )


def _code(module: str) -> dict[str, str] | None:
    """Return the fingerprints of a script's code; other callers of `run_job` have none."""
    return code_files(module) if module.startswith("scripts.") else None


def _key(module: str, spec: Any, code: Mapping[str, str] | None, read: Mapping[str, list[Path]]) -> Key | None:
    """Return the identity of a job of the workflow; other callers of `run_job` have none."""
    if code is None:
        return None
    rule = module.partition(".")[2]
    inputs = {name: hashed(paths) for name, paths in read.items() if paths}
    return Key(rule, canonical(spec), code, environment_digest(rule), inputs)


def _stop_without_gpu(args: argparse.Namespace, store: Store | None, key: Key | None) -> None:
    """End a job that asked for no GPU because the store held its result, which it does no longer."""
    wanted = int(os.environ.get(GPUS) or 0)
    if wanted and args.gpus == 0 and store is not None and key is not None and not store.has(key.digest):
        raise UserError(
            f"the store {store.root} no longer holds this result, for which no GPU was asked: run the same command "
            "again, it asks for one now (to compute without, set runtime.gpus: 0)"
        )


def _note_reuse(folder: Path, key: str, store: Store) -> None:
    """Say in the log and in run.json that nothing was computed; the figures stay those of the job that did."""
    print(f"reused {key[:12]} from the store {store.root}; it was not computed again")
    run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    write_atomic(folder / RUN, dump_json({**run, "reused": True}))


def _stamps(code: Mapping[str, str] | None) -> list[tuple[int, int]]:
    """Return date and size of the job's code, to notice an edit while the job runs."""
    return [stamp(ROOT / name) for name in code or ()]


def _keep(store: Store, key: Key, final: Path, *, unchanged: bool) -> None:
    """Keep a result unless it may not be what its key says."""
    strange = [f"{name} {there} runs, {locked} is locked" for name, there, locked in unlocked(key.rule)]
    doubt = "; ".join(strange) if unchanged else "the code changed while the job ran"
    if doubt:
        print(f"note: not kept in the store {store.root}: {doubt}", file=sys.stderr)
    else:
        store.keep(key.digest, final)


def _options(args: argparse.Namespace, inputs: dict[str, str]) -> dict[str, list[str]]:
    """Return option -> the paths given there, of the options that were given and name no manifest."""
    values = {name: getattr(args, name.replace("-", "_")) for name in inputs}
    paths = {name: value if isinstance(value, list) else [value] for name, value in values.items() if value is not None}
    return {
        n: [p.as_posix() for p in found] for n, found in paths.items() if not any(is_manifest(p.name) for p in found)
    }


def _inputs(args: argparse.Namespace, inputs: dict[str, str]) -> dict[str, list[Path]]:
    """Return option -> the manifests given there, in order."""
    values = {name.replace("-", "_"): getattr(args, name.replace("-", "_")) for name in inputs}
    paths = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
    return {name: [p for p in found if p is not None and is_manifest(p.name)] for name, found in paths.items()}


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
