"""The report in a real browser: charts, choices, tables, colours, labels, and that it asks no host for anything."""

from __future__ import annotations

import json
import time
from pathlib import Path

import axe_core_python
import pytest
from browser import CHROMIUM, Browser
from report_case import scores, spec, write_figures
from test_report_page import claim, write_tables

from stilts.metrics.table import Score
from stilts.report.page import render

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian package chromium)")
EVIL = '<script>document.title="caught"</script><img src=x onerror="document.title=1">'
PICKED = "document.querySelector('#chart-score_at_budget .live').innerHTML"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page whose recipe, task and chart labels try to be HTML."""
    root = tmp_path_factory.mktemp("study")
    rows = [s._replace(recipe=EVIL) if s.recipe == "mnli" else s for s in scores()]
    tested = [
        claim(recipe=EVIL, difference="4", low="2", high="6", p_holm="0.01"),
        claim(recipe="squad1", difference="-4", low="-6", high="-2", p_holm="0.01"),
    ]
    more = {"recipes": ["none", EVIL, "squad1"], "title": EVIL, "language_names": {"qab": EVIL}}
    write_tables(root, rows, {"claims/claims": tested}, **more)
    write_figures(root / "figures", labels=("squad1", EVIL, "constructor"))
    path = root / "report" / "index.html"
    path.parent.mkdir()
    path.write_text(render({**spec(**more), "provider": "mini"}, root), encoding="utf-8")
    return path


def test_every_chart_is_drawn_and_nothing_is_asked_of_any_host(browser, page):
    for width, dark in ((1280, False), (390, True)):
        browser.open(page, width, 844, dark)
        browser.draw()
        assert browser.run("document.querySelectorAll('.chart.drawn .live svg path').length") > 2
        assert browser.run("getComputedStyle(document.querySelector('.chart .still')).display") == "none"
        assert browser.complaints() == []
        assert browser.run("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"


def test_the_policy_is_in_force(browser, page):
    """What the page must never need is refused: another script, code from text, a request."""
    browser.open(page)
    browser.run("document.body.append(Object.assign(document.createElement('script'), {text: 'window.caught = 1'}))")
    assert browser.run("window.caught") is None
    assert browser.run("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')") == "refused"
    assert any("Content Security Policy" in text for text in browser.complaints())


@pytest.mark.parametrize("dark", [False, True])
def test_labels_of_data_stay_text(browser, page, dark):
    browser.open(page, dark=dark)
    browser.draw()
    assert browser.run("document.title") == EVIL
    assert browser.run("document.querySelectorAll('img:not(.still), main script:not([type])').length") == 0
    options = browser.run("[...document.querySelector('.picks select').options].map((option) => option.text)")
    assert options == ["squad1", EVIL, "constructor"]


def test_a_choice_changes_the_chart_and_outlives_a_change_of_colours(browser, page):
    browser.open(page)
    browser.draw()
    before = browser.run(PICKED)
    browser.run(
        "(() => { const list = document.querySelector('.picks select'); list.selectedIndex = 1;"
        "list.dispatchEvent(new Event('change')); })()"
    )
    browser.wait(f"{PICKED} !== {json.dumps(before)}")
    ink = "getComputedStyle(document.querySelector('#chart-score_at_budget .live svg text')).fill"
    light = browser.run(ink)
    browser.screen(1280, 900, dark=True)
    browser.wait(f"{ink} !== {json.dumps(light)}")
    browser.wait("document.querySelectorAll('.picks')[0].querySelectorAll('select').length == 1")
    assert browser.run("document.querySelector('.picks select').selectedIndex") == 1


def test_tables_sort_by_keyboard_and_the_baseline_stays(browser, page):
    browser.open(page)
    table = "[...document.querySelectorAll('table')].find((t) => t.caption.innerText.startsWith('Scores and controls'))"
    column = f"[...({table}).tBodies[0].rows].map((row) => parseFloat(row.cells[3].textContent))"
    before = browser.run(column)
    browser.run(f"({table}).tHead.rows[0].cells[3].querySelector('button').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13
        )
    assert browser.run(f"({table}).tHead.rows[0].cells[3].getAttribute('aria-sort')") == "descending"
    after = browser.run(column)
    assert after == sorted(before, reverse=True) != before


def test_paper_has_still_pictures_and_every_table(browser, page):
    browser.open(page, dark=True)
    browser.draw()
    browser.call("Emulation.setEmulatedMedia", media="print")
    shown = "getComputedStyle(document.querySelector('.chart {}')).display"
    assert (browser.run(shown.format(".live")), browser.run(shown.format(".still"))) == ("none", "block")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run("document.querySelectorAll('details:not([open])').length") == 0
    browser.call("Emulation.setEmulatedMedia", media="")


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(browser, page, dark):
    """Contrast, names, roles, landmarks, tables: the rules of axe for WCAG 2.1 A and AA, and its best practices."""
    browser.open(page, dark=dark)
    browser.draw()
    browser.run("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    browser.run(Path(axe_core_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8") + ";0")
    found = browser.run(
        "axe.run().then((r) => r.violations.map((v) => [v.id, v.nodes.slice(0, 3).map((n) => n.html)]))"
    )
    assert found == []


def test_three_hundred_models_in_forty_languages_open_at_once(browser, tmp_path):
    recipes = ["none", *(f"recipe-{k}" for k in range(299))]
    languages = [f"q{a}{b}" for a in "abcdefgh" for b in "abcde"]
    task = {**spec()["targets"][0], "languages": languages}
    rows = [
        Score("x", "mini", r, "pawsx", "standard", code, "full", seed, "accuracy", 40.0 + k % 50 + seed, 200, True)
        for k, r in enumerate(recipes)
        for code in languages
        for seed in (1, 2)
    ]
    more = {"recipes": recipes, "targets": [task], "controls": [], "source_language": languages[0]}
    tested = [
        claim(recipe=r, target=t, budget=str(b), difference="4", low="2", high="6", p_holm="0.01")
        for r in recipes[1:]
        for t in ("overall", *(f"target-{k}" for k in range(9)))
        for b in (0.25, 0.5, 0.75, 1)
    ]
    write_tables(tmp_path, rows, {"claims/claims": tested}, **more)
    names = ("score_at_budget", "pareto", "heatmap", "per_language", "retrieval_by_layer", "gain_vs_training_cost")
    many = [{"recipe": r, "x": 10 * k, "y": 5} for k in range(140) for r in recipes]
    write_figures(tmp_path / "figures", (*names, "training_curves"), rows=many)
    path = tmp_path / "report" / "index.html"
    path.parent.mkdir()
    text = render({**spec(**more), "provider": "mini"}, tmp_path)
    path.write_text(text, encoding="utf-8")
    assert path.stat().st_size < 15e6
    assert text.count("too large for this page") == 1
    seconds = browser.open(path)
    start = time.monotonic()
    browser.draw()
    drawn = time.monotonic() - start
    print(f"{path.stat().st_size / 1e6:.1f} MB open after {seconds:.1f} s, every chart drawn after {drawn:.1f} s more")
    assert browser.complaints() == []
    assert seconds < 30
