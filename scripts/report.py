"""Write the report: one page that needs no network.

Usage: python -m scripts.report --spec JSON --tables x/tables/manifest.json --curves x/curves/manifest.json
       --claims x/claims/manifest.json --costs x/costs/manifest.json --figures x/figures/manifest.json
       --raw x/raw/xquad/manifest.json ... --output x/report/manifest.json
--figures: the charts; without it the page has tables only. --raw: what was fetched, for the commits that were really
read. --data: examples, for the faults counted in them.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from stilts.provenance.job import run_job
from stilts.provenance.manifest import read_manifest, sha256
from stilts.report.page import render

MADE_FROM = ("tables", "curves", "claims", "costs", "figures")


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Render index.html from tables and figures."""
    marked = (getattr(args, name) for name in MADE_FROM if name != "costs")  # clocks are in them
    found = {"inputs": {m.parent.name: sha256(m)[:16] for m in marked}}
    found["revisions"] = {m.parent.name: _revision(read_manifest(m)["facts"]) for m in args.raw}
    found["faults"] = {m.parent.name: read_manifest(m)["facts"].get("quirks", {}) for m in args.data or []}
    page = render(spec | found, args.tables.parent.parent)
    (folder / "index.html").write_text(page, encoding="utf-8")
    return {"bytes": len(page.encode())}


def _revision(facts: dict[str, Any]) -> str:
    """Return the commits that were read, shortened; a copy of a repository elsewhere has a commit of its own."""
    commits = [f["revision"][:12] for f in [facts, *facts.get("further", [])] if f.get("revision")]
    return ", ".join(commits) + (" (of a mirror)" if facts.get("mirror") else "")


if __name__ == "__main__":
    sys.exit(run_job(work, {**dict.fromkeys(MADE_FROM, ""), "raw": "*", "data": "*"}))
