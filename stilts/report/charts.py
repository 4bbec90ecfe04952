"""Charts of the page: what rule `figures` wrote, drawn in the reader's browser; a still picture where it cannot be."""

from __future__ import annotations

import base64
import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import vl_convert
from markupsafe import Markup

from stilts.errors import UserError
from stilts.figures.draw import VEGA_LITE
from stilts.figures.style import COLOURS, DIVERGING, OTHERS

# What the colours of figures are on dark ground. The ends of the diverging scale carry white ink on both grounds.
INKS = ("#aab3b9", "#5fb0ea", "#f0803c", "#3fc79b", "#e79cc4", "#f0b542", "#8fd0f5", "#d77bb0")
GROUNDS = ("#b35806", "#7d4a17", "#2b3338", "#2b5878", "#2166ac")
ON_DARK = {
    **dict(zip(COLOURS, INKS, strict=True)),
    **dict(zip(DIVERGING, GROUNDS, strict=True)),
    OTHERS: "#566068",
    "#e3e3e3": "#384148",  # grid
    "#1d2327": "#e8e6e1",  # ink
}


def charts(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the figures of a folder by name; raises UserError where one is missing."""
    return {entry["name"]: _chart(folder, entry) for entry in json.loads(_read(folder / "index.json"))}


def in_script(value: Any) -> Markup:
    """Return JSON that no HTML parser ends early: it has no `<`."""
    return Markup(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))


@cache
def library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script."""
    return vl_convert.javascript_bundle(vl_version=VEGA_LITE)


def policy(*scripts: str) -> str:
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
