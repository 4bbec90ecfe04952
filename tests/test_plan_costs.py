"""What a study will cost: work against counts by hand, wall time against all paths, corrections against the truth."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from pathlib import Path

import pytest
import yaml

from scripts.plan import main
from stilts.config.load import load_config
from stilts.config.study import Study
from stilts.plan.seconds import Rates, Run, corrections, foretold, kind_of
from stilts.plan.sizes import EXPECTED, Sizes
from stilts.plan.study import Step, StudyPlan
from stilts.plan.work import LARGE, Work, Works
from tests.study_case import ROOT, TINY, planned


def study_of(path: Path) -> Study:
    return Study(load_config(yaml.safe_load(path.read_text(encoding="utf-8"))))


PAPER = study_of(ROOT / "experiments" / "paper.yaml")


# --- work


def test_training_of_the_paper_costs_what_its_tokens_cost():
    """MNLI, two epochs of 392,702 pairs of 40 sub-words; 2 * 302 M parameters of the layers a token, thrice."""
    work = Works(PAPER).of("train_intermediate", {"backbone": "xlm-r-large", "recipe": "mnli", "seed": "1"})
    layers = LARGE.layers * (4 * LARGE.hidden**2 + 2 * LARGE.hidden * LARGE.ffn)
    assert work.flops == pytest.approx(2 * 392702 * 40 * 2 * layers * 3, rel=0.05)
    assert 12e3 < work.memory < 16e3
    assert work.disk == pytest.approx(4 * 559e6, rel=0.02)


def test_budget_points_cost_less_by_depth_and_length():
    def flops(point: str) -> float:
        arm = {"backbone": "xlm-r-large", "recipe": "none", "target": "xquad", "seed": "1"}
        return Works(PAPER).of("predict", {**arm, "point": point}).flops

    assert flops("d12-lfull-fp32") == pytest.approx(flops("dfull-lfull-fp32") / 2, rel=0.02)
    assert flops("dfull-l100-fp32") == pytest.approx(flops("dfull-lfull-fp32") / 2, rel=0.05)


def test_every_task_and_rule_of_every_experiment_has_a_size_and_a_work():
    for path in (ROOT / "experiments").glob("*.yaml"):
        study = study_of(path)
        works = Works(study)
        for backbone, recipe, target, depth, seed in study.models():
            arm = {"backbone": backbone, "recipe": recipe, "target": target, "depth": depth, "seed": str(seed)}
            assert works.of("train_target", arm).flops > 0, (path.stem, arm)
        for target in study.grid.targets:
            arm = {"backbone": study.grid.backbones[0], "recipe": "none", "target": target, "seed": "1"}
            rules = ("embed", "mine") if study.task(target).retrieval else ("predict",)
            for rule, point in itertools.product(rules, study.points_of(target)):
                assert works.of(rule, {**arm, "point": point}).flops > 0, (path.stem, rule, target)
    shipped = {p.stem for p in (ROOT / "tasks").glob("*.yaml")} - {"revisions.lock"}
    assert shipped - set(EXPECTED) == set()


def test_sizes_are_those_of_the_tokens_once_they_are_there(tmp_path):
    folder = tmp_path / "tokens" / "xlm-r-large" / "pawsx"
    folder.mkdir(parents=True)
    counted = {"examples": {"en": 10, "de": 30}, "subwords": {"en": 300, "de": 1300}}
    (folder / "manifest.json").write_text(json.dumps({"facts": {"splits": {"test": counted}}}))
    sizes = Sizes(PAPER, tmp_path)
    assert sizes.of("pawsx", "test", "xlm-r-large").examples == 20
    assert sizes.of("pawsx", "test", "xlm-r-large").tokens == 1600 / 40 + 4
    assert sizes.of("pawsx", "train", "xlm-r-large").examples == EXPECTED["pawsx"][0]


# --- seconds


def test_a_calibration_run_mends_wrong_rates_by_the_kind_of_a_job_then_its_rule_then_all():
    """A machine whose rules are off by factors of their own: after one seed the others are predicted."""
    truth = {"train_target": 3.0, "predict": 0.25}
    works = {"xquad": Work(flops=9e12), "udpos": Work(flops=1e12), "panx": Work(flops=2e12)}
    rates = Rates(cpu=1e10)

    def run(rule: str, target: str) -> Run:
        stated = rates.stated(works[target], 0, 1)
        return Run((rule, target), stated, truth[rule] * stated * (1.1 if target == "udpos" else 1.0))

    rates.correct = corrections(run(rule, target) for rule in truth for target in ("xquad", "udpos"))
    for rule, target in itertools.product(truth, ("xquad", "udpos")):
        assert rates.seconds((rule, target), works[target]) == pytest.approx(run(rule, target).actual)
    assert rates.seconds(("predict", "panx"), works["panx"]) == pytest.approx(run("predict", "panx").actual, rel=0.1)
    others = rates.seconds(("embed", "panx"), works["panx"]) / rates.stated(works["panx"], 0, 1)
    assert 0.25 < others < 3.0
    assert Rates(cpu=1e10).seconds(("embed", "panx"), works["panx"]) == rates.stated(works["panx"], 0, 1)
    assert kind_of("train_target", {"backbone": "b", "recipe": "r", "target": "t"}) == ("train_target", "t")


def test_finished_jobs_are_predicted_by_the_others_alone():
    rng = random.Random(0)
    runs = [
        Run((f"r{rng.randint(0, 3)}", rng.choice(["", "a", "b", "c"])), rng.uniform(0.1, 9), rng.uniform(0.1, 9))
        for _ in range(25)
    ]
    for k, told in enumerate(foretold(runs)):
        factor = Rates(correct=corrections(runs[:k] + runs[k + 1 :])).factor(runs[k].kind)
        assert told.predicted == pytest.approx(factor * runs[k].predicted)
        assert (told.kind, told.actual) == (runs[k].kind, runs[k].actual)
    assert foretold(runs[:1]) == runs[:1], "nothing but what is stated"


def test_one_seed_of_a_study_predicts_the_time_of_the_next_within_a_fifth(finished, tmp_path, capsys):
    results = finished / "results" / "tiny"
    for seed, place in (("s1", tmp_path / "first"), ("s2", tmp_path / "results" / "tiny")):
        for path in results.rglob(f"{seed}/run.json"):
            copy = place / path.relative_to(results)
            copy.parent.mkdir(parents=True)
            shutil.copy(path, copy)
    arguments = ["--configfile", str(TINY), "--directory", str(tmp_path), "--json"]
    assert main([*arguments, "--measured", str(tmp_path / "first")]) == 0
    rows = json.loads(capsys.readouterr().out)["finished"]
    assert {"train_target", "predict", "embed", "score"} <= {row["rule"] for row in rows}
    predicted, actual = (sum(row[name] for row in rows) for name in ("predicted", "actual"))
    assert predicted == pytest.approx(actual, rel=0.2), rows


# --- the plan


def plan_of_steps(rng: random.Random, count: int) -> StudyPlan:
    steps = []
    for k in range(count):
        after = tuple(sorted(rng.sample(range(k), rng.randint(0, min(2, k)))))
        gpus = rng.randint(0, 1)
        steps.append(Step(f"r{k}", "", "", float(rng.randint(1, 9)), gpus, rng.random() < 0.8, after, 1.0))
    return StudyPlan("results/x", steps, [], False, 10.0)


@pytest.mark.parametrize("seed", range(20))
def test_chain_and_wall_time_are_those_of_all_paths_and_of_a_greedy_schedule(seed):
    plan = plan_of_steps(random.Random(seed), 9)
    cost = [s.seconds * s.todo for s in plan.steps]

    def paths(k: int) -> list[list[int]]:
        return [[k], *([*path, k] for j in plan.steps[k].after for path in paths(j))]

    longest = max(sum(cost[k] for k in path) for n in range(9) for path in paths(n))
    assert sum(step.seconds for step in plan.chain()) == longest
    assert all(step.todo for step in plan.chain())
    assert plan.wall(99, 99) == longest
    one = [sum(c for c, s in zip(cost, plan.steps, strict=True) if (s.gpus > 0) == kind) for kind in (True, False)]
    for gpus, cpus in itertools.product((1, 2, 3), repeat=2):
        bound = max(longest, one[0] / gpus, one[1] / cpus)
        assert bound <= plan.wall(gpus, cpus) <= one[0] / gpus + one[1] / cpus + longest


def test_disk_at_peak_holds_the_checkpoints_of_as_many_jobs_as_run():
    steps = [Step("train_target", "", "", 1.0, 1, True, (), 5.0) for _ in range(3)]
    plan = StudyPlan("results/x", steps, [], False, 100.0)
    assert (plan.kept(), plan.peak(2), plan.peak(8)) == (15.0, 215.0, 315.0)


def test_the_plan_of_a_study_names_jobs_hours_and_what_finished_jobs_took(tmp_path, capsys):
    arguments = ["--configfile", str(TINY), "--directory", str(tmp_path), "--json"]
    assert main(arguments) == 0
    before = json.loads(capsys.readouterr().out)
    jobs = planned(tmp_path)
    assert {row["rule"]: row["jobs"] for row in before["rules"]} == jobs
    assert {row["rule"]: row["todo"] for row in before["rules"]} == jobs
    assert before["corrected"] is False
    assert before["chain"][0]["rule"] == "make_world"

    done = tmp_path / "results/tiny/models/target/mini/none/pawsx/dfull/s1"
    done.mkdir(parents=True)
    (done / "run.json").write_text(json.dumps({"device": "cpu", "cpu_seconds": 50.0, "wall_seconds": 90.0}))
    assert main(arguments) == 0
    after = json.loads(capsys.readouterr().out)
    assert after["corrected"] is True
    (row,) = after["finished"]
    assert (row["rule"], row["jobs"], row["actual"]) == ("train_target", 1, 50.0)
    assert row["predicted"] < 5.0, "no job predicts itself"
    cpu = [next(r["cpu_seconds"] for r in plan["rules"] if r["rule"] == "train_target") for plan in (before, after)]
    assert cpu[1] > 10 * cpu[0]
    assert main([*arguments, "--stated"]) == 0
    assert json.loads(capsys.readouterr().out)["rules"] == before["rules"]
    assert main([*arguments, "--measured", str(tmp_path / "nothing")]) == 2
    assert "holds no finished job" in capsys.readouterr().err
