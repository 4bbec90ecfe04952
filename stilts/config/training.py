"""Settings of training as typed models: pretraining, and the phases of fine-tuning."""

from __future__ import annotations

from copy import copy
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, create_model
from pydantic.fields import FieldInfo

from stilts.tasks.spec import Strict

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
BelowOne = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]


class Optimizer(Strict):
    """AdamW with linear warm-up and decay."""

    learning_rate: float = Field(1e-5, gt=0, description="Peak learning rate of AdamW.")
    warmup_ratio: Fraction = Field(
        0.1, description="Share of the steps with linearly rising learning rate; then it falls linearly to 0."
    )
    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay (not on biases and layer norms).")
    max_grad_norm: float = Field(
        1.0, gt=0, allow_inf_nan=True, description="Gradients are clipped to this norm; .inf clips nothing."
    )
    adam_beta1: BelowOne = Field(0.9, description="AdamW: decay of the first moment.")
    adam_beta2: BelowOne = Field(0.999, description="AdamW: decay of the second moment.")
    adam_epsilon: float = Field(1e-8, gt=0, description="AdamW: term that keeps the denominator from 0.")
    dropout: BelowOne = Field(0.1, description="Dropout of the hidden states, the attention weights and the head.")
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
    shards: Positive = Field(
        1,
        description="Parts of a step's batch that CPU processes compute side by side, as many as there are cores for "
        "this job. How many processes there are changes no bit; how many parts, rounding and the draws of dropout.",
    )
    mask_probability: Fraction = Field(
        0.15, description="Share of the tokens to predict (80 % masked, 10 % random, 10 % kept)."
    )
    training: Optimizer = Field(
        default_factory=lambda: Optimizer(learning_rate=6e-4, adam_beta2=0.98, weight_decay=0.01, warmup_ratio=0.06),
        description="How the weights are updated.",
    )


def _optional(field: FieldInfo) -> FieldInfo:
    field = copy(field)
    field.default = None  # never validated: only keys that are set count
    return field


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
