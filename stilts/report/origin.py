"""Parts of the page about what the numbers were made of: data, settings, versions, hardware."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from stilts.provenance.manifest import canonical
from stilts.report.answer import Row

MADE_UP = "The mini world generates every task below under its real name and form; no row of the real data is used."


def origin(spec: dict[str, Any], training: Sequence[Row]) -> dict[str, Any]:
    """Return what the template shows of it. training: rows of costs/training_costs.csv."""
    return {
        "tasks": _tasks(spec),
        "notes": spec.get("notes") or [],
        "faults": _faults(spec.get("faults") or {}),
        "data_note": MADE_UP if spec.get("provider") == "mini" else "",
        "settings": [{"name": name, "entries": _flat(value)} for name, value in spec["settings"].items()],
        "provenance": _provenance(spec, training),
    }


def _provenance(spec: dict[str, Any], training: Sequence[Row]) -> list[tuple[str, str]]:
    """Return (what, text): fingerprints of the settings and of what the page was made from, versions, hardware."""
    shown = [("settings of this page", sha256(canonical(spec).encode()).hexdigest()[:16])]
    shown += [(f"{name}/ it was made from", mark) for name, mark in spec.get("inputs", {}).items()]
    versions = ", ".join(f"{name} {version}" for name, version in spec.get("versions", {}).items())
    shown += [("locked versions", versions)] if versions else []
    for device in dict.fromkeys(r["device"] for r in training if r.get("device")):
        shown.append((f"trained on {device}", f"{sum(r['device'] == device for r in training):,} runs"))
    return shown


def _tasks(spec: dict[str, Any]) -> list[dict[str, str]]:
    """Return what is shown of the data of each task; what was read (spec `revisions`) or is pinned."""
    targets = {t["task"] for t in spec["targets"]}
    pins, shown = spec.get("revisions") or {}, []
    for task in spec.get("tasks") or spec["targets"]:
        source = task.get("source") or {}
        pin = pins.get(task["task"]) or (source.get("revision") or "")[:12]
        homes = [s["id"] for s in [source, *(task.get("more_sources") or [])] if s.get("id")]
        link = task.get("url") or ""
        shown.append(
            {
                "name": task["task"],
                "role": f"{'target' if task['task'] in targets else 'intermediate'}, {task['kind'].replace('_', ' ')}",
                "description": task.get("description", ""),
                "source": " and ".join(homes) or _other_source(task, source),
                # A link that is not http(s) (javascript:, data:) would run in the reader's browser.
                "url": link if link.startswith(("https://", "http://")) else "",
                "revision": "" if spec.get("provider") == "mini" else f"revision {pin}" if pin else "not pinned",
                "licence": task.get("licence", ""),
                "citation": task.get("citation", ""),
            }
        )
    return shown


def _faults(found: dict[str, dict[str, dict[str, dict[str, int]]]]) -> list[tuple[str, str]]:
    """Return (task, what `prepare` counted, over all splits and languages) of the tasks with any fault."""
    totals = {
        task: ", ".join(
            f"{what} {sum(sum(of.values()) for of in by.values()):,}" for what, by in sorted(counts.items())
        )
        for task, counts in sorted(found.items())
    }
    return [(task, text) for task, text in totals.items() if text]


def _other_source(task: dict[str, Any], source: dict[str, Any]) -> str:
    if task.get("union"):
        return f"union of {', '.join(task['union'])}"
    return "raw files" if source.get("files") else "your own copy" if source.get("path") else "–"


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Return the leaves of nested settings as (dotted key, text)."""
    if isinstance(value, dict):
        return [
            leaf for key, inner in value.items() for leaf in _flat(inner, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(value, list):
        value = ", ".join(map(str, value)) or "none"
    return [(prefix, "none" if value is None or value == "" else str(value))]
