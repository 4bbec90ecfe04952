"""The configuration as typed models: every key has a default (the embedded mini world) and a sentence.

`config.yaml`, `config.schema.json` and `docs/configuration.md` are generated from here (`make config`).
"""

from __future__ import annotations

import os
from copy import copy
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, create_model, field_validator, model_validator
from pydantic.fields import FieldInfo

from stilts.config import mini
from stilts.config.world import World
from stilts.tasks.spec import Strict

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
CONTROLS = ("random-init", "blind")
COUNTED_AXES = ("flops", "flops_slots", "memory", "disk")  # the others are measured


def _optional(field: FieldInfo) -> FieldInfo:
    field = copy(field)
    field.default = None  # never validated: only keys that are set count
    return field


class Optimizer(Strict):
    """AdamW with linear warm-up and decay."""

    learning_rate: float = Field(1e-5, gt=0, description="Peak learning rate of AdamW.")
    warmup_ratio: Fraction = Field(
        0.1, description="Share of the steps with linearly rising learning rate; then it falls linearly to 0."
    )
    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay (not on biases and layer norms).")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this norm.")
    adam_beta1: Fraction = Field(0.9, description="AdamW: decay of the first moment.")
    adam_beta2: Fraction = Field(0.999, description="AdamW: decay of the second moment.")
    adam_epsilon: float = Field(1e-8, gt=0, description="AdamW: term that keeps the denominator from 0.")
    dropout: Fraction = Field(0.1, description="Dropout of the hidden states, the attention weights and the head.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Number format of training; weights and updates are fp32 in all. `auto`: bf16 on a GPU that has "
        "it, fp32 elsewhere; the choice is in run.json.",
    )


class Training(Optimizer):
    """Settings of one training phase; the same keys for intermediate and target training."""

    epochs: float = Field(3, gt=0, description="Passes over the training examples.")
    batch_size: Positive = Field(32, description="Examples in one optimizer step.")
    max_length: Positive = Field(256, description="Longest sequence in sub-words, special tokens included.")
    query_length: Positive = Field(
        96, description="Answer and entity retrieval: longest query in sub-words; `max_length` is the candidates'."
    )
    softmax_pairs: Count = Field(
        0,
        description="Answer and entity retrieval: pairs in one softmax, so that a query is told from the candidates of "
        "as many pairs; a batch is taken in such groups, in its order. 0: the whole batch.",
    )
    doc_stride: Positive = Field(
        128,
        description="Question answering: step from one window over a long context to the next, as XTREME counts it.",
    )
    pooling: Literal["first", "mean"] = Field(
        "first", description="What the sentence heads read: the `<s>` state, or the mean state."
    )
    frozen_layers: Count = Field(
        0, description="Layers kept as they are, counted from the input; 1 is the embeddings. 0 trains everything."
    )
    max_train_examples: Count = Field(0, description="Cap on the training examples, drawn by seed; 0 is no cap.")
    eval_every: Count = Field(
        0, description="Steps between evaluations on source-language dev data; 0 keeps the last model."
    )
    eval_examples: Positive = Field(500, description="Dev examples used for checkpoint selection.")
    patience: Positive = Field(30, description="Evaluations without improvement after which training stops.")


class Pretraining(Strict):
    """Masked-LM pretraining of a backbone by the workflow itself (stand-ins only)."""

    corpus: Name = Field("mlm_text", description="Task of kind masked_lm whose text is read.")
    seed: Count | None = Field(
        None,
        description="Seed of the one pretraining that all seeds of the grid start from, as they do from a public "
        "backbone; null: one pretraining a seed.",
    )
    layers: Positive = Field(12, description="Transformer layers.")
    hidden_size: Positive = Field(768, description="Width of the hidden states.")
    heads: Positive = Field(12, description="Attention heads.")
    ffn_size: Positive = Field(3072, description="Width of the feed-forward layer.")
    max_positions: Positive = Field(512, description="Longest sequence the position table holds.")
    initializer_range: float = Field(
        0.02,
        gt=0,
        description="Standard deviation of the first weights; narrow encoders need more than the 0.02 of wide ones.",
    )
    vocabulary: Positive = Field(32000, description="Size of the sentencepiece vocabulary, special tokens included.")
    character_coverage: Fraction = Field(1.0, description="Share of the characters that sentencepiece must cover.")
    tokenizer_lines: Count = Field(60000, description="Lines of text that sentencepiece learns from; 0 takes all.")
    language_alpha: Fraction = Field(
        1.0, description="Exponent on language shares when sampling text (XLM-R: 0.3); 1 keeps the text as it is."
    )
    steps: Positive = Field(10000, description="Optimizer steps.")
    batch_tokens: Positive = Field(8192, description="Real tokens in one step.")
    mask_probability: Fraction = Field(
        0.15, description="Share of the tokens to predict (80 % masked, 10 % random, 10 % kept)."
    )
    training: Optimizer = Field(
        default_factory=lambda: Optimizer(learning_rate=6e-4, adam_beta2=0.98, weight_decay=0.01, warmup_ratio=0.06),
        description="How the weights are updated.",
    )


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


# The settings of `Training`, each of them optional: what one task changes.
TrainingChange = create_model(
    "TrainingChange",
    __base__=Strict,
    __doc__="What one task changes of its phase's settings; keys that are not named keep the phase's value.",
    **{name: (field.annotation, _optional(field)) for name, field in Training.model_fields.items()},
)


def altered(settings: Training, change: Strict | None) -> Training:
    """Return settings with the keys that a `TrainingChange` sets; it may be missing."""
    return settings.model_copy(update=change.model_dump(exclude_unset=True)) if change else settings


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


class Phase(Strict):
    """Training settings of a phase: defaults, and what single tasks change of them."""

    defaults: Training = Field(default_factory=Training, description="Settings for every task of the phase.")
    tasks: dict[Name, TrainingChange] = Field(
        default_factory=dict,
        validate_default=True,
        description="Task -> the settings it changes (the keys of `defaults`).",
    )

    def of(self, task: str) -> Training:
        """Return the settings of one task."""
        return altered(self.defaults, self.tasks.get(task))


class Grid(Strict):
    """Which arms of the study run: every backbone x recipe x target x seed."""

    backbones: list[Name] = Field(default_factory=lambda: ["mini"], description="Names under `backbones`.")
    recipes: list[Name] = Field(
        default_factory=lambda: ["none", "mnli", "squad1", "hellaswag", "multi"],
        description="Names under `recipes`; `none` is the baseline.",
    )
    targets: list[Name] = Field(
        default_factory=lambda: ["pawsx", "udpos", "xquad", "tydiqa", "xcopa", "tatoeba"], description="Target tasks."
    )
    seeds: list[Count] = Field(
        default_factory=lambda: [1, 2, 3],
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
    axis: Name = Field(
        "flops", description="Cost that budgets are counted in: a name of the column `cost` of costs.csv."
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
