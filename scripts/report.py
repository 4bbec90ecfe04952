"""Write the report: one page that needs neither network nor script.

Usage: python -m scripts.report --spec JSON --tables x/tables/manifest.json --output x/report/manifest.json
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
    read_manifest(args.tables)
    page = render(spec, args.tables.parent)
    (folder / "index.html").write_text(page, encoding="utf-8")
    return {"bytes": len(page.encode())}


if __name__ == "__main__":
    sys.exit(run_job(work, {"tables": ""}))
