"""Recipes as a user states them: mistakes named, every key in a spec, and a whole small study of each kind."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from stilts.config.load import load_config
from stilts.config.specs import Specs
from stilts.config.study import Study
from stilts.data.fetch import fetch_local
from stilts.data.layout import Request
from stilts.data.prepare import prepare
from stilts.errors import UserError
from stilts.miniworld import write_world
from stilts.miniworld.translations import TRANSLATED, write_translation
from stilts.provenance.manifest import canonical, read_manifest
from tests.study_case import ROOT, planned, snakemake
from tests.test_miniworld_world import SMALL

STUDY = ROOT / "tests" / "study_recipes.yaml"
RAW = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
REAL = {"provider": "hub", "source_language": "en", "grid": {"targets": ["pawsx"], "backbones": ["x"]}}
REAL |= {"backbones": {"x": {"source": "hub", "id": "a/b"}}}


# --- mistakes


def recipes(text: str, **more) -> dict:
    """Return a configuration with recipes, all of them in the grid."""
    made = yaml.safe_load(text)
    base = copy.deepcopy(more)
    base.setdefault("grid", {}).update(recipes=["none", *made])
    return {**base, "recipes": {"none": {}, **made}}


MISTAKES = {
    "an unknown start": ("x: {tasks: [mnli], after: y}", {}, 'recipes.x.after: "y" is not defined.'),
    "a start that trains nothing": ("x: {tasks: [mnli], after: none}", {}, 'recipes.x.after: "none" trains nothing'),
    "a circle": (
        "x: {tasks: [mnli], after: y}\ny: {tasks: [mnli], after: z}\nz: {tasks: [mnli], after: x}",
        {},
        "recipes.x.after: a circle (x after y after z after x)",
    ),
    "itself": ("x: {tasks: [mnli], after: x}", {}, "recipes.x.after: a circle (x after x)"),
    "text without a task": ("x: {masked_lm: {}}", {}, "recipes.x: a recipe without `tasks` is the backbone as it is"),
    "nothing to train on": ("x: {tasks: [mnli], source_rows: false}", {}, "`source_rows: false` leaves nothing"),
    "a rate of one": (
        "x: {tasks: [mnli], masked_lm: {rate: 1.0}}",
        {},
        "recipes.x.masked_lm.rate: must be less than 1",
    ),
    "labels as text": (
        "x: {tasks: [mnli], masked_lm: {corpus: copa}}",
        {},
        'recipes.x.masked_lm.corpus: "copa" is a multiple_choice task',
    ),
    "text that is nowhere": (
        "x: {tasks: [mnli], masked_lm: {corpus: mlm_txt}}",
        {},
        'recipes.x.masked_lm.corpus: There is no task "mlm_txt" in tasks/. Did you mean "mlm_text"?',
    ),
    "a language without text": (
        "x: {tasks: [mnli], masked_lm: {languages: [qaa, qaz]}}",
        {},
        'recipes.x.masked_lm.languages: `mlm_text` has no text in "qaz".',
    ),
    "a translation into the source language": (
        "x: {tasks: [mnli], translated: [qaa]}",
        {},
        'recipes.x.translated: "qaa" is the source language',
    ),
    "a task the mini world does not translate": (
        "x: {tasks: [udpos], translated: [qab]}",
        {},
        "recipes.x.translated: the mini world translates mnli",
    ),
    "a language the mini world does not have": (
        "x: {tasks: [mnli], translated: [qaf]}",
        {},
        'recipes.x.translated: the mini world has no language "qaf"',
    ),
    "a translation that no file names": (
        "x: {tasks: [hellaswag], translated: [de]}",
        REAL,
        '`hellaswag` names no translation into "de" (languages it names: none); say where its rows lie under '
        "`tasks: hellaswag: translations: de:`",
    ),
    "a misspelt setting": (
        "x: {tasks: [mnli], training: {epoch: 3}}",
        {},
        'recipes.x.training.epoch: unknown key. Did you mean "epochs"?',
    ),
    "a translation with a test split": (
        "x: {tasks: [hellaswag], translated: [de]}",
        REAL | {"tasks": {"hellaswag": {"translations": {"de": {"id": "a/b", "splits": {"test": "test"}}}}}},
        "`translations.de` needs `splits: {train: ...}`",
    ),
    "a chain of another kind": (
        "x: {tasks: [mnli]}",
        {"tasks": {"xcopa": {"train_chain": ["mnli"]}}, "grid": {"targets": ["xcopa"]}},
        'xcopa.train_chain: "mnli" is a pair_classification task, xcopa multiple_choice',
    ),
    "a chain with other labels": (
        "x: {tasks: [mnli]}",
        {"tasks": {"pawsx": {"train_chain": ["mnli"]}}, "grid": {"targets": ["pawsx"]}},
        'pawsx.train_chain: "mnli" has other labels',
    ),
    "a chain with an unknown task": (
        "x: {tasks: [mnli]}",
        {"tasks": {"pawsx": {"train_chain": ["mnly"]}}, "grid": {"targets": ["pawsx"]}},
        'pawsx.train_chain: There is no task "mnly" in tasks/. Did you mean "mnli"?',
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake):
    text, more, says = MISTAKES[mistake]
    with pytest.raises(UserError) as caught:
        load_config(recipes(text, **more))
    assert says in str(caught.value), str(caught.value)


def test_only_recipes_of_the_grid_need_their_translations():
    raw = recipes("x: {tasks: [hellaswag], translated: [de]}", **REAL)
    raw["grid"]["recipes"] = ["none"]
    load_config(raw)


def test_recipes_whose_data_are_not_there_are_left_out_with_a_line_each(tmp_path):
    text = """
        text: {tasks: [mnli], masked_lm: {}}
        rows: {tasks: [hellaswag], translated: [de]}
        late: {tasks: [mnli], after: rows}
        later: {tasks: [mnli], after: late}
        both: {tasks: [mnli], translated: [de]}
    """
    own = {"mlm_text": {"source": {"files": ""}}}
    own["hellaswag"] = {"translations": {"de": {"splits": {"train": "train"}}}}
    study = Study(load_config(recipes(text, **copy.deepcopy(REAL), tasks=own)))
    assert study.grid.recipes == ["none", "both"]
    assert study.notes == [
        "recipe text is left out. The data of mlm_text are for you to bring: "
        "name their folder under `tasks: mlm_text: source: path`.",
        "recipe rows is left out. The data of hellaswag.de are for you to bring: "
        "name their folder under `tasks: hellaswag: translations: de: path`.",
        "recipe late is left out, since it comes after rows.",
        "recipe later is left out, since it comes after late.",
    ]
    (tmp_path / "a").mkdir()
    own["mlm_text"]["source"]["path"] = own["hellaswag"]["translations"]["de"]["path"] = str(tmp_path / "a")
    study = Study(load_config(recipes(text, **copy.deepcopy(REAL), tasks=own)))
    assert study.grid.recipes == ["none", "text", "rows", "late", "later", "both"]
    assert study.notes == []
    assert study.local("hellaswag.de") == str(tmp_path / "a")
    assert "path" not in Specs(study).fetch("hellaswag.de")["task"]["source"], "a path is no setting"


# --- specs


def specs_of(raw: dict) -> dict[str, str]:
    """Return the specs that a change of a recipe or of a chain could reach."""
    study = Study(load_config(raw))
    specs, out = Specs(study), {}
    for recipe in raw["recipes"]:
        if study.recipe(recipe).tasks:
            out[f"train {recipe}"] = canonical([specs.train_intermediate("mini", recipe, 1), study.start(recipe)])
            out[f"reads {recipe}"] = canonical(study.read_by(recipe))
    for target in raw["grid"]["targets"]:
        if target in study.trained:
            out[f"target {target}"] = canonical([specs.train_target("none", target, "full", 1), study.chain(target)])
            out[f"predict {target}"] = canonical(specs.predict("none", target, "dfull-lfull-fp32"))
    return out


CHANGES = {
    "recipes.co-trained.masked_lm.rate": (0.3, {"train co-trained"}),
    "recipes.co-trained.masked_lm.languages": (["qab"], {"train co-trained"}),
    "recipes.co-trained.masked_lm.language_alpha": (0.5, {"train co-trained"}),
    "recipes.co-trained.masked_lm.mask_probability": (0.2, {"train co-trained"}),
    "recipes.co-trained.masked_lm": (None, {"train co-trained", "reads co-trained", "reads chained"}),
    "recipes.co-trained.training": ({"epochs": 2}, {"train co-trained"}),
    "recipes.chained.training.learning_rate": (1e-4, {"train chained"}),
    "recipes.chained.after": ("translated", {"train chained", "reads chained"}),
    "recipes.translated.translated": (["qad"], {"train translated", "reads translated"}),
    "recipes.translated.source_rows": (True, {"train translated"}),
    "intermediate.tasks": ({"mlm_text": {"batch_size": 8}}, {"train co-trained"}),
    "tasks.xcopa.train_chain": ([], {"target xcopa"}),
    "target.tasks": ({"hellaswag": {"epochs": 2}}, {"target xcopa"}),
}


@pytest.mark.parametrize("place", CHANGES)
def test_a_key_reaches_the_specs_it_can_change_and_no_other(place):
    value, moved = CHANGES[place]
    raw = copy.deepcopy(RAW)
    *path, key = place.split(".")
    here = raw
    for part in path:
        here = here[part]
    here[key] = value
    before, after = specs_of(RAW), specs_of(raw)
    assert {k for k in before if before[k] != after[k]} == moved


def test_text_lengths_are_those_of_the_corpus_in_the_phase():
    raw = copy.deepcopy(RAW)
    raw["intermediate"]["tasks"] = {"mlm_text": {"batch_size": 8, "max_length": 32}}
    spec = Specs(Study(load_config(raw))).train_intermediate("mini", "co-trained", 1)
    assert (spec["masked_lm"]["batch_size"], spec["masked_lm"]["max_length"]) == (8, 32)
    assert spec["settings"]["batch_size"] == 16


def test_settings_of_a_recipe_win_over_those_of_its_tasks():
    raw = recipes("x: {tasks: [mnli, squad1], training: {epochs: 3}}\ny: {tasks: [squad1], training: {epochs: 3}}")
    raw["intermediate"] = {"defaults": {"epochs": 1}, "tasks": {"squad1": {"epochs": 2, "batch_size": 8}}}
    specs = Specs(Study(load_config(raw)))
    several, one = (specs.train_intermediate("mini", r, 1) for r in "xy")
    assert [(t["settings"]["epochs"], t["settings"]["batch_size"]) for t in several["tasks"]] == [(3, 32), (3, 8)]
    assert (several["settings"]["epochs"], several["settings"]["batch_size"]) == (3, 32)
    assert (one["settings"]["epochs"], one["settings"]["batch_size"]) == (3, 8)


# --- translated rows


def test_translations_of_real_tasks_are_read_from_their_own_source():
    config = load_config(recipes("x: {tasks: [mnli], translated: [de, sw]}", **REAL))
    spec = Specs(Study(config)).fetch("mnli.sw")
    assert spec["task"]["source"] == {"id": "facebook/xnli", "config": "sw", "splits": {"train": "train"}}
    assert (spec["languages"], spec["source_language"]) == (["sw"], "sw")
    assert Study(config).read_by("x") == ["mnli", "mnli.de", "mnli.sw"]


def test_translations_in_the_users_files_are_checked_like_any_task(tmp_path):
    home, raw, out = tmp_path / "mine", tmp_path / "raw", tmp_path / "out"
    (home / "mnli.de" / "mnli").mkdir(parents=True)
    file = home / "mnli.de" / "mnli" / "train.jsonl"
    file.write_text('{"premise": "Es regnet.", "hypothesis": "Es ist nass.", "label": 0}\n')
    more = {**REAL, "provider": "local", "local_data": str(home)}
    specs = Specs(Study(load_config(recipes("x: {tasks: [mnli], translated: [de]}", **more))))
    request = Request.from_spec(specs.prepare("mnli.de"))
    raw.mkdir()
    fetch_local(request, home, raw)
    prepare(request, raw, out)
    assert pq.read_table(out / "train.parquet").to_pylist() == [
        {"id": "train-0", "language": "de", "text_a": "Es regnet.", "text_b": "Es ist nass.", "label": 0}
    ]
    file.write_text('{"premise": "Es regnet."}\n')
    with pytest.raises(UserError, match="has no column"):
        fetch_local(request, home, raw)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("world")
    write_world(SMALL, out)
    return out


@pytest.mark.parametrize("task", TRANSLATED)
def test_the_mini_world_says_the_same_rows_in_another_language(world, task, tmp_path):
    """Labels, ids and order are those of the source language; the words are of the other script (qab: Cyrillic)."""
    rows = write_translation(SMALL, task, "qab", tmp_path)
    (name,) = rows
    there, here = (pq.read_table(f / name).to_pylist() for f in (tmp_path, world / task))
    assert rows[name] == len(there) == len(here) > 0
    for key in {"label", "id", "idx", "ind", "question", "answerKey"} & set(here[0]):
        if key != "question" or task == "copa":
            assert [r[key] for r in there] == [r[key] for r in here]
    first = next(key for key in ("premise", "context", "ctx", "question1", "question") if key in here[0])
    text = [row[first] for row in there]
    cyrillic = [len(re.findall("[\u0400-\u04ff]", t)) / len(re.findall(r"\w", t)) for t in text]
    assert sum(cyrillic) / len(cyrillic) > 0.8  # some names keep Latin letters
    assert not any(re.search("[\u0400-\u04ff]", str(r)) for r in here)
    if "answers" in here[0]:
        for row, own in zip(there, here, strict=True):
            assert len(row["answers"]["text"]) == len(own["answers"]["text"])
            for answer, at in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
                assert row["context"][at : at + len(answer)] == answer


def test_the_mini_world_refuses_what_it_cannot_translate(tmp_path):
    with pytest.raises(UserError, match="'qaf' is no language to translate into; there are qab"):
        write_translation(SMALL, "mnli", "qaf", tmp_path)
    with pytest.raises(UserError, match="'udpos' is not translated"):
        write_translation(SMALL, "udpos", "qab", tmp_path)


# --- the whole study


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    done = snakemake(folder, "--cores", "1", configfile=STUDY)
    assert done.returncode == 0, done.stdout[-6000:]
    return folder / "results" / "recipes"


def facts(folder: Path) -> dict:
    return read_manifest(folder / "manifest.json")["facts"]


def test_every_kind_of_recipe_runs_to_its_scores(place):
    scores = (place / "scores.csv").read_text().splitlines()
    arms = {tuple(line.split(",")[2:4]) for line in scores[1:]}
    assert {(r, t) for r in ("none", "chained", "translated") for t in ("xcopa", "tatoeba")} <= arms
    assert not any(r == "co-trained" for r, _ in arms), "a recipe that only starts another one is no arm"
    models = place / "models" / "intermediate" / "mini"
    assert facts(models / "co-trained" / "s1")["items"] == {"mnli": 96, "mlm_text": 64}  # 4 of 10 steps of 16
    assert facts(models / "translated" / "s1")["items"] == {"mnli": 2 * 96}
    assert facts(place / "models/target/mini/chained/xcopa/dfull/s1")["chain"] == ["hellaswag"]
    assert json.loads((models / "chained" / "s1" / "spec.json").read_text())["settings"]["learning_rate"] == 5e-4


def test_a_second_run_has_nothing_to_do_and_an_edit_reruns_what_hangs_on_it(place, tmp_path):
    folder = place.parents[1]
    assert planned(folder, configfile=STUDY) == {}
    raw = copy.deepcopy(RAW)
    raw["recipes"]["co-trained"]["masked_lm"]["rate"] = 0.3
    edited = tmp_path / "edited.yaml"
    edited.write_text(yaml.safe_dump(raw))
    jobs = planned(folder, configfile=edited)
    # co-trained and chained; then the one arm that starts from them, tuned and embedded
    rules = "train_target predict embed mine count_costs costs curves claims summarise figures report"
    once = dict.fromkeys(rules.split(), 1)
    assert jobs == {"train_intermediate": 2, "score": 2, **once}
    raw["recipes"]["translated"]["translated"] = ["qab"]
    edited.write_text(yaml.safe_dump(raw))
    assert planned(folder, configfile=edited)["train_intermediate"] == 3
