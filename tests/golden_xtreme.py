"""Made files in the layout of XTREME's evaluate.py, with the scores that its own functions give them.

    python tests/golden_xtreme.py CHECKOUT > tests/golden/xtreme.json

CHECKOUT: google-research/xtreme at commit 838c13b; the Python needs seqeval 0.0.12. Every word in the files is ours.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
import tempfile
from pathlib import Path

# Language -> (predicted, gold answers) of questions: articles, punctuation, white space, scripts without blanks,
# digits, nothing predicted; None: no prediction at all, which the scripts count as wrong.
ANSWERS = {
    "en": [("The old mill.", ["old mill", "a mill"]), ("an heron", ["a heron"]), ("", ["1,5 km"]),
           ("1.5 km", ["1,5 km"])],
    "de": [("das alte Haus", ["Alte Haus des Müllers"]), ("«Mühle»", ["Mühle"]), (None, ["ein Reiher"]),
           ("im Jahr 1987", ["1987"])],
    "es": [("Los molinos, unos ríos", ["molinos ríos"]), ("¿el río?", ["el rio", "río"]),
           ("casa", ["la casa roja"])],
    "ar": [("الطاحونة القديمة،", ["طاحونة قديمة"]), ("في النهر", ["النهر"]), ("١٩٨٧", ["1987", "١٩٨٧"])],
    "hi": [("पुरानी चक्की।", ["पुरानी चक्की"]), ("नदी के पास", ["नदी"]), ("", ["बगुला"])],
    "vi": [("chiếc cối xay của làng", ["cối xay làng"]), ("những con sông", ["con sông"]),
           ("là nhà", ["nhà", "cái nhà"])],
    "zh": [("老磨坊。", ["老磨坊"]), ("在河边的磨坊", ["河边磨坊"]), ("1987年", ["1987 年"]), ("鹭x鸟", ["鹭鸟"])],
    "th": [("โรงสีเก่า", ["โรงสีเก่า", "โรงสี"]), ("แม่น้ำ ใหญ่", ["แม่น้ำ"])],
    "fi": [("vanha mylly", ["Vanha mylly,"]), ("the joki", ["joki"]), ("haikara haikara", ["haikara"])],
}  # fmt: skip
SENTENCES = {
    "udpos": ["NOUN", "NOUN", "VERB", "ADJ", "X", "PUNCT", "_"],
    "panx": ["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC", "I-ORG"],
}
LABELS = {"pawsx": ["0", "1"], "xnli": ["entailment", "neutral", "contradiction"], "tatoeba": list("0123456789")}
PRECISIONS = [([3, 7], [7, 1, 3, 9], 20), ([0, 5, 8], [5, 1, 2, 8, 4, 0], 3), ([2], [9, 8], 20)]
PRECISIONS += [(list(range(25)), list(range(30, 0, -1)), 20), ([4, 6], [1, 6, 2, 4], None), ([1, 1000], [0, 1], None)]


def noisy(draw: random.Random, kinds: list[str], rows: int) -> tuple[list[str], list[str]]:
    """Return predicted and gold labels that agree in about two of three rows."""
    gold = [draw.choice(kinds) for _ in range(rows)]
    return [g if draw.random() < 0.6 else draw.choice(kinds) for g in gold], gold


def lines(rows: list[str]) -> str:
    """Return one row a line."""
    return "".join(f"{row}\n" for row in rows)


def files() -> list[tuple[str, str, str, str]]:
    """Return (task, language, predictions, labels)."""
    draw, made = random.Random(1), []
    for task, kinds in LABELS.items():
        made += [(task, k, *map(lines, noisy(draw, kinds, 23))) for k in ("de", "zh")]
    for language in ("et", "zh"):
        both = noisy(draw, ["0", "1"], 17)
        made.append(("xcopa", language, *(lines([json.dumps({"label": int(x)}) for x in side]) for side in both)))
    for task, kinds in SENTENCES.items():
        for language in ("de", "th"):
            sentences = [noisy(draw, kinds, draw.randint(1, 9)) for _ in range(12)]
            made.append((task, language, *("\n".join(lines(s[side]) for s in sentences) for side in (0, 1))))
    for task, languages in {"xquad": ["de", "zh", "th", "en"], "tydiqa": ["fi", "en", "ar"]}.items():
        made += [(task, k, *asked(k)) for k in languages]
    made += [("mlqa", k, *asked(k)) for k in ("en", "de", "es", "ar", "hi", "vi", "zh")]
    gold = [f"de-{k:09}\ten-{k:09}" for k in range(8)]
    found = [*gold[:5], gold[0], "de-000000001\ten-000000002", "de-000000020\ten-000000021"]
    made += [("bucc2018", "de", lines(found), lines(gold)), ("bucc2018", "ru", lines(found[-2:]), lines(gold))]
    entities = {f"m{k}": [f"Q{k}"] for k in range(6)}
    ranked = {"m0": ["Q0", "Q1"], "m1": ["Q0", "Q1", "Q1"], "m2": [f"Q{k}" for k in range(50, 70)] + ["Q2"], "m3": []}
    ranked |= {"m4": [*(f"Q{k}" for k in range(50, 69)), "Q4"], "unknown": ["Q9"]}
    made.append(("mewslix", "tr", json.dumps(ranked), json.dumps(entities)))
    return made


def asked(language: str) -> tuple[str, str]:
    """Return predictions and questions of one language."""
    rows = [(f"q{k}", *row) for k, row in enumerate(ANSWERS[language])]
    questions = [{"id": name, "answers": [{"text": g} for g in gold]} for name, _, gold in rows]
    predictions = {name: text for name, text, _ in rows if text is not None}
    labels = {"data": [{"paragraphs": [{"qas": questions}]}]}
    return (json.dumps(predictions, ensure_ascii=False), json.dumps(labels, ensure_ascii=False))


def main(checkout: str) -> None:
    """Print the cases with their official scores, one a line."""
    sys.path[:0] = [checkout, f"{checkout}/third_party"]
    evaluate_one_task = importlib.import_module("evaluate").evaluate_one_task
    average_precision_at_k = importlib.import_module("utils_lareqa").average_precision_at_k
    cases = []
    for task, language, predictions, labels in files():
        with tempfile.TemporaryDirectory() as folder:
            places = [Path(folder) / name for name in ("predictions", "labels")]
            for place, text in zip(places, (predictions, labels), strict=True):
                place.write_text(text, encoding="utf-8")
            scores = evaluate_one_task(*map(str, places), task, language)
        case = {"task": task, "language": language, "predictions": predictions, "labels": labels}
        cases.append(case | {"scores": scores})
    for targets, ranked, top in PRECISIONS:
        value = average_precision_at_k(targets, ranked, top)
        cases.append({"task": "lareqa", "targets": targets, "ranked": ranked, "top": top, "scores": {"map": value}})
    print("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]")


if __name__ == "__main__":
    main(*sys.argv[1:])
