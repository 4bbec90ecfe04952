"""The rows of one split of a search task while they are collected."""

from __future__ import annotations

from collections import Counter
from typing import Any

from stilts.errors import UserError


class Corpus:
    """Queries and candidates of one split, in the order added, with counts of what was found odd."""

    def __init__(self, split: str):
        self.split = split
        self.rows: list[dict[str, Any]] = []
        self.counts: dict[str, Counter] = {}
        self._taken: dict[tuple, int] = {}

    def count(self, what: str, language: str, number: int = 1) -> None:
        """Add to the counts of a language."""
        self.counts.setdefault(what, Counter())[language] += number

    def query(self, language: str, name: str, text: str, gold: list[str]) -> None:
        """Add a query; a name that its language has had gets `#2`, `#3`, ... behind it, and is counted."""
        number = self._taken[language, name] = self._taken.get((language, name), 0) + 1
        if number > 1:
            self.count("repeated_ids", language)
            name = f"{name}#{number}"
        self._add("query", language, name, text, "", gold)

    def candidate(self, language: str, name: str, text: str, context: str = "") -> None:
        """Add a candidate; raises UserError for a name that another candidate has."""
        if ("candidate", name) in self._taken:
            raise UserError(f"two candidates of the split {self.split} are named {name}; check the data")
        self._taken["candidate", name] = 1
        self._add("candidate", language, name, text, context, [])

    def _add(self, side: str, language: str, name: str, text: str, context: str, gold: list[str]) -> None:
        if not text.strip():
            self.count(f"blank_{side}", language)
        self.rows.append(
            {"id": name, "language": language, "side": side, "text": text, "context": context, "gold": gold}
        )

    def sizes(self, side: str) -> dict[str, int]:
        """Return language -> rows of one side."""
        return dict(sorted(Counter(row["language"] for row in self.rows if row["side"] == side).items()))

    def check_gold(self, task: str, own_language: bool) -> None:
        """Count queries whose gold is no candidate; raise UserError when it must be there (own_language)."""
        names = {row["id"] for row in self.rows if row["side"] == "candidate"}
        for row in self.rows:
            lost = [name for name in row["gold"] if name not in names]
            if lost and own_language:
                raise UserError(f"`{task}`, split {self.split}: the gold pairs name {lost[0]}, which is no sentence")
            if lost:
                self.count("gold_without_candidate", row["language"])
        repeated: dict[str, Counter] = {}
        for row in self.rows:
            repeated.setdefault(f"repeated_{row['side']}", Counter())[row["language"], row["text"], row["context"]] += 1
        for what, texts in repeated.items():
            for (language, *_), number in texts.items():
                self.count(what, language, number - 1)
