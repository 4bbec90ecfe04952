"""Corpora in which translations are hidden, in the layout of BUCC 2018, and the gold pairs alone as XTREME has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from stilts.miniworld.meaning import Event
from stilts.miniworld.schemas import write_rows

GOLD_SHARE = 4  # one sentence of four has its translation in the other corpus; in BUCC it is one of about thirty
NAMES = {"validation": "sample", "test": "training"}  # our splits by BUCC's names


def write_corpora(
    out: Path,
    events: dict[str, list[Event]],
    languages: list[str],
    source: str,
    say: Callable,
    rng: Callable[..., Random],
) -> None:
    """Write out/bucc/<pair>/<pair>.<split>.{<language>,<source>,gold} and out/bucc_gold/bucc18.<language>/.

    events: split -> different meanings; one in GOLD_SHARE of a corpus is told in both, every other sentence in one
    corpus only. say(code, event): the sentence; rng(*labels): a generator of their own for orders.
    """
    for split, found in events.items():
        size = len(found) * GOLD_SHARE // (2 * GOLD_SHARE - 1)
        gold, rest = found[: size // GOLD_SHARE], found[size // GOLD_SHARE :]
        sides = [gold + rest[: len(rest) // 2], gold + rest[len(rest) // 2 :]]
        for code in [c for c in languages if c != source]:
            places = []
            for language, told in zip((code, source), sides, strict=True):
                order = list(range(len(told)))
                rng("bucc", split, code, language).shuffle(order)
                names = {meant: f"{language}-{place:09d}" for place, meant in enumerate(order, 1)}
                lines = [f"{names[meant]}\t{say(language, told[meant])}" for meant in order]
                _write(out / "bucc" / f"{code}-{source}" / f"{code}-{source}.{NAMES[split]}.{language}", lines)
                places.append(names)
            lines = sorted(f"{places[0][k]}\t{places[1][k]}" for k in range(len(gold)))
            _write(out / "bucc" / f"{code}-{source}" / f"{code}-{source}.{NAMES[split]}.gold", lines)
            rows = [
                {
                    "source_sentence": say(code, event),
                    "target_sentence": say(source, event),
                    "source_lang": code,
                    "target_lang": source,
                }
                for event in gold
            ]
            write_rows(out, "bucc_gold", f"bucc18.{code}", split, rows, schema="tatoeba")


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
