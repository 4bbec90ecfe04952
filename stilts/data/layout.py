"""Where the rows of a task lie: which configuration and split holds which language.

All providers share one layout, `<config>/<split>.parquet` under the repository's own names for configurations and
splits (text tasks: `<language>.txt`), so that one reader serves the hub, local files and the mini world.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stilts.tasks.spec import TaskSpec

# What the raw files of a kind end in where they are no tables (a task of the kind may have tables all the same).
ENDINGS = {"masked_lm": "txt", "answer_retrieval": "json"}
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Part:
    """One table of the repository and what this project takes from it.

    split: our split; config, source_split: the repository's names; language: the language of every row, or None
    where each row's id says it; optional: the table may be missing (some languages have no dev part).
    """

    split: str
    config: str
    source_split: str
    language: str | None
    optional: bool = False

    @property
    def file(self) -> str:
        """Its place below `raw/<task>/`."""
        return f"{self.config}/{self.source_split}.parquet"


@dataclass(frozen=True)
class Request:
    """What a study wants of a task: which languages, from which provider."""

    task: TaskSpec
    languages: tuple[str, ...]
    source_language: str
    provider: str

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> Request:
        """Read the spec of the fetch and prepare rules."""
        languages = tuple(sorted(set(spec["languages"]) or {spec["source_language"]}))
        return cls(TaskSpec.model_validate(spec["task"]), languages, spec["source_language"], spec["provider"])

    def name_of(self, language: str) -> str:
        """Return the repository's name of a language (the mini world uses the codes themselves)."""
        return language if self.provider == "mini" else self.task.source.aliases.get(language, language)

    def languages_of(self, configs: Iterable[str]) -> list[str]:
        """Return our codes of the languages whose configurations are among `configs`, sorted."""
        head, mark, tail = self.task.source.config.partition("{language}")
        if not mark:
            return []
        pattern = re.compile(re.escape(head) + "(.+)" + re.escape(tail))
        codes = {} if self.provider == "mini" else {name: code for code, name in self.task.source.aliases.items()}
        names = [match[1] for match in map(pattern.fullmatch, configs) if match]
        return sorted(codes.get(name, name) for name in names)

    def languages_in(self, split: str) -> list[str]:
        """Return the languages whose rows of a split are read.

        Training rows are the source language's (other train splits are machine translations), and so are the dev rows
        that models are selected on; only a task that nothing is trained on has dev sets in other languages.
        """
        if split == "train":
            return [self.source_language]
        if split == "validation" and not self.task.retrieval:
            return [language for language in self.languages if language == self.source_language]
        return list(self.languages)

    def parts(self) -> list[Part]:
        """List the tables that are needed, in the order of splits, then languages."""
        source = self.task.source
        found = []
        for split in SPLITS:
            if split not in source.splits:
                continue
            if source.pairs and split != "test":
                found.append(Part(split, source.pairs, source.splits[split], self.source_language))
            elif source.languages_in == "config":
                for language in self.languages_in(split):
                    config = source.config.format(language=self.name_of(language))
                    optional = split == "validation" and language != self.source_language
                    found.append(Part(split, config, source.splits[split], language, optional))
            else:
                language = self.source_language if source.languages_in == "none" else None
                found.append(Part(split, source.config, source.splits[split], language))
        if source.candidates:
            found.append(Part("test", source.candidates, source.splits["test"], None))
        return found

    def corpora(self) -> dict[tuple[str, str], str]:
        """Return (our split, language) -> stem of the corpora of a language and the source language.

        BUCC's layout: `de-en/de-en.sample.de`, `.en` and `.gold`.
        """
        stems = {}
        for split in [s for s in SPLITS if s in self.task.source.splits]:
            for language in self.languages:
                pair = f"{self.name_of(language)}-{self.name_of(self.source_language)}"
                stems[split, language] = f"{pair}/{pair}.{self.task.source.splits[split]}"
        return stems

    @property
    def ending(self) -> str:
        """What the task's raw files end in, one a language; empty where they are tables or corpora."""
        if self.task.kind == "answer_retrieval" and not self.task.source.files:
            return ""  # questions as in SQuAD
        return ENDINGS.get(self.task.kind, "")
