"""The rerun matrix, settings: after one edit of the configuration exactly the jobs it can change are planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.plan_server import Planner
from tests.rerun_case import ALL, BELOW_TRAINING, MODELS, RETRIEVAL, expected, merged, tell, tiny, write

TRAINED = "pawsx|udpos|xquad|xcopa"
OF_MULTI = "train_intermediate: recipe=multi; train_target predict score embed mine: recipe=multi; TAIL"
WITH_LANGUAGES = "pawsx|udpos|xquad|xcopa|tatoeba"
EVERY_MODEL = f"{BELOW_TRAINING}: target={TRAINED}; TAIL"
SECOND = {"source": "pretrain", "layers": 1, "pretraining": tiny()["backbones"]["mini"]["pretraining"] | {"layers": 1}}


def pretraining(**keys: Any) -> dict:
    """Return the change of some pretraining settings."""
    return {"backbones": {"mini": {"pretraining": keys}}}


def target(**keys: Any) -> dict:
    """Return the change of some settings of target training."""
    return {"target": {"defaults": keys}}


def intermediate(**keys: Any) -> dict:
    """Return the change of some settings of intermediate training."""
    return {"intermediate": {"defaults": keys}}


# Below pretraining everything runs but what never sees the encoder.
BELOW_PRETRAINING = f"pretrain; randomise; {MODELS}; embed mine; TAIL"

CASES: dict[str, tuple[dict, str]] = {
    # What changes no result.
    "nothing": ({}, ""),
    "runtime": (
        {
            "runtime": {
                "tokens_per_batch": 64,
                "mining_memory_mb": 16,
                "resident_worker": False,
                "gpus": 1,
                "gpu_share": 2,
                "checkpoints": "c",
                "checkpoint_minutes": 0,
            }
        },
        "",
    ),
    "threads": ({"runtime": {"threads": 2}}, "profile_budget costs figures report"),
    "queries of a measurement": ({"budget": {"queries": 16}}, "profile_budget costs figures report"),
    "no measurements": ({"budget": {"measure": False}}, "costs figures report"),
    "the store": ({"store": "elsewhere"}, ""),
    "no store": ({"store": None}, ""),
    "a recipe that no arm uses": ({"recipes": {"spare": {"tasks": ["mnli"]}}}, "report"),
    "a backbone that no arm uses": ({"backbones": {"spare": SECOND}}, "report"),
    "settings of a task that no recipe has": ({"intermediate": {"tasks": {"mnli": {"epochs": 3}}}}, "report"),
    "a setting written out at its default": (target(weight_decay=0.0), ""),
    "a title": ({"title": "Another"}, "report"),
    # The world and its languages.
    "another experiment": ({"experiment": "other"}, ALL),
    "a seed of the world": ({"world": {"seed": 99}}, ALL),
    "a size of the world": ({"world": {"sizes": {"tatoeba": 31}}}, ALL),
    "a language of the world less": ({"world": {"languages": ["qaa", "qab"]}}, ALL),
    "a language of the world more": ({"world": {"languages": ["qaa", "qab", "qac", "qad"]}}, ALL),
    "the source language": ({"source_language": "qab"}, ALL),
    "a language less": (
        {"languages": ["qab"]},
        f"prepare tokenize: task={WITH_LANGUAGES}; train_target: target=pawsx|udpos|xcopa; predict score: "
        f"target={TRAINED}; {RETRIEVAL}; profile_budget; TAIL",
    ),
    # The grid.
    "a recipe less": ({"grid": {"recipes": ["none"]}}, "TAIL"),
    "a recipe more": (
        {"grid": {"recipes": ["none", "multi", "squad1"]}, "recipes": {"squad1": {"tasks": ["squad1"]}}},
        "train_intermediate train_target predict embed mine score: recipe=squad1; TAIL",
    ),
    "recipes in another order": ({"grid": {"recipes": ["multi", "none"]}}, "TAIL"),
    "a seed less": ({"grid": {"seeds": [1]}}, "TAIL"),
    "a seed more": (
        {"grid": {"seeds": [1, 2, 3]}},
        "pretrain: seed=3; train_intermediate train_target predict embed mine score: seed=3; TAIL",
    ),
    "a target less": ({"grid": {"targets": ["pawsx", "xquad", "xcopa", "tatoeba"]}}, "TAIL"),
    "a target more": (
        {"grid": {"targets": ["pawsx", "udpos", "xquad", "xcopa", "tatoeba", "tydiqa"]}},
        "prepare tokenize: task=tydiqa; train_target predict score profile_budget: target=tydiqa; TAIL",
    ),
    "a control less": ({"grid": {"controls": ["random-init"]}}, "TAIL"),
    "no controls": ({"grid": {"controls": []}}, "score: seed=1; TAIL"),
    "seeds of the controls": (
        {"grid": {"control_seeds": [2]}},
        "randomise: seed=2; train_target predict embed mine: recipe=random-init|blind seed=2; score; TAIL",
    ),
    "a backbone more": (
        {"grid": {"backbones": ["mini", "small"]}, "backbones": {"small": SECOND}},
        "train_tokenizer tokenize pretrain randomise train_intermediate train_target predict embed mine score "
        "profile_budget: backbone=small; TAIL",
    ),
    # Pretraining.
    "pretraining steps": (pretraining(steps=21), BELOW_PRETRAINING),
    "pretraining learning rate": (pretraining(training={"learning_rate": 2e-3}), BELOW_PRETRAINING),
    "pretraining width": (pretraining(hidden_size=16), BELOW_PRETRAINING),
    "vocabulary": (pretraining(vocabulary=1100), f"train_tokenizer; tokenize; {BELOW_PRETRAINING}"),
    "one pretraining for all seeds": (
        pretraining(seed=1),
        "train_intermediate train_target predict embed mine score: seed=2; TAIL",
    ),
    "longest position": (pretraining(max_positions=130), f"train_tokenizer; tokenize; {BELOW_PRETRAINING}"),
    # Recipes and intermediate training.
    "intermediate learning rate": (intermediate(learning_rate=2e-3), OF_MULTI),
    "intermediate settings of one task": ({"intermediate": {"tasks": {"squad1": {"max_length": 60}}}}, OF_MULTI),
    "sampling": ({"recipes": {"multi": {"sampling": "temperature", "temperature": 2.0}}}, OF_MULTI),
    "a cap on examples": ({"recipes": {"multi": {"examples_cap": 100}}}, OF_MULTI),
    "tasks in another order": ({"recipes": {"multi": {"tasks": ["hellaswag", "squad1"]}}}, OF_MULTI),
    "a task more in a recipe": (
        {"recipes": {"multi": {"tasks": ["squad1", "hellaswag", "mnli"]}}},
        f"prepare tokenize: task=mnli; {OF_MULTI}",
    ),
    "settings of one recipe": ({"recipes": {"multi": {"training": {"epochs": 2}}}}, OF_MULTI),
    "text beside a recipe": (
        {"recipes": {"multi": {"masked_lm": {"corpus": "mlm_text", "rate": 0.25}}}},
        OF_MULTI,
    ),
    "translated rows": (
        {"recipes": {"multi": {"translated": ["qab"]}}},
        f"make_translation prepare tokenize: task=squad1.qab|hellaswag.qab; {OF_MULTI}",
    ),
    "a chain": (
        {"recipes": {"squad1": {"tasks": ["squad1"]}, "multi": {"after": "squad1"}}},
        f"train_intermediate: recipe=squad1; {OF_MULTI}",
    ),
    "a folder of task files that nothing is read from": ({"task_folders": []}, ""),
    # Target training.
    "target learning rate": (target(learning_rate=2e-3), EVERY_MODEL),
    "target epochs": (target(epochs=2), EVERY_MODEL),
    "target dropout": (target(dropout=0.0), EVERY_MODEL),
    "target precision": (target(precision="fp32"), EVERY_MODEL),
    "pooling of the heads": (target(pooling="mean"), EVERY_MODEL),
    "selection": (target(eval_examples=19), EVERY_MODEL),
    "frozen layers": (target(frozen_layers=1), EVERY_MODEL),
    "pairs in one softmax": (target(softmax_pairs=4), EVERY_MODEL),
    "two settings swapped": (target(adam_beta1=0.999, adam_beta2=0.9), EVERY_MODEL),
    "settings of one target": (
        {"target": {"tasks": {"udpos": {"epochs": 2}}}},
        "train_target predict score profile_budget: target=udpos; TAIL",
    ),
    "stride of one target": (
        {"target": {"tasks": {"xquad": {"doc_stride": 32}}}},
        "train_target predict score profile_budget: target=xquad; TAIL",
    ),
    "length of one target": (
        {"target": {"tasks": {"pawsx": {"max_length": 48}}}},
        "train_target predict score profile_budget: target=pawsx; TAIL",
    ),
    "a target with a chain": (
        {"tasks": {"xcopa": {"train_chain": ["siqa"]}}},
        "prepare tokenize: task=siqa; train_target predict score profile_budget: target=xcopa; TAIL",
    ),
    # How models are kept: predictions read them, and what they say stays the same.
    "compact model files": (
        {"model_files": "compact"},
        f"train_intermediate; {BELOW_TRAINING}: target={TRAINED}; embed mine score; TAIL",
    ),
    # Budget points.
    "a depth less": ({"budget": {"depths": ["full"]}}, f"profile_budget: target={TRAINED}; TAIL"),
    "a depth more": (
        {"budget": {"depths": ["full", 1, 2]}},
        f"train_target: depth=2; predict score: point=d2-lfull-fp32; profile_budget: target={TRAINED}; TAIL",
    ),
    "a length more": (
        {"budget": {"max_lengths": ["full", 32]}},
        "predict embed mine score: point=dfull-l32-fp32|d1-l32-fp32; profile_budget; TAIL",
    ),
    "a precision more": (
        {"budget": {"precisions": ["fp32", "int8"]}},
        "predict embed mine score: point=dfull-lfull-int8|d1-lfull-int8; profile_budget; TAIL",
    ),
    "the cost that budgets are counted in": ({"budget": {"axis": "memory"}}, "curves claims figures report"),
    "budgets as they are": ({"budget": {"scale": "absolute"}}, "curves claims figures report"),
    "the window": ({"budget": {"window": [0.7, 1.0]}}, "curves claims figures report"),
    "budgets": ({"budget": {"budgets": [0.8]}}, "claims figures report"),
    "what claims are meant for": ({"budget": {"languages": "random", "examples": "fixed"}}, "claims figures report"),
    "error rate and margin": ({"budget": {"alpha": 0.1, "margin": 2.0}}, "claims figures report"),
    # Retrieval.
    "the headline layer": (
        {"retrieval": {"layer": 2}},
        "profile_budget: target=tatoeba; costs curves claims summarise figures report",
    ),
    "layers": ({"retrieval": {"layers": [0, 1]}}, f"{RETRIEVAL}; TAIL"),
    "pooling of sentences": ({"retrieval": {"pooling": "first"}}, f"{RETRIEVAL}; TAIL"),
    "length of sentences": ({"retrieval": {"max_length": 16}}, f"{RETRIEVAL}; TAIL"),
    # Tasks, as the experiment reads them.
    "a task's licence": ({"tasks": {"udpos": {"licence": "other"}}}, "report"),
    "a task's group": ({"tasks": {"udpos": {"group": "classification"}}}, "summarise figures report"),
    "a task's prompt": (
        {"tasks": {"xcopa": {"columns": {"prompt": "{premise} {question}"}}}},
        "prepare tokenize: task=xcopa; train_target predict score profile_budget: target=xcopa; TAIL",
    ),
    "a task's metric": (
        {"tasks": {"xquad": {"metrics": ["f1"]}}},
        "train_target predict score profile_budget: target=xquad; TAIL",
    ),
}


@pytest.fixture(scope="module")
def planner():
    server = Planner()
    yield server
    server.close()


@pytest.mark.parametrize("case", CASES)
def test_a_setting_reruns_what_it_can_change(case, finished, planner, tmp_path):
    change, wanted = CASES[case]
    jobs, planned, _ = planner(finished, write(tmp_path / "edited.yaml", merged(tiny(), change)))
    wanted_jobs = expected(jobs, wanted)
    assert planned == wanted_jobs, tell(planned, wanted_jobs)


def test_an_experiment_written_another_way_is_the_same(finished, planner, tmp_path):
    def backwards(value: Any) -> Any:
        return {k: backwards(v) for k, v in reversed(value.items())} if isinstance(value, dict) else value

    path = write(tmp_path / "edited.yaml", backwards(tiny()))
    path.write_text("# another comment\n" + path.read_text().replace("0.001", "1.0e-3"), encoding="utf-8")
    assert planner(finished, path)[1] == set()


def test_words_name_the_setting_and_its_values(finished, planner, tmp_path):
    change = {"target": {"tasks": {"udpos": {"learning_rate": 2e-3}}}, "retrieval": {"layer": 2}, "languages": ["qab"]}
    words = planner(finished, write(tmp_path / "edited.yaml", merged(tiny(), change)))[2]
    assert "learning_rate 0.001 -> 0.002 (from target.tasks.udpos.learning_rate)" in words
    assert "retrieval_layer 1 -> 2 (from retrieval.layer)" in words
    assert "languages - qad (from languages)" in words
    assert "only because a job above them runs" in words
    assert f"({len(planner(finished, tmp_path / 'edited.yaml')[1])} of " in words


def test_words_when_nothing_is_there(planner, tmp_path):
    path = write(tmp_path / "edited.yaml", tiny())
    assert planner(Path(tmp_path), path)[2] == "Nothing is there yet: 169 jobs will run."


def test_words_when_nothing_is_to_do(finished, planner, tmp_path):
    assert "Nothing will run: all 169 results" in planner(finished, write(tmp_path / "edited.yaml", tiny()))[2]


def test_jobs_with_an_encoder_ask_for_a_gpu_where_the_experiment_has_one(planner, tmp_path):
    planner(tmp_path, write(tmp_path / "edited.yaml", merged(tiny(), {"runtime": {"gpus": 1}})))
    asked = {rule: planner.answer["gpus"][output] for rule, output in planner.answer["planned"]}
    with_encoder = {"pretrain", "train_intermediate", "train_target", "predict", "embed", "profile_budget"}
    assert asked == {rule: int(rule in with_encoder) for rule in asked}
    assert with_encoder < set(asked)
