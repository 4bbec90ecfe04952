"""A pretrained encoder with its tokenizer, from the hub or from a folder.

Usage: python -m scripts.fetch_backbone --spec JSON --output models/x/manifest.json [--local FOLDER] [--lock FILE]
spec: {"id": hub repository, "revision": commit or null}; with --local both are ignored
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from stilts.data.backbone import fetch_backbone, local_backbone
from stilts.data.hub import Hub
from stilts.data.pins import COMMITTED, NAME, Lock
from stilts.data.revisions import Locks
from stilts.provenance.job import run_job


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Write config, weights and tokenizer files into `folder`."""
    if args.local is not None:
        return local_backbone(args.local, folder)
    hub = Hub()
    guards = hub.own / "locks"
    beside = args.output.resolve().parent.parent / NAME
    locks = Locks(Lock(args.lock or COMMITTED, guards), Lock(beside, guards))
    facts = fetch_backbone(hub, spec["id"], spec.get("revision"), locks, folder)
    return {**facts, "run": {"endpoint": hub.shown}}


if __name__ == "__main__":
    sys.exit(run_job(work, {"local": "?", "lock": "?"}, outside=True))
