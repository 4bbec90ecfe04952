"""The whole study at the size of a test, from the mini world to the report, run as a user runs it."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from stilts.config.load import load_config
from stilts.config.study import Study
from tests.study_case import ROOT, TINY, changed, manifests, planned, snakemake


@pytest.fixture(scope="module")
def place(finished) -> Path:
    """Return the folder where the tiny study has run."""
    return finished


@pytest.fixture(scope="module")
def study() -> Study:
    import yaml

    return Study(load_config(yaml.safe_load(TINY.read_text())))


def scores(place: Path) -> list[dict[str, str]]:
    with (place / "results/tiny/scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_cell_of_the_grid_has_a_score(place, study):
    rows = scores(place)
    found = {(r["recipe"], r["target"], r["language"], r["budget_point"], r["seed"]) for r in rows}
    wanted = {
        (recipe, target, language, point, str(seed))
        for target in study.grid.targets
        for _, recipe, seed, point in study.runs(target)
        for language in study.languages(target)
    }
    assert wanted <= found
    extra = {r["recipe"] for r in rows} - {w[0] for w in wanted}
    assert extra <= {"majority", "type-chance"}
    assert all(0 <= float(r["value"]) <= 100 and int(r["n"]) > 0 for r in rows)
    columns = "experiment,backbone,recipe,target,protocol,language,budget_point,seed,metric,value,n,higher_is_better"
    assert ",".join(rows[0]) == columns


def test_every_point_and_every_training_run_has_its_costs(place, study):
    root = place / "results/tiny"
    rows = list(csv.DictReader((root / "costs.csv").open(newline="")))
    for target in study.grid.targets:
        for point in study.points_of(target):
            mine = [r for r in rows if (r["target"], r["point"]) == (target, point)]
            found = {(r["language"], r["cost"]) for r in mine if r["value"]}
            assert {("", "parameters_encoder"), ("", "memory"), ("", "latency_p90"), ("", "throughput")} <= found
            assert {(k, c) for k in (*study.languages(target), "mean") for c in ("tokens", "flops")} <= found
            empty = {r["cost"] for r in mine if not r["value"]}
            assert empty == {"latency_p99", "energy", "energy_above_idle"}  # too few queries, no counter
            assert all(r["note"] for r in mine if not r["value"])
    depths = {r["point"]: float(r["value"]) for r in rows if r["target"] == "pawsx" and r["cost"] == "flops"}
    assert 1.9 < depths["dfull-lfull-fp32"] / depths["d1-lfull-fp32"] < 2.0  # half the layers, the same head
    runs = list(csv.DictReader((root / "training_costs.csv").open(newline="")))
    there = {p.parent.relative_to(root / "models").as_posix() for p in root.glob("models/**/manifest.json")}
    assert len(runs) == len([place for place in there if not place.startswith("random-init/")])
    assert all(float(r["flops"]) > 0 and float(r["cpu_seconds"]) > 0 and float(r["memory_peak"]) > 1e7 for r in runs)


def test_budget_points_reach_models_and_scores(place):
    layers = {}
    for depth in ("dfull", "d1"):
        config = place / f"results/tiny/models/target/mini/none/pawsx/{depth}/s1/config.json"
        layers[depth] = json.loads(config.read_text())["num_hidden_layers"]
    assert layers == {"dfull": 2, "d1": 1}


def test_a_submission_is_written_from_what_is_kept(place):
    folder = "results/tiny/submission/xtreme/mini/best-per-target/dfull-lfull-fp32/s1"
    assert planned(place, f"{folder}/manifest.json") == {"export": 1}
    done = snakemake(place, f"{folder}/manifest.json")
    assert done.returncode == 0, done.stdout
    assert {p.name for p in (place / folder).iterdir() if p.is_dir()} == {"pawsx", "udpos", "xquad", "tatoeba"}
    # 30 test examples a language (tests/tiny.yaml).
    assert len((place / folder / "pawsx" / "test-qab.tsv").read_text().splitlines()) == 30


def test_report_and_tables_are_there_and_say_what_they_are(place):
    page = (place / "results/tiny/report/index.html").read_text()
    assert "stand-in" in page.lower()
    assert (place / "results/tiny/tables/target_x_recipe.csv").stat().st_size > 0
    output = (place / "output.txt").read_text()
    assert "Report: results/tiny/report/index.html" in output
    assert "of CPU time" in output


def test_every_model_folder_says_how_it_was_made(place):
    for manifest in (place / "results/tiny/models").rglob("manifest.json"):
        folder = manifest.parent
        assert json.loads((folder / "spec.json").read_text())
        run = json.loads((folder / "run.json").read_text())
        assert run["versions"]["torch"]
        assert run["cpu_seconds"] > 0
        assert "wall_seconds" not in manifest.read_text()


def test_a_second_run_has_nothing_to_do(place):
    assert planned(place) == {}


def test_the_same_seed_gives_the_same_bytes(place, tmp_path):
    """Another folder, no resident worker, another number of cores: every manifest is the same."""
    config = changed(tmp_path / "again.yaml", runtime={"resident_worker": False, "tokens_per_batch": 1024})
    targets = [
        "results/tiny/models/target/mini/multi/xquad/d1/s2/manifest.json",
        "results/tiny/scores/mini/multi/xquad/d1-lfull-fp32/s2/manifest.json",
        "results/tiny/scores/mini/multi/tatoeba/dfull-lfull-fp32/s1/manifest.json",
    ]
    done = snakemake(tmp_path, "--cores", "1", *targets, configfile=config)
    assert done.returncode == 0, done.stdout[-6000:]
    first, second = manifests(place / "results/tiny"), manifests(tmp_path / "results/tiny")
    assert set(targets) <= {f"results/tiny/{name}" for name in second}
    compared = [name for name in second if "predictions" not in name and "embeddings" not in name]
    assert len(compared) > 20
    assert [name for name in compared if first[name] != second[name]] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": {"targets": ["pawsxx"]}}, 'There is no task "pawsxx" in tasks/. Did you mean "pawsx"?'),
        ({"experimnt": "x"}, 'experimnt: unknown key. Did you mean "experiment"?'),
        ({"target": {"defaults": {"learning_rate": "1e-5"}}}, 'target.defaults.learning_rate: "1e-5" is text'),
        ({"source_language": False}, "source_language"),
        ({"languages": ["qaz"]}, 'no target has data in "qaz"'),
        ({"source_language": "en"}, "source_language"),
        ({"provider": "local", "local_data": "nowhere"}, "there is no folder nowhere"),
    ],
    ids=["task", "key", "number", "boolean", "language", "source", "folder"],
)
def test_a_mistake_in_the_configuration_is_one_message(tmp_path, change, message):
    done = snakemake(tmp_path, "-n", configfile=changed(tmp_path / "wrong.yaml", **change))
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "results").exists()


def test_a_failing_job_shows_its_reason_and_leaves_nothing(tmp_path):
    deep = changed(
        tmp_path / "deep.yaml", budget={"depths": [9]}, backbones={"mini": {"source": "hub", "id": "nobody/nothing"}}
    )
    done = snakemake(tmp_path, "results/tiny/models/pretrained/mini/fetched/manifest.json", configfile=deep)
    assert done.returncode != 0
    assert "error: " in done.stdout
    assert not list((tmp_path / "results").rglob("manifest.json"))


def test_the_default_experiment_is_planned_from_any_folder(tmp_path):
    done = snakemake(tmp_path, "-n", configfile=None)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "All results are there" in done.stdout
    assert re.search(r"^report +1$", done.stdout, re.MULTILINE)


def test_reading_the_workflow_imports_nothing_heavy(tmp_path):
    """Snakemake imports pandas itself, for any Snakefile; ours add nothing to it."""
    command = [sys.executable, "-X", "importtime", "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(tmp_path), "--configfile", str(TINY), "-n", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time")]
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in lines}
    assert "pydantic" in imported
    assert imported & {"torch", "transformers", "datasets", "tokenizers"} == set()
    ours = "import sys; import stilts.config.specs, stilts.config.load, stilts.provenance.environment; "
    ours += "print(*{'pandas', 'pyarrow', 'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", ours], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_snakemakes_default_limit_is_taken_back_and_no_other():
    from snakemake.cli import get_argument_parser
    from snakemake.settings.types import MaxJobsPerTimespan

    text = (ROOT / "rules" / "session.smk").read_text(encoding="utf-8")
    function = text[text.index("def look_when_a_job_ends") : text.index("def explain")]
    default = get_argument_parser().get_default("max_jobs_per_timespan")
    for limit, left in ((default, None), ("10/1s", "the limiter"), ("100/1m", "the limiter")):
        settings = SimpleNamespace(max_jobs_per_timespan=MaxJobsPerTimespan.parse_choice(limit))
        workflow = SimpleNamespace(
            scheduling_settings=settings, scheduler=SimpleNamespace(job_rate_limiter="the limiter")
        )
        exec(function + "look_when_a_job_ends()", {"workflow": workflow})
        assert workflow.scheduler.job_rate_limiter == left, limit
