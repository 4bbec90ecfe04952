"""Write the report: one page that needs neither network nor script.

Usage: python -m scripts.report --spec JSON --tables x/tables/manifest.json --curves x/curves/manifest.json
       --claims x/claims/manifest.json --costs x/costs/manifest.json --raw x/raw/xquad/manifest.json ...
       --output x/report/manifest.json
--raw: what was fetched, for the commits that were really read. --data: examples, for the faults counted in them.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from stilts.provenance.job import run_job
from stilts.provenance.manifest import read_manifest
from stilts.report.page import render


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Render index.html from the tables."""
    for manifest in (args.tables, args.curves, args.claims, args.costs):
        read_manifest(manifest)
    revisions = {m.parent.name: _revision(read_manifest(m)["facts"]) for m in args.raw}
    faults = {m.parent.name: read_manifest(m)["facts"].get("quirks", {}) for m in args.data or []}
    page = render(spec | {"revisions": revisions, "faults": faults}, args.tables.parent.parent)
    (folder / "index.html").write_text(page, encoding="utf-8")
    return {"bytes": len(page.encode())}


def _revision(facts: dict[str, Any]) -> str:
    """Return the commits that were read, shortened; a copy of a repository elsewhere has a commit of its own."""
    commits = [f["revision"][:12] for f in [facts, *facts.get("further", [])] if f.get("revision")]
    return ", ".join(commits) + (" (of a mirror)" if facts.get("mirror") else "")


if __name__ == "__main__":
    sys.exit(run_job(work, {"tables": "", "curves": "", "claims": "", "costs": "", "raw": "*", "data": "*"}))
