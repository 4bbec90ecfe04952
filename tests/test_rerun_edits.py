"""The rerun matrix, files: after an edit of code, locks, tasks, rules or results just what it can change is planned."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stilts.provenance.code import digest_of
from stilts.provenance.key import digest_of_parts
from stilts.provenance.manifest import canonical
from tests.plan_server import Planner
from tests.rerun_case import ALL, MODELS, clone, copied, edit, expected, merged, tell, tiny, write
from tests.study_case import ROOT, TINY, planned

TRAINED = "pawsx|udpos|xquad|xcopa"
TRAINING = f"{MODELS}: target={TRAINED}; train_intermediate; embed mine score: recipe=multi; TAIL"
SCORES = f"score: target={TRAINED}; TAIL"
ENCODER = f"pretrain; randomise; {MODELS}; embed mine; TAIL"

Edit = Callable[[Path], None]


def replace(name: str, old: str, new: str) -> Edit:
    """Return the edit of one file."""
    return lambda project: edit(project / name, old, new)


def append(name: str, text: str) -> Edit:
    """Return the edit that adds lines to a file."""

    def change(project: Path) -> None:
        path = project / name
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")

    return change


def code(name: str) -> Edit:
    """Return an edit that may change what a module does."""
    return append(f"stilts/{name}", "\n\nANOTHER_CONSTANT = 1\n")


def lock(package: str, file: str = "requirements.lock") -> Edit:
    """Return the edit that locks another version of a package."""

    def change(project: Path) -> None:
        path = project / "envs" / file
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        at = [i for i, line in enumerate(lines) if line.lower().startswith(f"{package}==")]
        assert len(at) == 1, (package, at)
        version = lines[at[0]].split("==")[1].split()[0]
        lines[at[0]] = lines[at[0]].replace(version, "99.0")
        path.write_text("".join(lines), encoding="utf-8")

    return change


def unformat(project: Path) -> None:
    """Write every module in another layout, without comments and docstrings."""
    import ast

    for path in [*(project / "stilts").rglob("*.py"), *(project / "scripts").glob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            first = body[0] if isinstance(body, list) and body else None
            if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
                first.value.value = "Another docstring."
        path.write_text(ast.unparse(tree) + "\n# the end\n", encoding="utf-8")


def add_a_task(project: Path) -> None:
    """Add the file of another task."""
    text = (project / "tasks/pawsx.yaml").read_text(encoding="utf-8")
    (project / "tasks/mine.yaml").write_text(text.replace("task: pawsx", "task: mine"), encoding="utf-8")


def touch_all(project: Path) -> None:
    """Give every file the date of now."""
    for path in project.rglob("*"):
        os.utime(path)


CODE: dict[str, tuple[Edit, str]] = {
    # What changes nothing.
    "a fresh clone": (lambda project: None, ""),
    "every file touched": (touch_all, ""),
    "a comment": (append("stilts/train/loop.py", "\n# a thought\n"), ""),
    "a docstring": (replace("scripts/train_target.py", '"""Train, keep the best', '"""Train and keep the best'), ""),
    "another layout of all code": (unformat, ""),
    "the resident worker": (code("worker/server.py"), ""),
    "how a plan is explained": (code("reruns/words.py"), ""),
    "messages about the configuration": (code("config/messages.py"), ""),
    "the progress bar": (code("progress.py"), ""),
    "the store's code": (code("provenance/store.py"), ""),
    "the summary at the end": (append("scripts/finish.py", "\n\nX = 1\n"), ""),
    "a new module that nothing imports": (lambda p: (p / "stilts/train/spare.py").write_text("X = 1\n"), ""),
    "a new task file": (add_a_task, ""),
    "a task that the study does not read": (replace("tasks/xnli.yaml", "version: 1", "version: 2"), ""),
    "documentation of an experiment": (append("experiments/paper.yaml", "# more\n"), ""),
    "a conda file": (append("envs/train.yaml", "# more\n"), ""),
    "a profile": (append("profiles/default/config.yaml", "# more\n"), ""),
    "a rule's message": (replace("rules/scores.smk", '"Score {wildcards.target}', '"Judge {wildcards.target}'), ""),
    "a rule's memory": (replace("rules/tokens.smk", "rule tokenize:", "# more memory\nrule tokenize:"), ""),
    # Library modules, one of each stage.
    "a script": (
        append("scripts/mine.py", "\n\nX = 1\n"),
        "mine score: target=tatoeba; AFTER_SCORES",
    ),
    "the mini world": (code("miniworld/pairs.py"), ALL),
    "a reader": (
        code("data/readers.py"),
        f"prepare; tokenize; train_tokenizer; {ENCODER}",
    ),
    "the tokenizer": (code("tokens/tokenizer.py"), f"train_tokenizer; tokenize; {ENCODER}"),
    "tokenising": (code("tokens/build.py"), f"tokenize; {ENCODER}"),
    "the sequences of training": (code("tokens/sequences.py"), f"{TRAINING}; embed mine score; profile_budget"),
    "the encoder": (code("model/encoder.py"), ENCODER),
    "pretraining": (code("train/pretrain.py"), ENCODER),
    "the training loop": (code("train/loop.py"), TRAINING),
    "the optimizer": (code("train/optimizer.py"), ENCODER),
    "decoding of predictions": (code("predict/decode.py"), TRAINING),
    "pooling of sentences": (
        code("predict/embed.py"),
        "embed mine score: target=tatoeba; AFTER_SCORES",
    ),
    "the search": (code("retrieval/search.py"), "mine score: target=tatoeba; AFTER_SCORES"),
    "the form of score rows": (code("metrics/table.py"), "score; profile_budget; TAIL"),
    "the tables": (code("report/tables.py"), "summarise figures report"),
    "the style of the report": (code("report/style.py"), "report"),
    "what a manifest is": (code("provenance/manifest.py"), ALL),
    # Locked versions.
    "torch": (lock("torch", "torch.txt"), ENCODER),
    "sentencepiece": (lock("sentencepiece"), f"train_tokenizer; tokenize; {ENCODER}"),
    "safetensors": (lock("safetensors"), ENCODER),
    "jinja2": (lock("jinja2"), "report"),
    "pandas": (lock("pandas"), ""),
    "snakemake": (lock("snakemake"), ""),
    "datasets, which only real data pass": (lock("datasets"), ""),
    # Tasks and rules.
    "a task's citation": (replace("tasks/udpos.yaml", "url: https://", "url: https://www."), "report"),
    "a task's version": (
        replace("tasks/xquad.yaml", "version: 1", "version: 2"),
        "prepare tokenize: task=xquad; train_target predict score profile_budget: target=xquad; TAIL",
    ),
    "a published number, which no stand-in shows": (append("published/xtreme.yaml", "# more\n"), ""),
    "a rule's command": (
        replace("rules/predictions.smk", "python -m scripts.mine --spec", "python -m  scripts.mine --spec"),
        "mine score: target=tatoeba; AFTER_SCORES",
    ),
}

SCORE = "results/tiny/scores/mini/multi/udpos/d1-lfull-fp32/s1/manifest.json"
DATA = "results/tiny/data/udpos/test.manifest.json"


def remove(name: str) -> Edit:
    """Return the removal of a file or folder."""

    def change(study: Path) -> None:
        path = study / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def touch(study: Path) -> None:
    """Give every result the date of now, inputs last."""
    for path in sorted((study / "results").rglob("*manifest.json"), reverse=True):
        os.utime(path)


def swap_seeds(study: Path) -> None:
    """Exchange the folders of two seeds of one model by hand."""
    arm = study / TUNED
    for old, new in (("s1", "aside"), ("s2", "s1"), ("aside", "s2")):
        (arm / old).rename(arm / new)


def other_code(study: Path) -> None:
    """Give a model the key of a job whose code was edited before it began, and put back before the next run."""
    path = study / TUNED / "s1/key.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["files"] |= {"stilts/train/loop.py": "0" * 12}
    raw["code"] = digest_of(raw["files"])
    hashes = {name: [h for _, h in entries] for name, entries in raw["inputs"].items() if entries}
    raw["key"] = digest_of_parts(raw["rule"], canonical(raw["spec"]), raw["code"], raw["versions"], hashes)
    path.write_text(json.dumps(raw), encoding="utf-8")


def other_content_of_old(study: Path) -> None:
    """Copy test examples of elsewhere over those that are there, with their date of long ago."""
    append(DATA, " ")(study)
    os.utime(study / DATA, (1_000_000_000, 1_000_000_000))


TUNED = "results/tiny/models/target/mini/none/udpos/dfull"
BELOW_TUNED = "recipe=none target=udpos point=dfull-lfull-fp32"
RESULTS: dict[str, tuple[Edit, str]] = {
    "a deleted intermediate model": (remove("results/tiny/models/intermediate/mini/multi/s1"), ""),
    "deleted examples": (remove("results/tiny/data/udpos"), ""),
    "deleted logs": (remove("results/tiny/logs"), ""),
    "a deleted score": (
        remove(SCORE),
        "score: target=udpos recipe=multi point=d1-lfull-fp32 seed=1; AFTER_SCORES",
    ),
    "deleted tables": (remove("results/tiny/tables"), "summarise figures report"),
    "a deleted scores.csv": (remove("results/tiny/scores.csv"), "summarise figures report"),
    "a deleted report": (remove("results/tiny/report"), "report"),
    "a deleted page": (remove("results/tiny/report/index.html"), "report"),
    "a deleted table": (remove("results/tiny/tables/targets.csv"), "summarise figures report"),
    "deleted weights that nothing needs": (remove(f"{TUNED}/s1/model.safetensors"), ""),
    "all results touched": (touch, ""),
    "lost records": (remove(".snakemake"), ""),
    "a changed score": (append(SCORE, " "), "AFTER_SCORES"),
    "changed gold answers": (append(DATA, " "), "predict score profile_budget: target=udpos; costs AFTER_SCORES"),
    "changed gold answers of an older date": (
        other_content_of_old,
        "predict score profile_budget: target=udpos; costs AFTER_SCORES",
    ),
    "swapped folders": (
        swap_seeds,
        f"train_target: recipe=none target=udpos depth=full; predict score: {BELOW_TUNED}; "
        "profile_budget: target=udpos; TAIL",
    ),
    "made by code that is gone": (
        other_code,
        f"train_target: recipe=none target=udpos depth=full seed=1; predict score: {BELOW_TUNED} seed=1; "
        "profile_budget: target=udpos; TAIL",
    ),
}


@pytest.fixture(scope="module")
def planner():
    server = Planner()
    yield server
    server.close()


@pytest.mark.parametrize("case", CODE)
def test_an_edit_of_the_project_reruns_what_it_can_change(case, finished, planner, tmp_path):
    change, wanted = CODE[case]
    project = clone(tmp_path / "another clone")
    change(project)
    jobs, runs, _ = planner(finished, TINY, project)
    wanted_jobs = expected(jobs, wanted)
    assert runs == wanted_jobs, tell(runs, wanted_jobs)


@pytest.mark.parametrize("case", RESULTS)
def test_an_edit_of_the_results_reruns_what_it_can_change(case, finished, planner, tmp_path):
    change, wanted = RESULTS[case]
    study = copied(finished, tmp_path / "copy of a study")
    change(study)
    jobs, runs, _ = planner(study, TINY)
    wanted_jobs = expected(jobs, wanted)
    assert runs == wanted_jobs, tell(runs, wanted_jobs)


def test_a_start_writes_the_records_that_are_another_results(finished, tmp_path):
    """What `snakemake` itself does at its start, where the plans of the other tests write nothing."""
    study = copied(finished, tmp_path / "copy of a study")
    swap_seeds(study)
    other_content_of_old(study)
    jobs = {"train_target": 2, "predict": 9, "score": 9, "profile_budget": 1}
    jobs |= dict.fromkeys(("count_costs", "costs", "curves", "claims", "summarise", "figures", "report"), 1)
    assert planned(study) == planned(study) == jobs
    append(DATA, "x")(study)
    (study / DATA).write_text((study / DATA).read_text()[:-2])
    swap_seeds(study)
    assert planned(study) == {}


def test_a_plan_changes_nothing(finished, planner, tmp_path):
    study = copied(finished, tmp_path / "copy of a study")
    shutil.rmtree(study / ".snakemake/metadata")
    (study / ".snakemake/locks").mkdir(exist_ok=True)
    for name in ("locks/0.input.lock", "controller.lock"):
        (study / ".snakemake" / name).write_text("x")
        os.utime(study / ".snakemake" / name, (1, 1))

    def dates() -> dict[Path, int]:
        own = [study / "results", *(study / ".snakemake" / name for name in ("metadata", "incomplete", "locks"))]
        return {p: p.stat().st_mtime_ns for folder in own for p in folder.rglob("*") if p.is_file()}

    before = dates()
    assert planner(study, TINY)[1] == set()
    assert dates() == before


def test_results_copied_without_dates_and_records(finished, planner, tmp_path):
    study = copied(finished, tmp_path / "moved", dates=False)
    shutil.rmtree(study / ".snakemake")
    assert planner(study, TINY)[1] == set()


def test_an_edit_is_noticed_although_the_records_are_lost(finished, planner, tmp_path):
    study = copied(finished, tmp_path / "moved", dates=False)
    shutil.rmtree(study / ".snakemake")
    change = {"target": {"tasks": {"udpos": {"epochs": 2}}}}
    jobs, runs, _ = planner(study, write(tmp_path / "edited.yaml", merged(tiny(), change)))
    assert runs == expected(jobs, "train_target predict score profile_budget: target=udpos; TAIL")


def test_project_and_results_moved_together(finished, planner, tmp_path):
    project = clone(tmp_path / "here it lies now")
    copied(finished / "results", project / "results")
    copied(finished / ".snakemake", project / ".snakemake")
    assert planner(project, TINY, project)[1] == set()


def test_another_workflow_takes_this_one_as_a_module(finished, planner, tmp_path):
    """The rules of a module are the same jobs; they carry the prefix their user gives them."""
    study = copied(finished, tmp_path / "copy of a study")
    text = f'configfile: "{TINY}"\n\nmodule stilts:\n    snakefile: "{ROOT}/Snakefile"\n    config: config\n\n'
    (tmp_path / "Snakefile").write_text(text + "use rule * from stilts\n", encoding="utf-8")
    jobs, runs, _ = planner(study, None, tmp_path)
    assert len(jobs) == 169
    assert runs == set()


def test_words_name_files_and_packages(finished, planner, tmp_path):
    project = clone(tmp_path / "another clone")
    code("train/loop.py")(project)
    lock("jinja2")(project)
    words = planner(finished, TINY, project)[2]
    assert "edited: stilts/train/loop.py" in words
    assert "jinja2 3." in words
    assert "-> 99.0" in words


def test_words_name_a_changed_input(finished, planner, tmp_path):
    study = copied(finished, tmp_path / "copy of a study")
    append(SCORE, " ")(study)
    assert f"other content: {SCORE}" in planner(study, TINY)[2]
    other_content_of_old(study)
    assert f"other content: {DATA}" in planner(study, TINY)[2]


@pytest.fixture
def fetched(tmp_path) -> tuple[Path, Path, Path]:
    """Return (project, results, configuration) where a task has been fetched from a hub, its commit pinned since."""
    from stilts.config.load import load_config
    from stilts.config.specs import Specs
    from stilts.config.study import Study
    from stilts.provenance.code import code_files
    from stilts.provenance.environment import environment_digest
    from stilts.provenance.key import Key
    from stilts.provenance.manifest import canonical, write_manifest

    hub = {"source": "hub", "id": "nobody/encoder", "layers": 2, "revision": "e" * 40}
    raw = {"experiment": "pins", "provider": "hub", "source_language": "en", "backbones": {"mini": hub}}
    raw |= {"grid": {"recipes": ["none"], "targets": ["pawsx"], "seeds": [1], "controls": []}, "recipes": {"none": {}}}
    raw |= {"tasks": {"pawsx": {"source": {"revision": None}}}}
    folder = tmp_path / "results of a study"
    place = folder / "results/pins/raw/pawsx"
    place.mkdir(parents=True)
    write_manifest(place, {"repository": "google/xtreme", "revision": "a" * 40})
    spec = canonical(Specs(Study(load_config(raw))).fetch("pawsx"))
    key = Key("fetch", spec, code_files("scripts.fetch"), environment_digest("fetch"), {})
    (place / "key.json").write_text(key.dump(), encoding="utf-8")
    return clone(tmp_path / "clone"), folder, write(tmp_path / "pins.yaml", raw)


@pytest.mark.parametrize(
    ("pin", "again"), [("", False), ("a", False), ("b", True)], ids=["no pin", "the commit that is there", "another"]
)
def test_a_pin_fetches_again_only_what_is_another_commit(fetched, planner, pin, again):
    project, folder, config = fetched
    if pin:
        lock = f"repositories:\n  datasets/google/xtreme@main: {pin * 40}\n  datasets/other/one@main: {'c' * 40}\n"
        (project / "tasks/revisions.lock.yaml").write_text(lock, encoding="utf-8")
    runs = planner(folder, config, project)[1]
    assert (("fetch", "results/pins/raw/pawsx/manifest.json") in runs) == again


def test_a_revision_pinned_in_the_task_fetches_again(fetched, planner):
    project, folder, config = fetched
    edit(config, "revision: null", f"revision: {'b' * 40}")
    assert ("fetch", "results/pins/raw/pawsx/manifest.json") in planner(folder, config, project)[1]
