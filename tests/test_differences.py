"""What two specs differ in, in words that stay short however much a study grows."""

from __future__ import annotations

from stilts.reruns.difference import differences


def said(old, new) -> list[str]:
    return [f"{change} ({'.'.join(change.path)})" for change in differences({"part": old}, {"part": new})]


def test_arms_that_come_are_told_by_their_names_and_counted():
    arm = {"backbone": "mini", "recipe": "none", "depth": "", "seed": 1}
    (text,) = said([arm], [arm | {"seed": seed} for seed in range(1, 101)])
    assert text.startswith("part + mini none 2, mini none 3, ")
    assert "... 92 more" in text
    assert len(text) < 200


def test_a_claim_that_changed_is_named():
    claims = [{"id": "squad", "source": "a", "targets": ["xnli"]}, {"id": "mnli", "source": "b", "targets": ["xnli"]}]
    changed = [claims[0], claims[1] | {"source": "c"}]
    assert said(claims, changed) == ["source b -> c (part.mnli.source)"]
