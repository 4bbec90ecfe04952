"""Targets that borrow another target's tuned model (`model_of`): what is trained, read and selected."""

from __future__ import annotations

import pytest

from stilts.config.load import load_config
from stilts.config.specs import Specs
from stilts.config.study import Study
from stilts.errors import UserError
from tests.study_case import changed, planned

LENT = {"tydiqa": {"model_of": "xquad"}, "tatoeba": {"model_of": "xquad"}}


def study_of(targets, **more) -> Study:
    return Study(load_config({"grid": {"targets": targets}, "tasks": LENT, **more}))


def test_only_the_owner_is_trained_even_if_nobody_scores_it():
    study = study_of(["tydiqa", "tatoeba", "udpos"])
    assert study.trained == ["xquad", "udpos"]
    assert {t for _, _, t, _, _ in study.models()} == {"xquad", "udpos"}
    assert len(study.models()) == len(set(study.models()))


def test_training_and_selection_are_the_owners():
    study = study_of(["tydiqa", "tatoeba"])
    for target in ("tydiqa", "tatoeba", "xquad"):
        assert (study.train_task(target), study.dev_task(target)) == ("squad1", "squad1")


def test_an_owner_is_read_at_the_depths_that_its_borrowers_need():
    study = study_of(["tatoeba"], budget={"depths": [2]})
    assert {d for _, _, _, d, _ in study.models()} == {"full"}
    assert {d for _, _, _, d, _ in study_of(["tydiqa"], budget={"depths": [2]}).models()} == {"2"}


def test_the_owners_settings_reach_the_borrowers_predictions():
    study = study_of(["tydiqa"], target={"tasks": {"xquad": {"max_length": 77, "doc_stride": 11}}})
    spec = Specs(study).predict("none", "tydiqa", "dfull-lfull-fp32")
    assert (spec["max_length"], spec["settings"]["doc_stride"]) == (77, 11)
    assert spec["dev_task"]["task"] == "squad1"


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"tydiqa": {"model_of": "xqad"}}, 'tydiqa.model_of: There is no task "xqad"'),
        ({"tydiqa": {"model_of": "tatoeba"}}, 'tydiqa.model_of: nothing is trained for "tatoeba"'),
        ({"tydiqa": {"model_of": "xquad"}, "xquad": {"train_task": None, "model_of": "pawsx"}}, "nothing is trained"),
        ({"tydiqa": {"model_of": "pawsx"}}, 'the model of "pawsx" has another kind or other labels'),
        ({"tydiqa": {"model_of": "tydiqa"}}, "`model_of` names the task itself"),
        ({"tydiqa": {"model_of": "xquad", "train_task": "squad1"}}, "exclude each other"),
    ],
    ids=["unknown", "untrained", "chain", "kind", "itself", "train task"],
)
def test_a_model_that_does_not_fit_is_named(tasks, message):
    with pytest.raises(UserError) as caught:
        load_config({"grid": {"targets": ["tydiqa"]}, "tasks": tasks})
    assert message in str(caught.value)


def test_the_workflow_plans_one_model_for_both(tmp_path):
    grid = {"targets": ["xquad", "tydiqa", "tatoeba"], "seeds": [1], "controls": []}
    jobs = planned(tmp_path, configfile=changed(tmp_path / "lent.yaml", grid=grid, tasks=LENT))
    # 2 recipes x 2 depths; retrieval reads the full one of them.
    assert (jobs["train_target"], jobs["predict"], jobs["embed"]) == (4, 8, 2)
