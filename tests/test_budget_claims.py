"""Curves and claims of a made-up experiment: what is chosen, what is compared, what has no value and why."""

from __future__ import annotations

import csv
import json
import math
import statistics

import pytest
import yaml

from scripts import claims as claims_job
from scripts import curves as curves_job
from stilts.budget.claims import budget_claims, claim_rows
from stilts.budget.curves import area_rows, curve_rows, pareto_rows
from stilts.budget.paper import CONTRADICTED, OPEN, REPRODUCED, UNDECIDED, paper_rows, verdict
from stilts.budget.results import Experiment, Key, Run, costs_of, read_experiment
from stilts.budget.table import Cost, write_costs
from stilts.config.claims import claims
from stilts.config.load import load_config
from stilts.errors import UserError
from stilts.metrics.blocks import BLOCKS, write_blocks
from stilts.metrics.table import Score, write_csv, write_scores
from stilts.provenance.manifest import write_manifest
from stilts.stats.student import mean_interval
from stilts.tasks.claims import Claim
from stilts.tasks.registry import task_names
from tests.budget_case import HOW, KINDS, POINTS, costs, experiment, spec

FULL, SHALLOW, SHORT = POINTS
GAIN = {"none": 0.0, "mnli": 2.0, "multi": 6.0}


def plain(key):
    """40, less when cut, more after a recipe, a little by seed and by what a seed does to a recipe."""
    cut = {FULL: 0, SHALLOW: -10, SHORT: -3}[key.point]
    return 40.0 + cut + GAIN[key.recipe] * (1 + 0.1 * (key.seed - 2)) + key.seed


def records(rows):
    columns, cells = rows
    return [dict(zip(columns, line, strict=True)) for line in cells]


def one(rows, **wanted):
    found = [r for r in records(rows) if all(r[k] == str(v) for k, v in wanted.items())]
    assert len(found) == 1, found
    return found[0]


# --- curves


def test_the_configuration_is_chosen_by_the_dev_score_of_its_own_seed():
    # Seed 1 prefers the short model on dev although the full one has the better test score.
    dev = {(1, SHORT): 90.0, (2, FULL): 90.0}
    rows = curve_rows(experiment(plain, lambda k: dev.get((k.seed, k.point), 50.0)))
    here = {"recipe": "none", "target": "pawsx", "language": "zero-shot", "budget": 1}
    assert one(rows, **here, seed=1) | {"point": SHORT, "value": "38", "dev": "90", "n": "100"} == one(
        rows, **here, seed=1
    )
    assert one(rows, **here, seed=2)["point"] == FULL
    assert one(rows, **{**here, "budget": 0.5}, seed=1)["point"] == SHALLOW
    # Equal dev scores: the cheaper.
    assert one(rows, **{**here, "budget": 0.8}, seed=2)["point"] == SHALLOW


def test_a_target_without_dev_data_takes_the_dearest_and_says_so():
    row = one(curve_rows(experiment(plain)), recipe="none", target="tatoeba", seed=1, language="zero-shot")
    assert (row["point"], row["dev"]) == (FULL, "")
    assert row["note"] == "no dev data: the dearest affordable"


def test_question_answering_names_both_its_metrics():
    assert one(curve_rows(experiment(plain)), recipe="none", target="xquad", seed=1, language="qab", budget=1)[
        "metric"
    ] == ("f1+exact_match")


def test_a_missing_dev_score_leaves_no_choice_where_it_would_count():
    rows = curve_rows(experiment(plain, lambda k: None if k.point == SHORT and k.seed == 1 else 50.0))
    here = {"recipe": "none", "target": "pawsx", "seed": 1, "language": "zero-shot"}
    assert one(rows, **here, budget=0.5)["value"] == "31"
    assert one(rows, **here, budget=0.8)["note"] == f"no choice: no dev score of mini {SHORT}"
    assert one(rows, **here, budget=1)["value"] == ""


@pytest.mark.parametrize("reason", ["flops is 0, which no run can cost", "flops was not measured"])
def test_a_configuration_without_a_cost_is_left_out_and_named(reason):
    rows = curve_rows(experiment(plain, prices=costs(**{SHORT: reason})))
    found = [r for r in records(rows) if r["target"] == "pawsx"]
    assert {r["budget"] for r in found} == {"0.5", "1"}
    assert {r["note"] for r in found} == {f"mini {SHORT} left out: {reason}"}
    lost = [r for r in records(curve_rows(experiment(plain, prices=costs(**{FULL: reason})))) if r["target"] == "xquad"]
    assert {r["value"] for r in lost} == {""}
    assert "the cost that shares are of" in lost[0]["note"]
    claimed = rows_of(experiment(plain, prices=costs(**{SHORT: reason})))
    assert one(claimed, recipe="multi", target="pawsx", budget=1)["note"] == f"mini {SHORT} left out: {reason}"


def test_shares_are_of_the_whole_encoder_where_an_earlier_state_is_read():
    made = experiment(plain)
    made = Experiment(spec(), made.runs, costs(), costs() | {("mini", FULL, "tatoeba"): 400.0})
    assert one(curve_rows(made), recipe="none", target="tatoeba", seed=1, language="zero-shot")["budget"] == "0.25"


def test_absolute_budgets_are_costs():
    how = HOW | {"scale": "absolute"}
    assert {r["budget"] for r in records(curve_rows(experiment(plain, budget=how)))} == {"50", "80", "100"}


def test_areas_and_fronts_by_hand():
    better = experiment(plain, lambda k: {FULL: 3.0, SHORT: 2.0, SHALLOW: 1.0}[k.point])
    row = one(area_rows(better, 0.5, 1.0), recipe="none", target="pawsx", seed=1)
    wanted = (31 * math.log(0.8 / 0.5) + 38 * math.log(1 / 0.8)) / math.log(2)
    assert float(row["area"]) == pytest.approx(wanted, rel=1e-5)
    # Retrieval has one point: its window begins below it.
    assert one(area_rows(better, 0.5, 1.0), recipe="none", target="tatoeba", seed=1)["area"] == ""
    assert one(area_rows(better, 0.5, 1.0), recipe="none", target="overall", seed=1)["note"] == "no area of tatoeba"
    assert {r["on_front"] for r in records(pareto_rows(better))} == {"yes"}
    worse = experiment(lambda k: 99.0 if k.point == SHALLOW else plain(k))
    assert one(pareto_rows(worse), recipe="none", target="pawsx", point=SHORT)["on_front"] == "no"


# --- claims


def rows_of(made, **how):
    settings = HOW | how
    return claim_rows(made, budget_claims(made, settings), settings)


def test_a_claim_about_these_examples_is_the_t_interval_of_paired_differences():
    row = one(rows_of(experiment(plain), examples="fixed"), recipe="multi", target="pawsx", budget=0.5)
    differences = [6.0 * (1 + 0.1 * (seed - 2)) for seed in (1, 2, 3)]
    low, high = mean_interval(differences)
    assert [float(row[k]) for k in ("difference", "low", "high")] == pytest.approx([6.0, low, high], rel=1e-5)
    assert (row["seeds"], row["drawn"], row["freedom"]) == ("3", "seeds", "2")
    assert (float(row["none"]), float(row["score"])) == (32.0, 38.0)


def test_other_examples_make_it_no_narrower_and_their_spread_counts():
    steady = one(rows_of(experiment(plain)), recipe="multi", target="pawsx", budget=0.5)
    uneven = {}
    made = experiment(plain)
    for key, run in made.runs.items():
        if key.recipe == "multi":
            shifted = {x: [b + (k - 9.5) + 3 for k, b in enumerate(of)] for x, of in run.blocks.items()}
            uneven[key] = Run(run.scores, shifted, run.sizes, run.dev)
    row = one(rows_of(experiment(plain, changed=uneven)), recipe="multi", target="pawsx", budget=0.5)
    assert row["drawn"] == steady["drawn"] == "seeds examples"
    assert float(row["difference"]) == float(steady["difference"])
    # Blocks tell the spread, not the mean. The variance of 0..19 is 35, of their mean 1.75; the seeds add 0.12.
    assert float(row["high"]) - 6 > 2 * math.sqrt(1.75)
    assert float(steady["high"]) - 6 < 2


def test_holm_is_over_recipes_targets_and_budgets():
    rows = rows_of(experiment(plain))
    mine = [r for r in records(rows) if r["p"]]
    cells = [r for r in mine if r["target"] != "overall" and not r["budget"].startswith("window")]
    assert {r["tests"] for r in cells} == {"10"}  # of two recipes: pawsx and xquad at two budgets, tatoeba at one
    ps, adjusted = zip(*sorted((float(r["p"]), float(r["p_holm"])) for r in cells), strict=True)
    assert adjusted == pytest.approx(
        [max((10 - k) * p for k, p in enumerate(ps[: n + 1])) for n in range(10)], rel=1e-4
    )
    lost = one(rows, recipe="multi", target="tatoeba", budget=0.5)
    assert (lost["difference"], lost["p"], lost["note"]) == ("", "", "no configuration is affordable")
    assert one(rows, recipe="multi", target="overall", budget=0.5)["note"] == "no score: tatoeba"
    assert one(rows, recipe="multi", target="overall", budget=1)["tests"] == "2"


def test_power_is_said_for_the_difference_that_matters():
    row = one(rows_of(experiment(plain), margin=6.0), recipe="multi", target="pawsx", budget=0.5)
    assert float(row["power"]) > 0.9
    assert 0 < float(row["detectable"]) < 6
    assert float(one(rows_of(experiment(plain), margin=0.01), recipe="multi", target="pawsx", budget=1)["power"]) < 0.06


def test_one_seed_has_no_interval():
    row = one(rows_of(experiment(plain, seeds=[2])), recipe="multi", target="pawsx", budget=1)
    assert (row["difference"], row["low"], row["p"], row["detectable"]) == ("6", "", "", "")
    assert row["note"] == "one seed: no interval"


def test_a_seed_without_a_score_leaves_no_difference():
    key = Key("mini", FULL, "multi", "tatoeba", 3)
    gap = {key: Run({"qab": 1.0}, {}, {"qab": 50}, None, "qac (not a number)")}
    rows = rows_of(experiment(plain, changed=gap))
    row = one(rows, recipe="multi", target="tatoeba", budget=1)
    assert (row["difference"], row["seeds"], row["note"]) == ("", "2", f"mini {FULL}: qac (not a number)")
    assert one(rows, recipe="mnli", target="tatoeba", budget=1)["difference"] == "2"


def test_equal_arms_have_a_difference_and_no_test():
    row = one(rows_of(experiment(lambda k: 40.0 + k.seed)), recipe="multi", target="pawsx", budget=1)
    assert (row["difference"], row["p"], row["note"]) == ("0", "", "no difference in any seed")


def test_claims_for_other_languages_vary_with_the_language():
    def uneven(made):
        return {
            k: Run(
                {x: v + 3 * i * (k.recipe == "multi") for i, (x, v) in enumerate(r.scores.items())}, {}, r.sizes, r.dev
            )
            for k, r in made.runs.items()
        }

    made = experiment(plain, changed=uneven(experiment(plain)))
    row = one(rows_of(made, languages="random"), recipe="multi", target="pawsx", budget=1)
    assert row["drawn"] == "seeds languages"
    assert row["note"].startswith("for these examples only")
    fixed = one(rows_of(made), recipe="multi", target="pawsx", budget=1)
    assert float(row["high"]) > float(fixed["high"])


# --- the paper's claims


def claim(**keys):
    return Claim.model_validate(
        {"id": "c", "says": "", "source": "", "recipes": ["multi"], "against": ["none"], "targets": ["pawsx", "xquad"]}
        | keys
    )


@pytest.mark.parametrize(
    ("gain", "test", "wanted"),
    [
        (5.0, "gain", REPRODUCED),
        (-5.0, "gain", CONTRADICTED),
        (0.2, "gain", CONTRADICTED),  # the interval ends below the margin
        (1.5, "no gain", CONTRADICTED),
        (0.3, "no gain", REPRODUCED),
        (-5.0, "no gain", REPRODUCED),
    ],
)
def test_verdicts_go_by_the_interval(gain, test, wanted):
    def score(key):
        return 40.0 + (key.recipe == "multi") * (gain + 0.1 * (key.seed - 2))

    found = verdict(experiment(score), claim(test=test), HOW)
    assert (found.verdict, found.estimate) == (wanted, pytest.approx(gain))
    assert found.low < gain < found.high


def test_a_wide_interval_decides_nothing_and_says_what_it_could_find():
    found = verdict(experiment(lambda k: 40.0 + (k.recipe == "multi") * (2 + 8 * (k.seed - 2))), claim(), HOW)
    assert (found.verdict, "with 3 seeds a difference of" in found.reason) == (UNDECIDED, True)


def test_best_of_all_needs_every_comparison():
    def score(multi, mnli):
        return lambda k: 40 + {"none": 0, "mnli": mnli, "multi": multi}[k.recipe] * (1 + 0.01 * k.seed)

    best = claim(against=["none", "mnli"], take="every")
    assert verdict(experiment(score(6, 2)), best, HOW).verdict == REPRODUCED
    assert verdict(experiment(score(2, 6)), best, HOW).verdict == CONTRADICTED
    assert verdict(experiment(score(6, 2)), best, HOW).estimate == pytest.approx(4 * 1.02)


def test_best_per_target_is_chosen_on_dev_seed_by_seed():
    # On dev `mnli` is best for pawsx and `multi` for xquad; on test `multi` is best for both.
    def dev(key):
        return {("pawsx", "mnli"): 80.0, ("xquad", "multi"): 90.0}.get((key.target, key.recipe), 50.0)

    found = verdict(experiment(plain, dev), claim(recipes=["best-per-target"], targets=list(KINDS)), HOW)
    # Tatoeba has no dev data: `multi`, by the mean of the others (70 against 65).
    gains = [statistics.fmean([2, 6, 6]) * (1 + 0.1 * (seed - 2)) for seed in (1, 2, 3)]
    assert found.estimate == pytest.approx(statistics.fmean(gains))


def test_a_cut_is_the_point_that_differs_in_one_axis():
    found = verdict(experiment(plain), claim(cut="depth", targets=list(KINDS)), HOW)
    assert found.reason.endswith(f"2 of 3 targets, 1 of 1 comparisons, under {SHALLOW}")
    assert SHORT in verdict(experiment(plain), claim(cut="length"), HOW).reason
    assert verdict(experiment(plain), claim(cut="precision"), HOW).reason == (
        "no budget point cuts precision alone in this experiment"
    )


def test_a_gain_for_its_training_is_divided_by_what_the_recipes_train():
    flops = {("mini", r, s): f for r, f in (("mnli", 1e15), ("multi", 3e15)) for s in (1, 2, 3)}
    made = experiment(plain)
    both = claim(recipes=["mnli", "multi"], per="training")
    assert verdict(made, both, HOW).reason == "no training cost of these recipes is known here"
    made.training = flops
    found = verdict(made, both, HOW)
    assert (found.verdict, found.unit) == (REPRODUCED, "points/PFLOP of intermediate training")
    assert found.estimate == pytest.approx(4 / 2)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"recipes": ["ccg"]}, "no recipe ccg in this experiment"),
        ({"targets": ["xnli"]}, "no target xnli in this experiment"),
    ],
)
def test_what_the_experiment_lacks_is_not_testable(keys, reason):
    assert verdict(experiment(plain), claim(**keys), HOW)[:2] == (OPEN, reason)
    assert verdict(experiment(plain, seeds=[1]), claim(), HOW)[:2] == (OPEN, "one seed: no interval")


def test_in_the_mini_world_every_row_says_so():
    rows = records(paper_rows(experiment(plain), claims(), HOW, stand_in=True))
    assert len(rows) == len(claims())
    assert {r["verdict"] for r in rows} <= {REPRODUCED, CONTRADICTED, UNDECIDED, OPEN}
    assert all("the mini world alone" in r["scope"] for r in rows)
    assert all("mini world" not in r["scope"] for r in records(paper_rows(experiment(plain), claims(), HOW, False)))


def test_the_papers_claims_name_recipes_and_targets_that_the_papers_experiment_has(pytestconfig):
    config = load_config(yaml.safe_load((pytestconfig.rootpath / "experiments/paper.yaml").read_text()))
    for c in claims():
        assert set(c.targets) <= set(config.grid.targets), c.id
        assert {r for pair in c.pairs for r in pair} <= {*config.grid.recipes, "best-per-target"}, c.id
        assert set(c.targets) <= set(task_names()), c.id


# --- files


def made_on_disk(folder, score):
    """Write what score jobs and the costs job would; return the folder of scores and the manifest of costs."""
    made = spec()
    for target in made["targets"]:
        task = target["task"]
        protocol, metrics = ("layer2-mean", ["accuracy"]) if task == "tatoeba" else ("standard", ["accuracy"])
        metrics = ["f1", "exact_match"] if task == "xquad" else metrics
        for point in made["budget_points"][task]:
            for recipe in made["recipes"]:
                for seed in made["seeds"]:
                    key = Key("mini", point, recipe, task, seed)
                    place = folder / "scores" / "mini" / recipe / task / point / f"s{seed}"
                    cells = [(x, m) for x in target["languages"] for m in metrics]
                    of_run = ("x", "mini", recipe, task, protocol)
                    values = {c: score(key) + (c[1] == "f1") for c in cells}
                    rows = [Score(*of_run, x, point, seed, m, v, 50, True) for (x, m), v in values.items()]
                    write_scores(place / "scores.csv", rows)
                    write_blocks(place / "blocks.csv", {(protocol, *c): [v] * BLOCKS for c, v in values.items()})
                    if task != "tatoeba":
                        (place / "dev.json").write_text(json.dumps({"task": task, "value": score(key)}))
                    write_manifest(place)
    prices = [Cost("x", "mini", t, p, "", "mean", "flops", v, "FLOP") for (_, p, t), v in costs().items()]
    write_costs(folder / "counted" / "costs.csv", prices)
    phases = [("intermediate", "mini", r, s, 2e15) for r in ("mnli", "multi") for s in (1, 2, 3)]
    write_csv(folder / "counted" / "training.csv", ["phase", "backbone", "recipe", "seed", "flops"], phases)
    return folder / "scores", write_manifest(folder / "counted")


def test_both_jobs_from_files(tmp_path):
    scores, prices = made_on_disk(tmp_path, plain)
    read = read_experiment(spec(), scores, prices.parent / "costs.csv")
    key = Key("mini", FULL, "none", "xquad", 1)
    assert read.runs[key].blocks["qab"] == [41.5] * BLOCKS
    assert read.runs[key].scores == {"qaa": 41.5, "qab": 41.5, "qac": 41.5}
    settings = {"claims": [c.model_dump(exclude_defaults=True) for c in claims()], "stand_in": True}
    for job, more in ((curves_job, {}), (claims_job, settings)):
        name = job.__name__.split(".")[-1]
        argv = ["--spec", json.dumps(spec() | more), "--scores", str(scores), "--costs", str(prices)]
        argv += [f"--{name}-csv", str(tmp_path / f"{name}.csv"), "--output", str(tmp_path / name / "manifest.json")]
        options = {"scores": "", "costs": ""}
        assert job.run_job(job.work, options, argv, reads=job.score_files, copies={f"{name}-csv": f"{name}.csv"}) == 0
    found = list(csv.DictReader((tmp_path / "claims.csv").open()))
    row = next(r for r in found if (r["recipe"], r["target"], r["budget"]) == ("multi", "xquad", "1"))
    # The better dev score is the full model's; F1 is one point above exact match in both arms.
    assert (float(row["none"]), float(row["difference"])) == (pytest.approx(42.5), pytest.approx(6.0))
    assert len(list(csv.DictReader((tmp_path / "curves.csv").open()))) == 9 * ((3 + 3) * 4 + 3)
    assert "the mini world alone" in (tmp_path / "claims" / "claims.md").read_text()


def cost(language, value, layer="", name="flops", note=""):
    return Cost("x", "mini", "pawsx", FULL, layer, language, name, value, "", None, 0, note)


def test_the_cost_of_a_configuration_is_the_mean_over_languages_at_the_headline_layer():
    place = ("mini", FULL, "pawsx")
    rows = [cost("qab", 9.0), cost("mean", 5e6), cost("", 3.0, name="memory")]
    assert costs_of(rows, "flops", 2) == {place: 5e6}
    assert costs_of(rows, "memory", 2) == {place: 3.0}
    layers = [cost("mean", float(k), str(k)) for k in (1, 2, 10)]
    assert costs_of(layers, "flops", 2) == {place: 2.0}
    assert costs_of(layers, "flops", None) == {place: 10.0}
    assert costs_of([cost("", None, note="takes 662 queries")], "flops", 2) == {
        place: "flops was not measured: takes 662 queries"
    }
    with pytest.raises(UserError, match="two costs flops of mini"):
        costs_of([cost("mean", 1.0), cost("mean", 2.0)], "flops", 2)


@pytest.mark.parametrize(
    ("budget", "said"),
    [({"window": [1.0, 0.5]}, "must rise"), ({"budgets": [1.0, 1.0]}, "twice"), ({"budgets": [0.0]}, "greater than 0")],
)
def test_a_faulty_budget_is_named(budget, said):
    with pytest.raises(UserError, match=said):
        load_config({"budget": budget})
