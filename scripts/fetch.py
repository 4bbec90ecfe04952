"""Raw data of one task from the hub or from local files.

Usage: python -m scripts.fetch --spec JSON --output raw/x/manifest.json [--local FOLDER] [--lock FILE]
spec: {"task": as in tasks/<task>.yaml, "provider": "hub" | "local", "languages": [codes], "source_language": code}
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from stilts.data.fetch import fetch_files, fetch_hub, fetch_local
from stilts.data.hub import Hub
from stilts.data.layout import Request
from stilts.data.pins import COMMITTED, NAME, Lock
from stilts.data.revisions import Locks
from stilts.errors import UserError
from stilts.provenance.job import run_job


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Write the task's raw files into `folder`."""
    request = Request.from_spec(spec)
    if request.provider == "local":
        if args.local is None:
            raise UserError("provider local needs --local FOLDER (`local_data` of the experiment)")
        return fetch_local(request, args.local, folder)
    if request.provider != "hub":
        raise UserError(f"scripts.fetch serves the providers hub and local, not {request.provider}")
    hub = Hub()
    guards = hub.own / "locks"
    # Other endpoints' commits belong to these data only: they are kept beside them, never in the source tree.
    beside = args.output.resolve().parent.parent / NAME
    locks = Locks(Lock(args.lock or COMMITTED, guards), Lock(beside, guards))
    if request.task.kind == "bitext_mining" and not request.task.source.id:
        raise UserError(
            f"The corpora of `{request.task.task}` are on no hub: put them into a folder and use the provider local "
            f"({request.task.url})"
        )
    run = fetch_files if request.task.source.files else fetch_hub
    return {**run(request, hub, locks, folder), "run": {"endpoint": hub.shown}}


if __name__ == "__main__":
    sys.exit(run_job(work, {"local": "?", "lock": "?"}, outside=True))
