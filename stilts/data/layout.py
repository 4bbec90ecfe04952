"""Where the rows of a task lie: which configuration and split holds which language.

All providers share one layout, `<config>/<split>.parquet` under the repository's own names for configurations and
splits (text tasks: `<language>.txt`), so that one reader serves the hub, local files and the mini world.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stilts.tasks.languages import canonical
from stilts.tasks.spec import Source, TaskSpec

# What the raw files of a kind end in where they are no tables (a task of the kind may have tables all the same).
ENDINGS = {"masked_lm": "txt", "answer_retrieval": "json"}
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Part:
    """One table of the repository and what this project takes from it.

    split: our split; config, source_split: the repository's names; language: the language of every row, or None
    where each row's id says it; optional: the table may be missing (some languages have no dev part); source: number
    of the repository among the task's sources; lines: a text file of tagged lines, not a table.
    """

    split: str
    config: str
    source_split: str
    language: str | None
    optional: bool = False
    source: int = 0
    lines: bool = False

    @property
    def file(self) -> str:
        """Its place below `raw/<task>/`."""
        return f"{self.source_split}.tsv" if self.lines else f"{self.config}/{self.source_split}.parquet"


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

    @property
    def sources(self) -> list[Source]:
        """The repositories of the task, the first one for all languages that no further one names."""
        return [self.task.source, *self.task.more_sources]

    def source_of(self, language: str) -> int:
        """Return which source a language is read from."""
        return next((n for n, source in enumerate(self.sources) if language in source.languages), 0)

    def name_of(self, language: str) -> str:
        """Return the repository's name of a language (the mini world uses the codes themselves)."""
        aliases = self.sources[self.source_of(language)].aliases
        return language if self.provider == "mini" else aliases.get(language, language)

    def languages_of(self, configs: Iterable[str]) -> list[str]:
        """Return our codes of the languages whose configurations are among `configs`, sorted."""
        return sorted({code for n in range(len(self.sources)) for code in self._codes(n, configs).values()})

    def config_of(self, part: Part, held: Iterable[str]) -> str | None:
        """Return the configuration among `held` that a part is read from, or None.

        Its own, else the one that names the language by our code or by an alias of it (`zh_cn`, `cmn` for zh).
        """
        held = sorted(held)
        if part.config in held or part.language is None:
            return part.config if part.config in held else None
        codes = self._codes(part.source, held)
        ours = [c for c, code in codes.items() if part.language in (code, canonical(code))]
        return min(ours, key=lambda config: (codes[config] != part.language, config), default=None)

    def _codes(self, number: int, configs: Iterable[str]) -> dict[str, str]:
        """Return configuration -> our code of its language, of those configurations that have one."""
        source = self.sources[number]
        head, *gaps = source.config.split("{language}")
        if not gaps:
            return {}
        pattern = re.compile(re.escape(head) + "(.+)" + r"\1".join(map(re.escape, gaps)))
        names = {} if self.provider == "mini" else {name: code for code, name in source.aliases.items()}
        found = {config: match[1] for config in configs if (match := pattern.fullmatch(config))}
        return {config: names.get(name, name) for config, name in found.items()}

    def task_of(self, part: Part) -> TaskSpec:
        """Return the task with the columns as the part's source names them."""
        other = self.sources[part.source].columns
        return self.task.model_copy(update={"columns": {**self.task.columns, **other}}) if other else self.task

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
        first = self.task.source
        found = []
        for split in SPLITS:
            if first.pairs and split != "test":
                names = first.names.get(split, [])
                found += [Part(split, first.pairs, name, self.source_language) for name in names]
            elif first.languages_in == "config":
                for language in self.languages_in(split):
                    number = self.source_of(language)
                    source = self.sources[number]
                    config = source.config.format(language=self.name_of(language))
                    optional = split == "validation" and language != self.source_language
                    names = source.names.get(split, [])
                    found += [Part(split, config, name, language, optional, number) for name in names]
            else:
                language = self.source_language if first.languages_in == "none" else None
                lines = first.layout == "tagged_lines"
                names = first.names.get(split, [])
                found += [Part(split, first.config, name, language, lines=lines) for name in names]
        if first.candidates:
            found += [Part("test", first.candidates, name, None) for name in first.names["test"]]
        return found

    def corpora(self) -> dict[tuple[str, str], str]:
        """Return (our split, language) -> stem of the corpora of a language and the source language.

        BUCC's layout: `de-en/de-en.sample.de`, `.en` and `.gold`.
        """
        stems = {}
        for split in [s for s in SPLITS if s in self.task.source.splits]:
            for language in self.languages:
                pair = f"{self.name_of(language)}-{self.name_of(self.source_language)}"
                stems[split, language] = f"{pair}/{pair}.{self.task.source.names[split][0]}"
        return stems

    @property
    def ending(self) -> str:
        """What the task's raw files end in, one a language; empty where they are tables or corpora."""
        if self.task.kind == "answer_retrieval" and not self.task.source.files:
            return ""  # questions as in SQuAD
        return ENDINGS.get(self.task.kind, "")
