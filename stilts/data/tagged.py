"""Tagged lines: one sentence a line, `words TAB tags`, and `tags_to_id.json`; made from CCGbank's AUTO files too.

The form is the one jiant reads for CCG supertagging. A user's folder holds either that, or CCGbank (LDC2005T13) as
distributed, whose derivations give one lexical category a word.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa

from stilts.errors import UserError

LABELS = "tags_to_id.json"
UNUSED = "(no tag {})"  # label of a number that `tags_to_id.json` leaves out
# The usual cut of the Wall Street Journal sections (AllenNLP's reader, NLP-progress).
SECTIONS = {"train": range(2, 22), "validation": range(0, 1), "test": range(23, 24)}
NAMES = {"train": "train", "validation": "validation|valid|val|dev", "test": "test"}
# <L category modified_pos original_pos word predicate_category>; a word never holds a blank.
LEAF = re.compile(r"<L (\S+) \S+ \S+ (\S+) \S+>")
Sentence = tuple[list[str], list[str]]


def fetch_tagged(base: Path, splits: list[str], folder: Path) -> dict[str, int]:
    """Write `folder/<split>.tsv` and `folder/tags_to_id.json` from a user's folder; return sentences by file.

    Raises UserError when the folder holds neither form, and for files that are not of it.
    """
    if not base.is_dir():
        raise UserError(f"There is no folder {base}. Name the folder of the corpus under `source: path` of the task.")
    auto = sorted(base.rglob("*.auto"))
    sentences = _from_ccgbank(base, auto, splits) if auto else _from_lines(base, splits)
    ids = _ids(base, sentences) if auto else _read_ids(base / LABELS)
    for split, rows in sentences.items():
        text = "".join(f"{' '.join(words)}\t{' '.join(tags)}\n" for words, tags in rows)
        (folder / f"{split}.tsv").write_text(text, encoding="utf-8", newline="")
    text = json.dumps(ids, ensure_ascii=False, indent=0, sort_keys=True)
    (folder / LABELS).write_text(text + "\n", encoding="utf-8", newline="")
    return {f"{split}.tsv": len(rows) for split, rows in sentences.items()}


def read_tagged(path: Path) -> pa.Table:
    """Return the sentences of one file as a table of `tokens` and `tags`; raises UserError naming a broken line."""
    rows = _lines(path)
    columns = {"tokens": [words for words, _ in rows], "tags": [tags for _, tags in rows]}
    return pa.table(columns, schema=pa.schema([(name, pa.list_(pa.string())) for name in columns]))


def read_tag_names(path: Path) -> tuple[list[str], int]:
    """Return the labels by their numbers, and how many numbers have no tag (they keep their place, named so)."""
    ids = _read_ids(path)
    names = {number: tag for tag, number in ids.items()}
    if len(names) < len(ids):
        raise UserError(f"{path}: two tags share a number; give each its own")
    size = max(names) + 1
    return [names.get(number, UNUSED.format(number)) for number in range(size)], size - len(names)


def _read_ids(path: Path) -> dict[str, int]:
    try:
        ids = {str(tag): int(number) for tag, number in json.loads(path.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        raise UserError(f"{path} is missing: it gives every tag its number") from None
    except (ValueError, TypeError, AttributeError):
        raise UserError(f"{path} must be a JSON mapping of tags to numbers") from None
    if not ids or min(ids.values()) < 0:
        raise UserError(f"{path} must number its tags from 0")
    return ids


def _lines(path: Path) -> list[Sentence]:
    rows = []
    # Not splitlines(): U+2028 and the like end no sentence here.
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        words, tab, tags = line.partition("\t")
        # Words are split at single blanks, as jiant does: an empty word keeps its place.
        row = words.split(" "), tags.split()
        if not tab or len(row[0]) != len(row[1]):
            raise UserError(
                f"{path}, line {number}: expected words, a TAB and as many tags; found {len(row[0])} words and "
                f"{len(row[1])} tags"
            )
        rows.append(row)
    return rows


def _from_lines(base: Path, splits: list[str]) -> dict[str, list[Sentence]]:
    files = sorted(p for p in base.iterdir() if p.is_file() and p.name != LABELS)
    found = {}
    for split in splits:
        name = re.compile(rf"(?<![a-z])({NAMES[split]})(?![a-z])")
        ours = [p for p in files if name.search(p.name.lower())]
        if len(ours) != 1:
            held = ", ".join(p.name for p in files) or "nothing"
            what = "no file" if not ours else f"{len(ours)} files"
            raise UserError(
                f"{base} has {what} for the split {split} ({NAMES[split].replace('|', ', ')} in the name), nor "
                f"CCGbank's *.auto files. It holds: {held}."
            )
        found[split] = _lines(ours[0])
    return found


def _from_ccgbank(base: Path, files: list[Path], splits: list[str]) -> dict[str, list[Sentence]]:
    found: dict[str, list[Sentence]] = {}
    for split in splits:
        ours = [p for p in files if p.parent.name.isdigit() and int(p.parent.name) in SECTIONS[split]]
        found[split] = [sentence for path in ours for sentence in _derivations(path)]
        if not found[split]:
            wanted = ", ".join(f"{n:02d}" for n in SECTIONS[split])
            raise UserError(
                f"{base} holds no derivation for the split {split} (sections {wanted} of CCGbank's AUTO files)"
            )
    return found


def _derivations(path: Path) -> list[Sentence]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip() or line.startswith("ID="):
            continue
        leaves = LEAF.findall(line)
        if not leaves or line.count("<L ") != len(leaves):
            raise UserError(f"{path}, line {number}: not a derivation of CCGbank")
        rows.append(([word for _, word in leaves], [category for category, _ in leaves]))
    return rows


def _ids(base: Path, sentences: dict[str, list[Sentence]]) -> dict[str, int]:
    tags = sorted({tag for rows in sentences.values() for _, marks in rows for tag in marks})
    return {tag: number for number, tag in enumerate(tags)}
