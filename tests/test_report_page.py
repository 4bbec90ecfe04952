"""The report: what it says, what it must not let through, and that it stands alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_case import BOOST, BUDGET, KINDS, claim, scores, spec, write_figures

from scripts import report
from stilts.errors import UserError
from stilts.metrics.table import write_csv
from stilts.provenance.job import run_job
from stilts.provenance.manifest import write_manifest
from stilts.report.answer import always, answer, controls_say, limits, listed, signed
from stilts.report.benchmarks import further_tables
from stilts.report.charts import ON_DARK
from stilts.report.choice import Dev
from stilts.report.forest import forest
from stilts.report.grid import Arm, ScoreGrid
from stilts.report.page import FILES, render
from stilts.report.tables import all_tables

VOID = {"meta", "link", "line", "circle", "rect", "br", "img"}


class Checked(HTMLParser):
    """Collects tags and text, and fails on tags that do not nest."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.words, self.scripts = [], [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append((self.tags[-1][1].get("type"), data))
        elif self.open and self.open[-1] != "style":
            self.words.append(data)


def write_tables(folder, rows, budget=None, **more):
    names = spec(**more)["language_names"]
    grid = ScoreGrid(spec(**more), rows)
    tables = all_tables(grid, names) | further_tables(grid, more.get("dev", ()), spec(**more))
    for name, (columns, lines) in tables.items():
        write_csv(folder / "tables" / f"{name}.csv", columns, lines)
    for name, lines in {**dict.fromkeys(budget_files()), **(budget or {})}.items():
        write_csv(
            folder / f"{name}.csv", list(lines[0]) if lines else ["budget"], [list(r.values()) for r in lines or []]
        )
    write_figures(folder / "figures")
    return folder


def budget_files():
    return [name.removesuffix(".csv") for name in FILES if not name.startswith("tables/")]


def page_of(folder, rows=None, budget=None, **more):
    write_tables(folder, scores() if rows is None else rows, budget, **more)
    return render({**spec(**more), "provider": "mini"}, folder)


def text_of(page):
    return " ".join(" ".join(Checked(page).words).split())


def test_the_page_says_what_the_tables_hold(tmp_path):
    text = text_of(page_of(tmp_path, tasks=[{**t, "source": {"id": "", "files": "x"}} for t in spec()["targets"]]))
    # mnli is +4 and +6, squad1 +9 and +13.5 at the two seeds, whatever the target and language.
    assert (
        "intermediate training raised the score in every seed with squad1 (+11.2 ± 3.2 points) and mnli (+5.0 ± 1.4)"
        in text
    )
    assert "Of 10 pairs of recipe and target, ten scored higher than the baseline in every seed, no lower" in text
    assert "both seeds still agree in sign 1 time in 2, and there are 12 comparisons here" in text
    assert "say nothing about XLM-R" in text
    assert "Brimo (qab)" in text
    assert "What is missing" not in text
    assert "raw files" in text


def test_it_stands_alone(tmp_path):
    page = page_of(tmp_path)
    parsed = Checked(page)
    assert not {"iframe", "object", "embed"} & {tag for tag, _ in parsed.tags}
    assert all(attrs["src"].startswith("data:") for _, attrs in parsed.tags if "src" in attrs)
    assert not re.search(
        r"@import|url\(|javascript:|\son\w+=", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    )
    links = [attrs["href"] for tag, attrs in parsed.tags if "href" in attrs]
    ids = {attrs["id"] for _, attrs in parsed.tags if "id" in attrs}
    for link in links:
        beside = link in ("data:,", "key.json", "run.json")
        assert beside or link.startswith(("#", "../", "https://example.org/")), link
        assert not link.startswith("#") or link[1:] in ids, link
    files = {link.removeprefix("../") for link in links if link.startswith("../") and "/figures/" not in link}
    made = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.csv")}
    assert made | {"tables/scores.csv"} == files
    assert len([attrs["id"] for _, attrs in parsed.tags if "id" in attrs]) == len(ids)


def test_the_policy_allows_its_scripts_and_nothing_else(tmp_path):
    parsed = Checked(page_of(tmp_path))
    policy = next(attrs["content"] for _, attrs in parsed.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    said = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    marks = {
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for kind, text in parsed.scripts
        if kind is None
    }
    assert set(said["script-src"].split()) == marks
    assert len(marks) == 2
    assert (said["default-src"], said["img-src"]) == ("'none'", "data:")


def test_charts_carry_their_data_and_say_why_one_is_absent(tmp_path):
    parsed = Checked(page_of(tmp_path))
    specs = [json.loads(text) for kind, text in parsed.scripts if kind == "application/json"]
    assert [s["title"] for s in specs if "title" in s] == ["score_at_budget", "heatmap"]
    assert specs[-1] == ON_DARK
    assert [attrs["alt"] for tag, attrs in parsed.tags if tag == "img"] == ["It rises."] * 2
    assert "No chart “Score and cost”: the study has one budget point only." in " ".join(" ".join(parsed.words).split())
    (tmp_path / "figures/heatmap.svg").unlink()
    with pytest.raises(UserError, match=r"heatmap\.svg is missing"):
        render(spec(), tmp_path)


def test_every_colour_of_figures_has_one_on_dark_ground():
    figures = Path(pytest.importorskip("stilts.figures").__file__).parent
    used = {c for path in figures.glob("*.py") for c in re.findall(r"#[0-9a-f]{6}", path.read_text(encoding="utf-8"))}
    assert used <= set(ON_DARK)


def test_headings_and_tables_can_be_read_aloud(tmp_path):
    tags = Checked(page_of(tmp_path)).tags
    names = [tag for tag, _ in tags]
    assert names.count("h1") == 1
    assert names.count("table") == names.count("caption")
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in tags if tag == "th")
    assert all(attrs.get("role") == "img" and attrs.get("aria-label") for tag, attrs in tags if tag == "svg")
    assert ("html", {"lang": "en"}) in tags


def test_text_of_data_is_escaped(tmp_path):
    evil = '<script>alert("x")</script>&'
    tasks = [{**t, "licence": evil, "citation": evil, "url": "javascript:alert(1)"} for t in spec()["targets"]]
    settings = {evil: {evil: [evil]}}
    more = {
        "title": evil,
        "language_names": {"qab": evil},
        "tasks": tasks,
        "settings": settings,
        "revisions": {"pawsx": evil},
    }
    rows = [s._replace(recipe=evil) if s.recipe == "mnli" else s for s in scores()]
    tested = [claim(recipe=evil, difference="4", low="2", high="6", p_holm="0.01")]
    write_tables(tmp_path, rows, {"claims/claims": tested}, recipes=["none", evil, "squad1"], **more)
    write_figures(tmp_path / "figures", labels=(evil, "squad1"))
    page = render({**spec(**more), "recipes": ["none", evil, "squad1"], "provider": "mini"}, tmp_path)
    assert "<script>alert" not in page
    assert page.count("<script") == page.count("</script>") == 5
    assert 'href="javascript:' not in page
    assert evil in text_of(page)
    assert page.count("&lt;script&gt;") > 10


def test_faults_of_the_data_and_what_was_left_out_are_said(tmp_path):
    faults = {"udpos": {"unknown_tag": {"train": {"en": 2}, "test": {"de": 1000, "en": 1}}}, "xnli": {}}
    text = text_of(page_of(tmp_path, faults=faults, notes=["recipe ccg is left out."]))
    assert "udpos : unknown_tag 1,003" in text
    assert "recipe ccg is left out." in text
    assert "Faults of the data" not in text_of(page_of(tmp_path, faults={"xnli": {}}))


def test_gaps_are_shown_and_nothing_is_put_in_their_place(tmp_path):
    rows = [s for s in scores() if not (s.recipe == "mnli" and s.target == "pawsx" and s.seed == 2)]
    text = text_of(page_of(tmp_path, rows))
    assert "mini, full, mnli, pawsx, seed 2: no score at all" in text
    assert "Left out, because scores are missing: mnli." in text
    assert "raised the score in every seed with squad1 (+11.2 ± 3.2 points)." in text


def test_every_score_missing_still_gives_a_page(tmp_path):
    rows = [s for s in scores(controls=False) if s.recipe == "none" and s.target == "pawsx" and s.seed == 1]
    text = text_of(page_of(tmp_path, rows))
    assert "No mean over all targets can be given" in text


def test_several_budgets_have_sections_of_their_own(tmp_path):
    rows = scores()
    rows += [s._replace(budget_point="d2", value=s.value / 2) for s in rows]
    page = page_of(tmp_path, rows, budget_points=["full", "d2"])
    text = text_of(page)
    assert text.count("Answer") == 1
    assert "zero-shot): mini, full" in text
    assert "Other languages only (zero-shot): mini, d2" in text
    assert "the files hold all 2" in text


def test_the_answer_is_that_of_the_claims(tmp_path):
    rows = [
        claim(recipe="mnli", difference="4.06", low="2", high="6.1", p_holm="0.01"),
        claim(recipe="squad1", difference="5", low="-3", high="13", p_holm="0.2", detectable="9.5"),
        claim(recipe="mnli", budget="0.5", difference="-3", low="-5", high="-1", p_holm="0.049"),
        claim(recipe="squad1", budget="0.5", note="no configuration is affordable"),
        claim(recipe="mnli", target="pawsx", difference="1", low="0.1", high="1.9", p_holm="0.051"),
    ]
    text = text_of(page_of(tmp_path, budget={"claims/claims": rows}))
    head = "In this stand-in: yes, with one of two recipes (mnli); at 50 % of the inference cost, with none."
    lead = "At full inference cost, intermediate training raised the mean score in the other languages with mnli (+4.1"
    assert (
        f"Answer {head} {lead} points, 95 % interval [2.0 to 6.1]); with squad1 the difference may be chance." in text
    )
    assert (
        "At 50 % of the inference cost, intermediate training lowered the mean score in the other languages with"
        in text
    )
    assert "none of 1 differences (recipe × target × budget) holds after correction" in text
    assert "with three seeds, a true mean difference smaller than 9.5 points would be missed" in text
    assert "– no configuration is affordable" in text
    assert "too few for an interval" not in text


def test_a_measurement_that_tells_nothing_apart_is_marked(tmp_path):
    def cost(point, cost, value, note=""):
        plain = {"backbone": "mini", "target": "pawsx", "layer": "", "language": "mean"}
        return {**plain, "point": point, "cost": cost, "value": value, "note": note}

    noisy = "the machine was too noisy: two identical arms differ by 9%"
    rows = [
        cost("dfull-lfull-fp32", "latency_p50", "0.002"),
        cost("dfull-lfull-int8", "latency_p50", "0.0021", f"{noisy}; within the spread of dfull-lfull-fp32"),
        cost("dfull-lfull-int8", "energy_above_idle", "1.5", "idle 70 W"),
        cost("d2-lfull-fp32", "latency_p50", "0.001", noisy),
    ]
    text = text_of(page_of(tmp_path, budget={"costs/costs": rows}))
    assert "latency p50, ms energy above idle, J dfull-lfull-fp32 2 –" in text
    assert "dfull-lfull-int8 2.1 ≈? 1.5 d2-lfull-fp32 1 ? –" in text
    assert "≈: no further from the first point’s than two identical arms" in text


def test_one_seed_and_one_recipe(tmp_path):
    text = text_of(page_of(tmp_path, scores(seeds=(1,)), seeds=[1]))
    assert "There is one seed only" in text
    assert "the single seed scored higher with squad1 (+9.0 points) and mnli (+4.0) than without" in text
    assert "in every seed" not in text.split("Which recipe helps")[0]
    alone = tmp_path / "alone"
    alone.mkdir()
    assert "compares no recipe with the baseline" in text_of(
        page_of(alone, scores(recipes=("none",)), recipes=["none"])
    )


def row(**more):
    return {"difference": "1", "seeds": "3", "seeds_above": "3", "difference_sd": "", **more}


def test_signs():
    assert [always(row()), always(row(seeds_above="2")), always(row(difference="-1", seeds_above="0"))] == [1, 0, -1]
    # A mean below zero with no seed above it, and a mean of zero: the first is down, the second neither.
    assert always(row(difference="0", seeds_above="0")) == 0
    assert always(row(difference="")) == always(row(difference="-1", seeds_above="1")) == 0
    assert [signed(v) for v in ("0.04", "-0.04", "1.25", "-3")] == ["0.0", "0.0", "+1.2", "−3.0"]
    assert [listed(v) for v in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert "1 time in 4" in limits(3, 1)[0]


def test_a_fall_and_a_draw_are_said_as_such():
    base = {"scope": "overall", "average": "zero-shot", "missing": ""}
    overall = [row(recipe="a", difference="-2", seeds_above="0", **base), row(recipe="b", seeds_above="1", **base)]
    lead, _ = answer(overall, [], [1, 2, 3])
    assert "lowered the score in every seed with a (−2.0 points)" in lead
    assert "whose sign changes with the seed with b (+1.0 points)" in lead


def test_what_controls_say():
    rows = [
        {"recipe": "none", "headline": "yes", "average": "zero-shot", "target": t, "counts": c}
        for t, c in (("pawsx", "yes"), ("pawsx", "no"), ("udpos", "yes"), ("xquad", "unclear"))
    ]
    text = " ".join(controls_say(rows))
    assert "every control in the other languages, before any intermediate training: udpos." in text
    assert "Not above a control, so that their scores show no transfer: pawsx." in text
    assert "not clearly: xquad." in text


def test_the_picture_beside_the_answer_puts_intervals_where_they_are():
    rows = [claim(recipe=r, difference=d, low=low, high=high, p_holm=p)
            for r, d, low, high, p in (("<b>", "2", "0", "4", "0.01"), ("c", "-2", "-4", "0", "0.5"))]  # fmt: skip
    picture = forest(rows, BUDGET)
    assert "<b>" not in picture
    lines = re.findall(r'<line class="(up|open)" x1="([\d.]+)" x2="([\d.]+)"', picture)
    dots = [float(x) for x in re.findall(r'cx="([\d.]+)"', picture)]
    (up, zero, right), (open_, left, same) = [(kind, float(a), float(b)) for kind, a, b in lines]
    assert (up, open_, zero) == ("up", "open", same)
    assert dots == [(zero + right) / 2, (left + zero) / 2]
    assert right - zero == zero - left
    assert forest([claim(recipe="a", difference="1")], BUDGET) == ""


def test_job_is_deterministic_and_names_a_lost_table(tmp_path, capsys):
    write_tables(tmp_path, scores())
    out = tmp_path / "report" / "manifest.json"
    folders, argv = (
        ("tables", "curves", "claims", "costs", "figures"),
        ["--spec", json.dumps(spec()), "--output", str(out)],
    )
    for name in folders:
        argv += [f"--{name}", str(write_manifest(tmp_path / name))]
    inputs = {**dict.fromkeys(folders, ""), "raw": "*", "data": "*"}
    assert run_job(report.work, inputs, [*argv, "--raw"]) == 0
    first = out.read_bytes()
    assert run_job(report.work, inputs, [*argv, "--raw"]) == 0
    assert out.read_bytes() == first
    (tmp_path / "tables" / "overall.csv").unlink()
    assert run_job(report.work, inputs, [*argv, "--raw"]) == 2
    assert "overall.csv" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"overall\.csv is missing"):
        render(spec(), tmp_path)


def test_the_case_covers_every_recipe_and_kind():
    assert {s.recipe for s in scores()} >= set(BOOST)
    assert {s.target for s in scores()} == set(KINDS)


def test_benchmarks_choices_and_published_numbers_are_shown(tmp_path):
    members = [{"task": t, "group": KINDS[t][1], "languages": []} for t in ("pawsx", "xquad")]
    more = {
        "benchmarks": [
            {"benchmark": "two", "title": "Two tasks", "members": members},
            {"benchmark": "none", "title": "Nothing whole", "members": [members[0], {**members[0], "task": "x"}]},
            {"benchmark": "more", "title": "More tasks", "members": [*members, {**members[0], "task": "panx"}]},
        ],
        "published": [["Some <model>", "xquad", "standard", "all", "f1", 61.5, "computed", "A source, table 1"]],
        "dev": [
            Dev(Arm("mini", "full", r), "pawsx", s, "pawsx", v)
            for r, v in (("none", 50), ("mnli", 60), ("squad1", 40))
            for s in (1, 2)
        ],
    }  # fmt: skip
    page = page_of(tmp_path, **more)
    text = text_of(page)
    assert "Two tasks · tables/benchmarks.csv recipe total 2 tasks classification 1 task qa 1 task" in text
    assert "total: not in this experiment: panx" in text
    assert "Not printed, Nothing whole: total: not in this experiment: x" in text
    assert "Nothing whole recipe" not in text
    assert "pawsx mnli own dev" in text
    assert "xquad mnli mean dev of the other targets" in text
    assert "61.5*" in text
    assert "Some <model>: A source, table 1" in text
    assert "published numbers?" not in text_of(page_of(tmp_path / "plain"))
