"""The rows, and what each is to reach."""

from __future__ import annotations

# Row -> side -> (clock, how many times our time it is to take at least).
RATIOS: dict[str, dict[str, tuple[str, float]]] = {
    "step": {"XTREME's way": ("cpu", 3.0), "dynamic padding": ("cpu", 1.5)},
    "trainer": {"Trainer": ("cpu", 1.5)},
    "compaction": {"all rows": ("cpu", 2.0)},
    "evaluation": {"XTREME's way": ("cpu", 3.2)},
    "retrieval": {"all layers": ("cpu", 1.6)},
    "mining": {"the textbook's way": ("wall", 2.5)},
    "shards": {},
    "worker": {},
    "cold_start": {},
    "profiling": {},
    "gpu_mnli": {"Trainer": ("wall", 2.0)},
    "gpu_squad": {"Trainer": ("wall", 1.3)},
    "gpu_evaluation": {"XTREME's way": ("wall", 6.0)},
    "gpu_products": {},
}
# Row -> (figure of its record, "least" or "most", value).
FIGURES: dict[str, list[tuple[str, str, float]]] = {
    "cold_start": [("our CPU seconds", "most", 2.5)],
    "profiling": [
        *((f"error of p{p}, ours, median", "most", 0.02) for p in (50, 90, 99)),
        ("CPU time of two identical arms, share within 3%", "least", 0.95),
    ],
    "gpu_products": [("share of the peak", "least", 0.45)],
}


def goals_of(row: str) -> list[str]:
    """Return the goals of a row in words."""
    said = [f"{side}: at least {factor:g} times our {clock} time" for side, (clock, factor) in _ratios(row).items()]
    return said + [f"{name}: at {end} {value:g}" for name, end, value in _figures(row)]


def reached(record: dict) -> list[bool]:
    """Return whether the goals of a record's row are reached, in the order of `goals_of`."""
    row = record["row"]
    found = [record["ratios"][side][clock] >= factor for side, (clock, factor) in _ratios(row).items()]
    for name, end, value in _figures(row):
        figure = record["figures"][name]
        found.append(figure >= value if end == "least" else figure <= value)
    return found


def module_of(row: str) -> str:
    """Return the arguments of Python that measure a row."""
    return "-m benchmarks.gpu" if row.startswith("gpu_") else f"-m benchmarks.{row}"


def _ratios(row: str) -> dict[str, tuple[str, float]]:
    return RATIOS.get(row, {})


def _figures(row: str) -> list[tuple[str, str, float]]:
    return FIGURES.get(row, [])
