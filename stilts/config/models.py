"""The configuration as typed models: every key has a default (the embedded mini world) and a sentence.

`config.yaml`, `config.schema.json` and `docs/configuration.md` are generated from here (`make config`).
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from stilts.config import mini
from stilts.config.training import Count, Fraction, Name, Phase, Positive, Pretraining, TrainingChange
from stilts.config.world import World
from stilts.tasks.spec import Strict

CONTROLS = ("random-init", "blind")
Counted = Literal["flops", "flops_slots", "memory", "disk"]  # the other axes are measured
Axis = Literal[
    Counted, "latency_p50", "latency_p90", "latency_p99", "cpu_seconds", "memory_peak", "energy", "energy_above_idle"
]
COUNTED_AXES = get_args(Counted)


class Backbone(Strict):
    """The encoder everything starts from."""

    source: Literal["pretrain", "hub", "local"] = Field(
        "hub", description="`pretrain`: made by the workflow; `hub`: a repository; `local`: a folder."
    )
    id: str = Field("", description="Hub repository id (source: hub).")
    revision: str | None = Field(None, description="Pinned commit; null: resolved at the first fetch and locked.")
    path: str = Field("", description="Folder in Hugging Face layout (source: local).")
    layers: Positive | None = Field(
        None, description="Number of layers, if known; lets the plan name depths before the weights are there."
    )
    pretraining: Pretraining | None = Field(None, description="How to pretrain (source: pretrain).")

    @model_validator(mode="after")
    def _complete(self) -> Backbone:
        need = {"pretrain": ("pretraining", self.pretraining), "hub": ("id", self.id), "local": ("path", self.path)}
        key, value = need[self.source]
        if not value:
            raise ValueError(f"`source: {self.source}` needs `{key}`")
        return self


class MaskedLM(Strict):
    """Masked-LM steps on plain text between the steps of a recipe's tasks, one task a step."""

    corpus: Name = Field("mlm_text", description="Task of kind masked_lm whose text is read.")
    rate: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Share of all steps that are masked-LM steps; the tasks keep the steps they have without them.",
    )
    languages: list[Name] | Literal["all"] = Field(
        "all", description="Languages whose text is read; `all`: every language of the corpus."
    )
    language_alpha: Fraction = Field(
        1.0, description="Exponent on language shares when drawing text (XLM-R: 0.3); 1 keeps the shares of the text."
    )
    mask_probability: Fraction = Field(
        0.15, description="Share of the tokens to predict (80 % masked, 10 % random, 10 % kept)."
    )


class Recipe(Strict):
    """How a backbone becomes an intermediate model."""

    tasks: list[Name] = Field(default_factory=list, description="Intermediate tasks; none: the backbone as it is.")
    after: str = Field("", description="Recipe whose encoder this one starts from (a chain); empty: the backbone.")
    sampling: Literal["proportional", "temperature"] = Field(
        "proportional", description="Several tasks: how the task of a step is drawn."
    )
    temperature: float = Field(
        1.0, gt=0, description="Temperature sampling: probability ~ examples ** (1 / temperature)."
    )
    examples_cap: Positive = Field(131072, description="Several tasks: examples counted per task at most when drawing.")
    masked_lm: MaskedLM | None = Field(None, description="Masked-LM co-training on plain text beside the tasks.")
    translated: list[Name] = Field(
        default_factory=list,
        description="Languages whose machine-translated training rows are trained on (see `translations` of a task).",
    )
    source_rows: bool = Field(
        True, description="With `translated`: whether the rows of the source language are trained on as well."
    )
    training: TrainingChange | None = Field(
        None, description="What the recipe changes of `intermediate`, for every task of it (keys of `defaults`)."
    )

    @model_validator(mode="after")
    def _beside_a_task(self) -> Recipe:
        if not self.tasks and (self.after or self.masked_lm or self.translated or self.training):
            raise ValueError("a recipe without `tasks` is the backbone as it is; name the tasks it trains on")
        if not self.source_rows and not self.translated:
            raise ValueError("`source_rows: false` leaves nothing to train on without `translated`")
        return self


class Grid(Strict):
    """Which arms of the study run: every backbone x recipe x target x seed."""

    backbones: list[Name] = Field(
        default_factory=lambda: ["mini"], min_length=1, description="Names under `backbones`."
    )
    recipes: list[Name] = Field(
        default_factory=lambda: ["none", "mnli", "squad1", "multi"],
        min_length=1,
        description="Names under `recipes`; `none` is the baseline.",
    )
    targets: list[Name] = Field(
        default_factory=lambda: ["pawsx", "udpos", "xquad", "tydiqa", "xcopa", "tatoeba"],
        min_length=1,
        description="Target tasks.",
    )
    seeds: list[Count] = Field(
        default_factory=lambda: [1, 2, 3],
        min_length=1,
        description="Repetitions; one seed fixes data order and head initialisation in every arm.",
    )
    controls: list[Literal["random-init", "blind"]] = Field(
        default_factory=lambda: list(CONTROLS), description="Blind or untrained arms that a score must beat to count."
    )
    control_seeds: list[Count] = Field(default_factory=lambda: [1], description="Seeds of the control arms.")

    @field_validator("backbones", "recipes", "targets", "seeds", "controls", "control_seeds")
    @classmethod
    def _unique(cls, value: list) -> list:
        double = sorted({str(v) for v in value if value.count(v) > 1})
        if double:
            raise ValueError(f"named twice: {', '.join(double)}")
        return value


class Budget(Strict):
    """Budget points: what inference may cost; every combination is one point."""

    depths: list[Positive | Literal["full"]] = Field(
        default_factory=lambda: ["full"],
        description="Layers kept (top layers are dropped before target training); `full` keeps all.",
    )
    max_lengths: list[Positive | Literal["full"]] = Field(
        default_factory=lambda: ["full"],
        description="Longest sequence at prediction; `full` is the length of training.",
    )
    precisions: list[Literal["fp32", "bf16", "int8", "fp8"]] = Field(
        default_factory=lambda: ["fp32"],
        description="Number formats of the encoder at prediction; int8 needs a CPU, fp8 a GPU that has it.",
    )
    measure: bool = Field(
        True, description="Whether latency, throughput, memory and energy of every point are measured."
    )
    queries: Positive = Field(
        64, description="Test examples answered one by one for the latency of a point; p90 takes 64, p99 takes 662."
    )
    axis: Axis = Field(
        "flops", description="Cost that budgets are counted in; the first four are counted, the others measured."
    )
    scale: Literal["share", "absolute"] = Field(
        "share",
        description="Budgets in units of the cost itself, or as shares of what a target costs on all of the first "
        "backbone under its first budget point.",
    )
    budgets: list[Annotated[float, Field(gt=0)]] = Field(
        default_factory=lambda: [0.6, 1.0], description="Budgets at which recipes are compared with `none`."
    )
    window: list[Annotated[float, Field(gt=0)]] = Field(
        default_factory=lambda: [0.6, 1.0],
        min_length=2,
        max_length=2,
        description="Lowest and highest budget of the area under the curve, fixed before the results are seen.",
    )
    examples: Literal["random", "fixed"] = Field(
        "random", description="Whether a claim is meant for other test examples too, or for these alone."
    )
    languages: Literal["fixed", "random"] = Field(
        "fixed", description="Whether a claim is meant for these languages alone, or for others of their kind too."
    )
    alpha: float = Field(0.05, gt=0, lt=0.5, description="Error rate of a test; intervals hold 1 - alpha.")
    margin: float = Field(
        1.0, gt=0, description="Difference in points that matters: power is given for it, less than it is no gain."
    )

    @model_validator(mode="after")
    def _rising(self) -> Budget:
        if self.window[0] >= self.window[1]:
            raise ValueError("`window` must rise: the lowest budget, then the highest")
        if len(set(self.budgets)) < len(self.budgets):
            raise ValueError("`budgets` names a budget twice")
        return self


class Retrieval(Strict):
    """How sentence embeddings are read and compared."""

    layers: list[Count] | Literal["all"] = Field(
        "all", description="Hidden states pooled in one pass (0 is the embedding layer); `all` sweeps them."
    )
    layer: Count = Field(2, description="Hidden state of the headline score, fixed beforehand (XLM-R Large: 14 of 24).")
    pooling: Literal["mean", "first"] = Field(
        "mean", description="Pooling over the sub-words, `<s>` and `</s>` included, as XTREME does."
    )
    max_length: Positive = Field(128, description="Longest sentence in sub-words.")


class Runtime(Strict):
    """Settings that cannot change a result: speed and comfort."""

    tokens_per_batch: Positive = Field(8192, description="Token budget of one evaluation batch.")
    mining_memory_mb: int = Field(
        128, ge=16, description="MB for blocks of vectors and scores of one mining job; a few hundred are no faster."
    )
    threads: Positive = Field(1, description="CPU threads of one training or prediction job.")
    gpus: Count = Field(
        0,
        description="GPUs that a job with an encoder asks for; a result that the store holds asks for none.",
    )
    gpu_share: Positive = Field(
        1, description="Jobs that may share one GPU of this machine at a time; short runs leave much of it idle."
    )
    resident_worker: bool = Field(True, description="Fork local jobs from one process that has imported torch already.")
    checkpoints: str = Field(
        "results/.checkpoints",
        min_length=1,
        description="Folder for the state of unfinished training, on any disk; a stopped run goes on from there.",
    )
    checkpoint_minutes: float = Field(
        10, ge=0, allow_inf_nan=False, description="Minutes between two checkpoints of a run; 0: never any."
    )


class Config(Strict):
    """One experiment: the whole study under one name."""

    experiment: Name = Field("mini", description="Name; results lie under `results/<experiment>/`.")
    title: str = Field("Mini world stand-in", description="One line shown in the report.")
    provider: Literal["mini", "hub", "local"] = Field(
        "mini", description="Where data come from: the mini world, the hub, or local files."
    )
    local_data: str = Field("", description="Folder `<task>/<config>/<split>.parquet|jsonl|csv` (provider: local).")
    task_folders: list[str] = Field(
        default_factory=list,
        description="Folders with task files of your own, beside `tasks/` (docs/add_a_task.md).",
    )
    source_language: Name = Field(
        "qaa", description="Language of training; English, or an artificial language of the mini world."
    )
    languages: list[Name] | Literal["all"] = Field(
        "all", description="Languages evaluated, beside the source language."
    )
    tasks: dict[Name, dict] = Field(
        default_factory=lambda: mini.TASKS,
        description="Task -> keys of its `tasks/<task>.yaml` to replace in this experiment.",
    )
    grid: Grid = Field(default_factory=Grid)
    backbones: dict[Name, Backbone] = Field(
        default_factory=lambda: {"mini": {"source": "pretrain", "layers": 4, "pretraining": mini.PRETRAINING}},
        validate_default=True,
        description="Encoders by name; `grid.backbones` says which run.",
    )
    recipes: dict[Name, Recipe] = Field(
        default_factory=lambda: {
            "none": Recipe(),
            "mnli": Recipe(tasks=["mnli"]),
            "squad1": Recipe(tasks=["squad1"]),
            "hellaswag": Recipe(tasks=["hellaswag"]),
            "multi": Recipe(tasks=["mnli", "squad1", "hellaswag"]),
        },
        description="Recipes by name; `grid.recipes` says which run.",
    )
    intermediate: Phase = Field(
        default_factory=lambda: mini.INTERMEDIATE, validate_default=True, description="Intermediate training."
    )
    target: Phase = Field(default_factory=lambda: mini.TARGET, validate_default=True, description="Target training.")
    budget: Budget = Field(default_factory=lambda: mini.BUDGET, validate_default=True)
    retrieval: Retrieval = Field(default_factory=Retrieval)
    world: World = Field(default_factory=World, description="The mini world (provider: mini).")
    runtime: Runtime = Field(default_factory=Runtime)
    model_files: Literal["full", "compact"] = Field(
        "full",
        description="How trained models are kept. `full`: a folder that `AutoModel.from_pretrained` loads; `compact`: "
        "the difference to the backbone, with the same predictions (`make export-model` writes it in full).",
    )
    store: str | None = Field(
        "results/.store",
        description="Folder of finished results by all that made them, from which equal jobs are served; several "
        "working copies and users may share one. null: none.",
    )

    @field_validator("store")
    @classmethod
    def _home(cls, store: str | None) -> str | None:
        return store and os.path.expanduser(store)

    @model_validator(mode="before")
    @classmethod
    def _ordinary_with_real_data(cls, raw: Any) -> Any:
        # The mini world's learning rates and prompts must not slip into an experiment on real data.
        if isinstance(raw, dict) and raw.get("provider", "mini") != "mini":
            return {"tasks": {}, "intermediate": {}, "target": {}, "budget": {}, **raw}
        return raw
