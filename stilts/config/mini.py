"""The embedded default: what suits the mini world and its small encoder (found by experiment, docs/mini_world.md).

They are given here in full, so that an experiment that says nothing of a setting gets the field's ordinary value from
`stilts.config.models` and never one of these.
"""

from __future__ import annotations

OPTIMIZER = {"adam_beta2": 0.98, "adam_epsilon": 1e-6, "weight_decay": 0.01, "dropout": 0.0}

PRETRAINING = {
    "seed": 1,
    "layers": 4,
    "hidden_size": 96,
    "heads": 4,
    "ffn_size": 192,
    "max_positions": 128,
    "initializer_range": 0.05,
    "vocabulary": 1000,
    "mask_probability": 0.3,
    "batch_tokens": 512,
    "tokenizer_lines": 0,
    "steps": 8000,
    "shards": 2,
    "training": {"learning_rate": 2e-3, "warmup_ratio": 0.06, **OPTIMIZER},
}

FINE_TUNING = {
    "learning_rate": 1e-3,
    "epochs": 1,
    "batch_size": 16,
    "max_length": 128,
    "doc_stride": 64,
    "pooling": "mean",
    "frozen_layers": 2,
    **OPTIMIZER,
}

INTERMEDIATE = {"defaults": FINE_TUNING, "tasks": {}}

TARGET = {
    "defaults": FINE_TUNING,
    "tasks": {
        "pawsx": {"epochs": 2},
        "udpos": {"epochs": 2},
        "xquad": {"max_train_examples": 4000},
        "tydiqa": {"epochs": 4},
        "xcopa": {"epochs": 2},
    },
}

# Is what intermediate training changes still there when the top of the encoder, where it changes most, is cut off?
# Lengths are no axis here: the world's sentences are short, and a reader's windows only become more.
BUDGET = {"depths": ["full", 3, 2], "precisions": ["fp32", "int8"]}

# The artificial words cannot be put in an English sentence; the world's COPA is large enough to be learnt at once.
TASKS = {
    "copa": {"columns": {"prompt": "{premise}"}},
    "xcopa": {"columns": {"prompt": "{premise}"}, "train_chain": []},
}
