"""Every mistake in a configuration is named: where it is, what is wrong, what to write."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stilts.config.load import load_config, resolve_task
from stilts.config.messages import yaml_float
from stilts.config.models import Config
from stilts.config.training import Phase, Training, TrainingChange
from stilts.errors import UserError


def complaint(text: str) -> str:
    with pytest.raises(UserError) as caught:
        load_config(yaml.safe_load(text))
    return str(caught.value)


def test_an_empty_mapping_is_the_default_experiment():
    assert load_config({}) == Config()


MISTAKES = {
    "an unknown key": ("grids: {}", 'grids: unknown key. Did you mean "grid"?'),
    "an unknown key in a section": ("grid: {seed: [1]}", 'grid.seed: unknown key. Did you mean "seeds"?'),
    "an unknown key under a name": (
        "recipes: {x: {task: [mnli]}}",
        'recipes.x.task: unknown key. Did you mean "tasks"?',
    ),
    "an unknown key far down": (
        "backbones: {mini: {source: pretrain, pretraining: {training: {learning_rat: 1.0}}}}",
        'backbones.mini.pretraining.training.learning_rat: unknown key. Did you mean "learning_rate"?',
    ),
    "an unknown key of one task's training": (
        "target: {tasks: {udpos: {epochz: 3}}}",
        'target.tasks.udpos.epochz: unknown key. Did you mean "epochs"?',
    ),
    "an unknown key of a task": (
        "tasks: {xquad: {source: {idd: x}}}",
        'tasks.xquad.source.idd: unknown key. Did you mean "id"?',
    ),
    "a key like no other": ("zzzz: 1", "zzzz: unknown key."),
    "1e-5": (
        "intermediate: {defaults: {learning_rate: 1e-5}}",
        'intermediate.defaults.learning_rate: "1e-5" is text, not a number: YAML wants a dot in it and no quotes. '
        "Write 1.0e-5",
    ),
    "1e-5 for one task": ("target: {tasks: {udpos: {learning_rate: 1e-5}}}", "Write 1.0e-5"),
    "1e3 for a whole number": (
        "intermediate: {defaults: {batch_size: 1e3}}",
        'intermediate.defaults.batch_size: "1e3" is text, not a number. Write 1000',
    ),
    "no in a list of languages": (
        "languages: [de, no]",
        'languages.1: YAML reads a bare no, off or false as False: put quotes around it ("no" is Norwegian)',
    ),
    "no as the source language": (
        "source_language: no",
        "source_language: YAML reads a bare no, off or false as False",
    ),
    "yes for a number": (
        "retrieval: {layer: yes}",
        "retrieval.layer: must be a number; YAML reads a bare yes, on or true",
    ),
    "a number for a name": (
        "experiment: 2024",
        'experiment: must be text, and 2024 is a number: write "2024" in quotes',
    ),
    "a name with a space": ("experiment: my study", "experiment: must be a name"),
    "a key with a space": ("recipes: {a b: {}}", "recipes.a b: must be a name"),
    "a word for a list": ("languages: de", "languages: must be a list or 'all' (it is 'de')"),
    "a number for a list": ("grid: {seeds: 3}", "grid.seeds: must be a list (it is 3)"),
    "a number for a section": ("grid: 5", "grid: must be a mapping of keys to values (it is 5)"),
    "a fraction for a whole number": (
        "intermediate: {defaults: {batch_size: 1.5}}",
        "intermediate.defaults.batch_size: must be an integer (it is 1.5)",
    ),
    "a value out of range": (
        "intermediate: {defaults: {warmup_ratio: 1.5}}",
        "intermediate.defaults.warmup_ratio: must be less than or equal to 1 (it is 1.5)",
    ),
    "a wrong word of a few": ("provider: hab", "provider: must be 'mini', 'hub' or 'local' (it is 'hab')"),
    "a seed twice": ("grid: {seeds: [1, 2, 1]}", "grid.seeds: named twice: 1"),
    "an undefined recipe": (
        "grid: {recipes: [none, mnly]}",
        'grid.recipes: "mnly" is not defined. Did you mean "mnli"?',
    ),
    "an undefined backbone": (
        "grid: {backbones: [mino]}",
        'grid.backbones: "mino" is not defined. Did you mean "mini"?',
    ),
    "an unknown target": (
        "grid: {targets: [xqud]}",
        'grid.targets: There is no task "xqud" in tasks/. Did you mean "xquad"?',
    ),
    "an unknown intermediate task": ("recipes: {x: {tasks: [mnly]}}", 'recipes.x.tasks: There is no task "mnly"'),
    "settings for an unknown task": ("target: {tasks: {udpoz: {epochs: 1}}}", 'target.tasks: There is no task "udpoz"'),
    "a recipe named like a control": (
        "recipes: {blind: {}}",
        'recipes: "blind" is the name of a control; choose another',
    ),
    "a baseline that trains": ("recipes: {none: {tasks: [mnli]}}", "recipes.none: the baseline trains on no task"),
    "training on retrieval": (
        "recipes: {x: {tasks: [tatoeba]}}",
        'recipes.x.tasks: "tatoeba" is a retrieval target; nothing is trained on it',
    ),
    "text as a target": ("grid: {targets: [mlm_text]}", 'grid.targets: "mlm_text" is text for masked-LM training'),
    "a backbone without its repository": ("backbones: {x: {source: hub}}", "backbones.x: `source: hub` needs `id`"),
    "pretraining on labels": (
        "backbones: {mini: {source: pretrain, pretraining: {corpus: mnli}}}",
        'backbones.mini.pretraining.corpus: "mnli" is a pair_classification task; pretraining reads one of kind',
    ),
    "a language that the mini world does not have": (
        "world: {languages: [qaa, xyz]}",
        "world: no language 'xyz'; there are",
    ),
    "a source language outside the mini world": (
        "source_language: de",
        "world: source_language 'de' is not among languages",
    ),
    "local data without a folder": ("provider: local", "provider: local needs `local_data`"),
    "local data that is not there": (
        "{provider: local, local_data: nowhere}",
        "local_data: there is no folder nowhere",
    ),
    "an empty file": ("", "it must be a mapping of keys to values and is empty"),
    "a list": ("[1]", "it must be a mapping of keys to values and is a list"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake):
    text, message = MISTAKES[mistake]
    said = complaint(text)
    assert message in said
    assert "pydantic" not in said
    assert "Input should" not in said


def test_all_mistakes_are_told_at_once():
    said = complaint(
        "{grid: {recipes: [nobody], seeds: 3}, languages: [no], "
        "target: {tasks: {udpos: {epochz: 1, learning_rate: 1e-5}}}}"
    )
    places = (
        "grid.recipes",
        "grid.seeds",
        "target.tasks.udpos.epochz",
        "target.tasks.udpos.learning_rate",
        "languages.0",
    )
    assert [place for place in places if f"  {place}: " not in said] == []
    assert len(said.splitlines()) == 1 + len(places)


def test_a_union_complains_once():
    assert len(complaint("budget: {depths: [full, x]}").splitlines()) == 2
    assert "budget.depths.1: must be an integer or 'full' (it is 'x')" in complaint("budget: {depths: [full, x]}")


def test_one_tasks_settings_change_only_what_they_name():
    config = load_config(yaml.safe_load("target: {defaults: {batch_size: 7, epochs: 2}, tasks: {udpos: {epochs: 3}}}"))
    assert config.target.of("udpos") == Training(batch_size=7, epochs=3)
    assert config.target.of("xquad") == Training(batch_size=7, epochs=2)
    assert set(TrainingChange.model_fields) == set(Training.model_fields)


@pytest.mark.parametrize("provider", ["hub", "local"])
def test_settings_of_the_mini_world_stay_in_the_mini_world(provider, tmp_path):
    real = load_config({"provider": provider, "local_data": str(tmp_path), "source_language": "en"})
    assert (real.tasks, real.intermediate, real.target) == ({}, Phase(), Phase())
    assert Config().target != Phase()
    assert load_config({"provider": provider, "local_data": str(tmp_path), "tasks": {"udpos": {}}}).tasks == {
        "udpos": {}
    }


@pytest.mark.parametrize("store", ["results/x", "results/x/store", "./results/../results/x/.store", "link/.store"])
def test_a_store_below_the_results_it_keeps_is_refused(store, tmp_path, monkeypatch):
    """`make stale` would list it as what no rule makes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/x").mkdir(parents=True)
    (tmp_path / "link").symlink_to("results/x")
    with pytest.raises(UserError, match=r"store: .* lies below results/x"):
        load_config({"experiment": "x", "store": store})
    assert load_config({"experiment": "y", "store": store}).store == store


def test_a_store_may_lie_in_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert load_config({"store": "~/shared"}).store == "/somewhere/shared"
    assert load_config({"store": None}).store is None


def test_an_experiment_replaces_single_keys_of_a_task():
    config = load_config({"tasks": {"xquad": {"languages": ["de"], "source": {"branch": "other"}}}})
    changed, plain = resolve_task(config, "xquad"), resolve_task(Config(), "xquad")
    assert (changed.languages, changed.source.branch) == (["de"], "other")
    assert changed.source.id == plain.source.id
    assert changed.metrics == plain.metrics


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_yaml(number):
    assert yaml.safe_load(f"x: {yaml_float(number)}") == {"x": number}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("grid: {seeds: []}", "grid.seeds: must name at least one"),
        ("budget: {axis: flop}", "budget.axis: must be 'flops'"),
        ("target: {defaults: {dropout: 1.0}}", "target.defaults.dropout: must be less than 1"),
        ("target: {tasks: {xnli: {adam_beta2: 1.0}}}", "target.tasks.xnli.adam_beta2: must be less than 1"),
        ("target: {defaults: {learning_rate: .inf}}", "target.defaults.learning_rate: must be a finite number"),
        ("intermediate: {defaults: {epochs: .nan}}", "intermediate.defaults.epochs: must be a finite number"),
        ("retrieval: {layer: 5}", 'retrieval.layer: backbone "mini" has 4 layers, and this asks for 5'),
        ("retrieval: {layers: [2, 5]}", 'retrieval.layers: backbone "mini" has 4 layers, and this asks for 5'),
        ("budget: {depths: [full, 5]}", 'budget.depths: backbone "mini" has 4 layers, and this asks for 5'),
        ("target: {tasks: {udpos: {frozen_layers: 6}}}", 'udpos.frozen_layers: backbone "mini" has 4 layers'),
        (
            "backbones: {mini: {source: pretrain, layers: 3, pretraining: {layers: 2, hidden_size: 8, heads: 2}}}",
            "backbones.mini.layers: it is 3, and 2 in backbones.mini.pretraining.layers",
        ),
        (
            "backbones: {mini: {source: pretrain, pretraining: {layers: 4, hidden_size: 33, heads: 2}}}",
            "backbones.mini.pretraining.hidden_size: 33 cannot be divided among 2 attention heads",
        ),
    ],
)
def test_sizes_and_numbers_that_nothing_can_meet_are_named(text, said):
    assert said in complaint(text)


def test_the_last_hidden_state_a_wholly_frozen_encoder_and_no_clipping_can_be_asked_for():
    load_config(yaml.safe_load("{target: {defaults: {max_grad_norm: .inf}}}"))
    load_config(yaml.safe_load("{retrieval: {layer: 4}, target: {defaults: {frozen_layers: 5}}}"))


def test_layers_of_retrieval_bind_only_a_study_that_reads_them():
    load_config(yaml.safe_load("{retrieval: {layer: 5}, grid: {targets: [xnli]}}"))
