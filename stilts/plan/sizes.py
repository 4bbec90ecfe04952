"""How large the data of a task are: measured where its tokens lie, else expected.

Expected numbers only make plans and requests for resources; no result depends on them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from stilts.config.study import Study
from stilts.miniworld.settings import SIZES

SPECIAL = 4  # special tokens of a sequence with two parts
QUESTION = 64  # sub-words of a question, as `stilts.tokens.sequences` cuts it


@dataclass(frozen=True)
class Size:
    """A split in one language: examples, sequences that the encoder reads of each, sub-words of a sequence."""

    examples: float
    sequences: float
    tokens: float

    @property
    def total(self) -> float:
        """Sub-words that the encoder reads in one pass."""
        return self.examples * self.sequences * self.tokens

    @property
    def squares(self) -> float:
        """Sum of squared lengths; lengths spread like an exponential's half: mean square = 1.25 x squared mean."""
        return 1.25 * self.total * self.tokens


# Task: (training examples, test examples a language, sequences an example, sub-words of a sequence with XLM-R's
# tokenizer). Counts: the data sets' cards and XTREME's table 1; CCG and a few counts of test sets from memory.
# Sub-words: estimates until `tokens/` lies there (question answering: windows of 384).
EXPECTED: dict[str, tuple[float, float, float, float]] = {
    "mnli": (392702, 9815, 1, 40),
    "snli": (549367, 9842, 1, 28),
    "anli": (162865, 3200, 1, 110),
    "anli+": (1104934, 3200, 1, 44),
    "qqp": (363846, 40430, 1, 31),
    "squad1": (87599, 10570, 1.1, 185),
    "squad1_retrieval": (87599, 10570, 2, 100),
    "squad2": (130319, 11873, 1.1, 185),
    "hellaswag": (39905, 10042, 4, 105),
    "ccg": (38015, 5484, 1, 31),
    "cosmosqa": (25262, 2985, 4, 125),
    "csqa": (9741, 1221, 5, 26),
    "siqa": (33410, 1954, 3, 35),
    "copa": (400, 500, 2, 20),
    "xcopa": (0, 500, 2, 24),
    "xnli": (0, 5010, 1, 40),
    "pawsx": (49401, 2000, 1, 56),
    "udpos": (21253, 3900, 1, 27),
    "udpos_r": (21253, 3900, 1, 27),
    "panx": (20000, 9000, 1, 14),
    "panx_r": (20000, 9000, 1, 14),
    "xquad": (0, 1190, 1.1, 200),
    "xquad_r": (0, 1190, 2, 100),
    "mlqa": (0, 6500, 1.2, 220),
    "tydiqa": (3696, 560, 1.1, 180),
    "tatoeba": (0, 1000, 2, 14),
    "tatoeba_r": (0, 1000, 2, 14),
    "tatoeba_dual": (0, 1000, 2, 14),
    "tatoeba_reader": (0, 1000, 2, 14),
    "bucc": (0, 509000, 2, 35),
    "bucc_gold": (0, 8000, 2, 35),
    "lareqa": (0, 1190, 2, 60),
    "mewslix": (115000, 30000, 1, 64),
    "mlm_text": (1000000, 0, 1, 128),
}
UNKNOWN = (100000, 5000, 1, 64)  # a task of the user's, until its tokens are there
# The mini world: sequences an example and sub-words of a sequence, measured in the default experiment.
WORLD = {
    "pair_classification": (1, 20),
    "multiple_choice": (2, 16),
    "token_tagging": (1, 11),
    "span_extraction": (1, 31),
    "masked_lm": (1, 24),
    "bitext_retrieval": (2, 8.5),
    "bitext_mining": (2, 8.5),
    "answer_retrieval": (2, 20),
    "entity_retrieval": (2, 20),
}
WORLD_SEQUENCES = {"hellaswag": 4, "cosmosqa": 4, "csqa": 5, "siqa": 3}
WORLD_TESTS = {"tatoeba": "tatoeba", "tatoeba_r": "tatoeba", "bucc": "bucc", "bucc_gold": "bucc"}


class Sizes:
    """Sizes of the tasks of one study. root: its folder of results, or None to expect everything."""

    def __init__(self, study: Study, root: Path | None = None):
        self.study, self.root = study, root

    @cache  # noqa: B019 (one study a process)
    def of(self, task: str, split: str, backbone: str) -> Size:
        """Return the mean size of a split (`train`, `validation`, `test`) in one language."""
        expected = self._expected(task, split)
        counted = self._counted(task, split, backbone)
        if counted is None:
            return expected
        examples, subwords = counted
        return replace(expected, examples=examples, tokens=self._tokens(task, subwords / max(examples, 1), expected))

    def _tokens(self, task: str, subwords: float, expected: Size) -> float:
        """Return the length of a sequence from an example's sub-words in all its parts."""
        kind, k = self.study.task(task).kind, expected.sequences
        if kind == "multiple_choice":  # every choice is read behind the prompt, taken to be as long as a choice
            return 2 * subwords / (k + 1) + SPECIAL
        if kind == "span_extraction":  # windows of a long context overlap; `k` stands for that
            return min(subwords, 384 + QUESTION) + SPECIAL
        return subwords / k + SPECIAL

    def _expected(self, task: str, split: str) -> Size:
        if self.study.config.provider == "mini":
            return self._of_world(task, split)
        train, test, sequences, tokens = EXPECTED.get(task, UNKNOWN)
        return Size(train if split == "train" else test, sequences, tokens)

    def _of_world(self, task: str, split: str) -> Size:
        sizes, spec = SIZES | self.study.config.world.sizes, self.study.task(task)
        world = spec.source.world or task
        if spec.union:
            examples = sum(sizes.get(f"{member}_train", 0) for member in spec.union)
        elif split == "train":
            examples = sizes.get(f"{world}_train", sizes["mlm_documents"] if spec.kind == "masked_lm" else 0)
        else:
            examples = sizes["validation"] if split == "validation" else sizes[WORLD_TESTS.get(world, "eval")]
        sequences, tokens = WORLD[spec.kind]
        return Size(examples, WORLD_SEQUENCES.get(task, sequences), tokens)

    def _counted(self, task: str, split: str, backbone: str) -> tuple[float, float] | None:
        """Return examples and sub-words of a language on average, as the manifest of the tokens counts them."""
        path = self.root and self.root / "tokens" / backbone / task / "manifest.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))["facts"]["splits"].get(split) if path else None
        except (OSError, ValueError, KeyError):
            return None
        if not found or not found.get("examples"):
            return None
        languages = len(found["examples"])
        return sum(found["examples"].values()) / languages, sum(found["subwords"].values()) / languages
