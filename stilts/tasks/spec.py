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

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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
    splits: dict[Split, str] = Field(default_factory=dict, description="Our split -> the repository's split.")
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
    pairs: str = Field(
        "", description="Entity retrieval: configuration that holds the training and validation pairs of all languages."
    )
    candidates: str = Field(
        "", description="Entity retrieval: configuration whose test split holds the candidates of all languages."
    )
    world: str = Field("", description="Task of the mini world whose raw files are read; empty: the task's own.")

    @field_validator("config", "splits", "aliases")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return stays_inside(value)


class TaskSpec(Strict):
    """One data set with a kind, splits, labels, languages and a metric (the schema of `tasks/<task>.yaml`)."""

    task: str = Field(description="Name; equals the file name.")
    version: int = Field(1, ge=1, description="Raised whenever the meaning of the task's scores changes.")
    kind: Kind
    group: Group
    description: str
    source: Source
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Our column -> a `{column}` template over the repository's columns, or a column name.",
    )
    choices: list[str] = Field(
        default_factory=list,
        description="Multiple choice: one template a choice, or one over a list column (a choice an element).",
    )
    labels: list[str] = Field(default_factory=list, description="Label names in the order of the model's outputs.")
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
    model_of: str | None = Field(
        None,
        description="Target whose tuned model predicts this one too (bitext retrieval: whose encoder embeds it). "
        "Nothing is trained for it; settings and dev selection are that target's.",
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
        if self.kind in ("pair_classification", "token_tagging") and not self.labels:
            raise ValueError(f"a {self.kind} task needs `labels`")
        unknown = sorted(set(self.label_values.values()) - set(self.labels))
        if unknown:
            raise ValueError(f"`label_values` names labels that `labels` does not hold: {unknown}")
        if self.model_of and self.train_task:
            raise ValueError("`model_of` and `train_task` exclude each other: the model is the other target's")
        if self.model_of == self.task:
            raise ValueError("`model_of` names the task itself")
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
