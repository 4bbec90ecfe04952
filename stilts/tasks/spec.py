"""What a task is: `tasks/<task>.yaml` as a typed model. Tasks are data; code exists once a kind."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Kind = Literal[
    "pair_classification",
    "multiple_choice",
    "token_tagging",
    "span_extraction",
    "masked_lm",
    "bitext_retrieval",
    "bitext_mining",
    "answer_retrieval",
    "entity_retrieval",
]
# Compared as an encoder makes them, at every hidden state; the other two are fine-tuned as dual encoders.
SWEPT_KINDS = ("bitext_retrieval", "bitext_mining")
DUAL_KINDS = ("answer_retrieval", "entity_retrieval")
RETRIEVAL_KINDS = (*SWEPT_KINDS, *DUAL_KINDS)
UNTRAINED_KINDS = (*SWEPT_KINDS, "masked_lm")
Group = Literal["classification", "structured", "qa", "retrieval", "intermediate", "text"]
Split = Literal["train", "validation", "test"]
Quirk = Literal["strip_newline", "realign_answers", "drop_unlabelled"]


class Strict(BaseModel):
    """Base of every model read from YAML: unknown keys are errors, values are not coerced across types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def stays_inside(value: Any) -> Any:
    """Return a value unless a name in it leads out of a folder: names become parts of paths below the experiment's.

    value: text, or a list or mapping of texts. Raises ValueError naming the text.
    """
    if isinstance(value, str):
        if value.startswith("/") or "\\" in value or ".." in value.split("/"):
            raise ValueError(f"`{value}` leaves the folder of the task's data: it must be a plain name")
    else:
        for item in value.values() if isinstance(value, dict) else value:
            stays_inside(item)
    return value


class Source(Strict):
    """Where a task's rows lie on the hub; local folders and the mini world use the same configs and splits."""

    id: str = Field("", description="Hub repository id, `org/name`; empty when the task is raw files only.")
    revision: str | None = Field(
        None, description="Pinned commit; null: resolved at the first fetch and written to `tasks/revisions.lock.yaml`."
    )
    branch: str = Field(
        "main", description="Branch a missing pin is resolved from (`refs/convert/parquet` for script repositories)."
    )
    config: str = Field(
        "default", description="Hub configuration; `{language}` stands for the language (or its alias)."
    )
    splits: dict[Split, str | list[str]] = Field(
        default_factory=dict, description="Our split -> the repository's split, or several, one after the other."
    )
    languages_in: Literal["config", "id_prefix", "none"] = Field(
        "none",
        description="Where the language of a row is found: one config a language, a prefix of `id` before the first "
        "`-`, or nowhere (everything is in the source language).",
    )
    aliases: dict[str, str] = Field(
        default_factory=dict, description="Our language code -> the repository's name for it."
    )
    files: str = Field(
        "",
        description="URL of raw files with `{language}` and `{endpoint}`, for tasks that are not on the hub as tables.",
    )
    path: str = Field("", description="Your folder, for corpora that no hub may hold; read instead of the hub.")
    layout: Literal["tables", "tagged_lines"] = Field(
        "tables",
        description="`tagged_lines`: `<split>.tsv` (words TAB tags) and `tags_to_id.json`, or CCGbank's AUTO files.",
    )
    languages: list[str] = Field(
        default_factory=list, description="Of a further source: the languages that are read from it."
    )
    columns: dict[str, str] = Field(
        default_factory=dict, description="Of a further source: the task's `columns` that are called otherwise there."
    )
    pairs: str = Field(
        "", description="Entity retrieval: configuration that holds the training and validation pairs of all languages."
    )
    candidates: str = Field(
        "", description="Entity retrieval: configuration whose test split holds the candidates of all languages."
    )
    world: str = Field("", description="Task of the mini world whose raw files are read; empty: the task's own.")

    @field_validator("config", "splits", "aliases", "pairs", "candidates", "world")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return stays_inside(value)

    @property
    def names(self) -> dict[str, list[str]]:
        """Our split -> the repository's splits."""
        return {split: [name] if isinstance(name, str) else name for split, name in self.splits.items()}

    @property
    def brought(self) -> bool:
        """Whether the user has to bring the data: nothing says where they could be fetched."""
        return not (self.id or self.files)


class TaskSpec(Strict):
    """One data set with a kind, splits, labels, languages and a metric (the schema of `tasks/<task>.yaml`)."""

    task: str = Field(description="Name; equals the file name.")
    version: int = Field(1, ge=1, description="Raised whenever the meaning of the task's scores changes.")
    kind: Kind
    group: Group
    description: str
    source: Source = Field(default_factory=Source)
    more_sources: list[Source] = Field(
        default_factory=list, description="Further repositories, each for its own `languages` of the task."
    )
    union: list[str] = Field(
        default_factory=list,
        description="Tasks of the same kind and labels whose examples this task is, one after the other.",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Our column -> a `{column}` template over the repository's columns, or a column name.",
    )
    choices: list[str] = Field(
        default_factory=list,
        description="Multiple choice: one template a choice, or one over a list column (a choice an element).",
    )
    labels: list[str] = Field(
        default_factory=list,
        description="Label names in the order of the model's outputs; supertags: empty, the data list them.",
    )
    label_values: dict[str, str] = Field(
        default_factory=dict,
        description="Raw label value (as text) -> label name; empty: the raw value is the label's position.",
    )
    quirks: list[Quirk] = Field(
        default_factory=list, description="Known faults of the real data that the reader mends and counts."
    )
    languages: list[str] = Field(
        default_factory=list, description="Languages evaluated; empty: the source language only."
    )
    train_task: str | None = Field(
        None,
        description="Task whose training split tunes this target; null: its own. Bitext retrieval trains on nothing.",
    )
    train_chain: list[str] = Field(
        default_factory=list,
        description="Tasks tuned one after the other before the target's own training split, with the same head "
        "(XCOPA: Social IQa, then COPA).",
    )
    model_of: str | None = Field(
        None,
        description="Target whose tuned model predicts this one too (bitext retrieval: whose encoder embeds it). "
        "Nothing is trained for it; settings and dev selection are that target's.",
    )
    translations: dict[str, Source] = Field(
        default_factory=dict,
        description="Language -> where machine translations of the training rows lie, in this task's own columns and "
        "labels; `translated` of a recipe names the languages it trains on.",
    )
    variant: str = Field(
        "", description="Bitext mining: first part of the protocol's name, where two tasks differ in their corpora."
    )
    unanswerable: bool = Field(False, description="Span extraction: questions without an answer exist.")
    metrics: list[str] = Field(description="Metrics; a task score is their mean (QA: F1 and exact match).")
    licence: str = ""
    citation: str = ""
    url: str = ""
    notes: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> TaskSpec:
        # Chunks need names; words whose accuracy alone counts may have the labels that the data list (`tagged_lines`).
        named = self.kind == "pair_classification" or (self.kind == "token_tagging" and "f1" in self.metrics)
        if named and not self.labels:
            raise ValueError(f"a {self.kind} task needs `labels`")
        theirs = [language for source in self.more_sources for language in source.languages]
        if not all(source.languages for source in self.more_sources) or len(set(theirs)) < len(theirs):
            raise ValueError("each of `more_sources` names its own `languages`")
        if self.union and (self.source != Source() or self.more_sources):
            raise ValueError("a `union` has no source of its own: its examples are those of its members")
        unknown = sorted(set(self.label_values.values()) - set(self.labels))
        if unknown:
            raise ValueError(f"`label_values` names labels that `labels` does not hold: {unknown}")
        if self.model_of and (self.train_task or self.train_chain):
            raise ValueError("`model_of` and `train_task` exclude each other: the model is the other target's")
        if self.model_of == self.task:
            raise ValueError("`model_of` names the task itself")
        for language, source in self.translations.items():
            if set(source.splits) != {"train"} or source.languages_in != "none":
                raise ValueError(f"`translations.{language}` needs `splits: {{train: ...}}` and one configuration")
        return self

    @field_validator("task", "languages")
    @classmethod
    def _plain(cls, value: str | list[str]) -> str | list[str]:
        return stays_inside(value)

    @property
    def retrieval(self) -> bool:
        """Whether the target is scored straight from sentence embeddings."""
        return self.kind in RETRIEVAL_KINDS

    @property
    def trainable(self) -> bool:
        """Whether tasks of this kind are fine-tuned: all but parallel sentences and plain text."""
        return self.kind not in UNTRAINED_KINDS

    @property
    def swept(self) -> bool:
        """Whether the target is scored at every hidden state."""
        return self.kind in SWEPT_KINDS

    @property
    def dual(self) -> bool:
        """Whether the target is fine-tuned as a dual encoder: one tower for queries and candidates."""
        return self.kind in DUAL_KINDS
