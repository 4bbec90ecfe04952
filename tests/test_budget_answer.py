"""The answer at the top of the page: what holds at which budget, in words."""

from __future__ import annotations

from report_case import BUDGET, claim

from stilts.report.budget import budget_answer


def test_the_headline_names_what_holds_at_the_largest_and_the_smallest_budget():
    gain, loss, open_ = (
        {"difference": "4", "p_holm": "0.01"},
        {"difference": "-4", "p_holm": "0.01"},
        {"difference": "4", "p_holm": "0.2"},
    )

    def said(*rows):
        tested = [claim(recipe=r, budget=b, low="1", high="2", **how) for r, b, how in rows]
        return budget_answer(tested, BUDGET)[0]

    assert said(("a", "1", gain), ("b", "1", open_)) == "Yes, with one of two recipes (a)."
    also = said(("a", "1", gain), ("a", "0.5", gain))
    assert also == "Yes, with one of one recipe (a), also at 50 % of the inference cost."
    assert said(("a", "1", open_), ("b", "1", loss)) == "Not shown for any of two recipes, and a loss with b."
    late = said(("a", "1", open_), ("a", "0.5", gain))
    assert late == "Not shown for any of one recipe; at 50 % of the inference cost, with a."
    assert budget_answer([claim(recipe="a")], BUDGET) == ("", "", [])


def test_a_target_that_no_budget_cuts_is_named():
    how = {"low": "1", "high": "2", "difference": "4", "p_holm": "0.01", "recipe": "a"}
    rows = [claim(budget=b, **how) for b in ("1", "0.5")]
    for target, before in (("pawsx", ("50", "54")), ("tatoeba", ("50", "50"))):
        rows += [
            claim(target=target, budget=b, none=s, score="60", **how) for b, s in zip(("1", "0.5"), before, strict=True)
        ]
    assert "takes nothing from tatoeba: it is in every mean" in " ".join(budget_answer(rows, BUDGET)[2])
    assert "takes nothing" not in " ".join(budget_answer(rows[:-1], BUDGET)[2])
