"""Token files: a task is tokenised once and shared by all models and seeds.

One folder a task, one set of files a split, all memory-mapped; `<split>.tokens.json` names languages and vocabulary:

| file | shape | meaning |
|---|---|---|
| `<split>.ids.npy` | int32 [N] | sub-words of every segment end to end, without special tokens |
| `<split>.segments.npy` | int64 [S + 1] | where segments start in `ids` |
| `<split>.examples.npy` | int64 [E + 1] | where examples start among the segments |
| `<split>.language.npy` | int16 [E] | index into `languages` of <split>.tokens.json |
| `<split>.labels.npy` | int32 [E] | pair classification, multiple choice: gold label |
| `<split>.targets.npy` | int32 [N] | tagging: tag at the first sub-word of a word, -100 elsewhere |
| `<split>.chars.npy` | int32 [N, 2] | question answering: character span of a context sub-word |
| `<split>.answers.npy` | int32 [E, 2] | question answering: first answer as context sub-words, -1 without one |
| `<split>.side.npy` | int8 [E] | search tasks: 0 a query, 1 a candidate |
| `<split>.gold.npy` | int32 [E] | search tasks: the first right candidate of a query as an example, -1 without one |

Segments of an example: pair (a, b); multiple choice (prompt, choice 1, ..., choice k); tagging (words); question
answering (question, context); masked LM (one or two text segments); bitext (source, target); search tasks (text,
context or nothing).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from stilts.errors import UserError

INFO = "tokens.json"
ARRAYS = ("ids", "segments", "examples", "language", "labels", "targets", "chars", "answers", "side", "gold")


class TokenSplit:
    """One split of a token folder, read lazily."""

    def __init__(self, folder: Path, split: str):
        self.folder, self.split = folder, split
        path = folder / f"{split}.{INFO}"
        if not path.is_file():
            there = ", ".join(sorted(p.name.removesuffix(f".{INFO}") for p in folder.glob(f"*.{INFO}")))
            raise UserError(f'{folder} has no split "{split}" (it holds {there}): check the task\'s `splits`')
        info = json.loads(path.read_text(encoding="utf-8"))
        self.kind: str = info["kind"]
        self.languages: list[str] = info["languages"]
        self.cls, self.pad, self.sep, self.unk, self.mask = info["special"]
        self.vocabulary: int = info["vocabulary"]
        self.listed: int = info.get("labels", 0)

    def __getattr__(self, name: str) -> np.ndarray:
        """Map a file of the split into memory when it is first asked for."""
        if name not in ARRAYS:
            raise AttributeError(name)
        # A plain view: slicing a memmap object costs more than the few sub-words it returns.
        array = np.asarray(np.load(self.folder / f"{self.split}.{name}.npy", mmap_mode="r"))
        setattr(self, name, array)
        return array

    def __len__(self) -> int:
        return len(self.examples) - 1

    def bounds(self, example: int, segment: int) -> tuple[int, int]:
        """Return where a segment of an example starts and ends in `ids`."""
        at = self.examples[example] + segment
        return int(self.segments[at]), int(self.segments[at + 1])

    def segment(self, example: int, segment: int) -> np.ndarray:
        """Return the sub-words of one segment of an example."""
        start, end = self.bounds(example, segment)
        return self.ids[start:end]

    def outputs(self, labels: list[str]) -> int:
        """Return how many outputs a head needs: the choices of an example, or the labels of the task or its data."""
        return self.segments_of(0) - 1 if self.kind == "multiple_choice" else len(labels) or self.listed

    def must_fit(self, rows: int) -> None:
        """Raise UserError when an encoder with `rows` embedding rows cannot read these tokens."""
        if self.vocabulary > rows:
            raise UserError(
                f"{self.folder}: the tokenizer has {self.vocabulary} sub-words, the encoder embeds {rows}; "
                "weights and tokenizer of the backbone do not belong together"
            )

    def sub_words(self, examples: np.ndarray) -> np.ndarray:
        """Return the ids that some examples hold, and the special tokens, sorted."""
        chosen, edges = np.unique(examples), np.zeros(len(self.ids) + 1, np.int8)
        np.add.at(edges, self.segments[self.examples[chosen]], 1)
        np.add.at(edges, self.segments[self.examples[chosen + 1]], -1)
        inside = np.cumsum(edges[:-1], dtype=np.int8) > 0
        return np.union1d(self.ids[inside], [self.cls, self.pad, self.sep, self.unk, self.mask])

    def segments_of(self, example: int) -> int:
        """Return how many segments an example has."""
        return int(self.examples[example + 1] - self.examples[example])

    def where(self, language: str) -> np.ndarray:
        """Return the examples of one language, in order. Raises UserError when this split has none."""
        code = self.languages.index(language) if language in self.languages else -1
        rows = np.flatnonzero(self.language == code)
        if not len(rows):
            here = ", ".join(self.languages[k] for k in np.unique(self.language)) or "no examples at all"
            raise UserError(f'{self.folder}: {self.split} holds no example in "{language}"; there are {here}')
        return rows


def write_split(folder: Path, split: str, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays of one split under their names."""
    for name, array in arrays.items():
        np.save(folder / f"{split}.{name}.npy", array, allow_pickle=False)
