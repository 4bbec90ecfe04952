"""Charts of the page: what rule `figures` wrote, drawn in the reader's browser; a still picture where it cannot be."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import vl_convert
from markupsafe import Markup

from stilts.errors import UserError

ROOM = 11_000_000  # characters of all charts together
# What the colours of figures are on dark ground (docs/report.md). The ends of the diverging scale, from orange to blue,
# carry white ink on both grounds.
ON_DARK = {
    "#6b6b6b": "#aab3b9", "#0072b2": "#5fb0ea", "#d55e00": "#f0803c", "#009e73": "#3fc79b", "#cc79a7": "#e79cc4",
    "#e69f00": "#f0b542", "#56b4e9": "#8fd0f5", "#8c2d62": "#d77bb0", "#c4c4c4": "#566068",
    "#b35806": "#b35806", "#f1a340": "#7d4a17", "#f7f7f7": "#2b3338", "#67a9cf": "#2b5878", "#2166ac": "#2166ac",
    "#e3e3e3": "#384148", "#1d2327": "#e8e6e1",
}  # fmt: skip


def charts(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the figures of a folder by name; raises UserError where a file of one is missing.

    What would make the page larger than can be opened at once is left to its file.
    """
    shown, room = {}, ROOM
    for entry in json.loads(_read(folder / "index.json")):
        chart = _chart(folder, entry)
        size = len(chart["spec"]) + len(chart.get("still", ""))
        if size > room:
            chart = {**entry, "spec": "", "reason": f"too large for this page, see figures/{entry['files']['svg']}"}
        else:
            room -= size
        shown[entry["name"]] = chart
    return shown


def in_script(value: Any) -> Markup:
    """Return JSON that no HTML parser ends early: it has no `<`."""
    return Markup(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))


@cache
def library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script."""
    return vl_convert.javascript_bundle()


def policy(scripts: Sequence[str]) -> str:
    """Return a Content-Security-Policy: these scripts and no other, and nothing from any host."""
    marks = " ".join(f"'sha256-{base64.b64encode(sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return (
        f"default-src 'none'; script-src {marks}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def _chart(folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    if "files" not in entry:
        return {**entry, "spec": ""}
    spec, still = (_read(folder / entry["files"][kind]) for kind in ("json", "svg"))
    return {
        **entry,
        "spec": in_script(json.loads(spec)),
        "still": "data:image/svg+xml," + quote(still, safe=" /:;=,()'"),
    }


def _read(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"{path} is missing: delete that folder's manifest and run the workflow again")
    return path.read_text(encoding="utf-8")
