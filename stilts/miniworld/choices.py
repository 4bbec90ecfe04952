"""Multiple choice with gold labels: causes and effects (COPA, XCOPA) and completion (HellaSwag)."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from stilts.miniworld.meaning import ANIMATE_VERBS, CAUSE, EFFECT, THING_VERBS, Event, Sampler


class Choice(NamedTuple):
    """What is told (one or more events), what is asked ("cause" or "effect"), the alternatives and the right one."""

    told: tuple[Event, ...]
    asked: str
    choices: tuple[Event, ...]
    label: int


def follows(first: Event, second: Event) -> bool:
    """Whether the second event is the usual effect of the first: the effect's verb with the same participants."""
    same = first.agent.head == second.agent.head and first.patient.head == second.patient.head
    return EFFECT[first.verb] == second.verb and same


def right_choice(item: Choice) -> int:
    """The index of the right alternative, from the meanings alone."""
    if item.asked == "cause":
        fits = [follows(choice, item.told[0]) for choice in item.choices]
    else:
        fits = [follows(item.told[-1], choice) for choice in item.choices]
    if fits.count(True) != 1:
        raise AssertionError("exactly one alternative must fit")
    return fits.index(True)


def _bare(event: Event) -> Event:
    return event._replace(
        agent=event.agent._replace(attribute=None),
        patient=event.patient._replace(attribute=None),
        place=None,
        time=None,
    )


def _wrong(rng: Random, sampler: Sampler, right: Event, told: tuple[Event, ...], others: float) -> Event:
    """An alternative that does not fit: another verb with the same participants, or the right verb with others.

    Both are drawn as right alternatives are, so an alternative alone tells nothing.
    """
    if rng.random() < others:
        while True:
            other = sampler.core(1.0 if right.verb in ANIMATE_VERBS else 0.0)._replace(verb=right.verb)
            if {other.agent.head, other.patient.head}.isdisjoint({right.agent.head, right.patient.head}):
                return other
    ring = ANIMATE_VERBS if right.verb in ANIMATE_VERBS else THING_VERBS
    taken = {right.verb, EFFECT[right.verb], CAUSE[right.verb], *(event.verb for event in told)}
    for event in told:
        taken |= {EFFECT[event.verb], CAUSE[event.verb]}
    return right._replace(verb=rng.choice([verb for verb in ring if verb not in taken]))


def cause_or_effect(rng: Random, sampler: Sampler) -> Choice:
    """A COPA item: a premise, "cause" or "effect", two alternatives."""
    premise = sampler.event(place=0.3, time=0.3, attribute=0.2, count=0.0, future=0.0)
    asked = rng.choice(("cause", "effect"))
    right = _bare(premise)._replace(verb=(CAUSE if asked == "cause" else EFFECT)[premise.verb])
    choices = [right, _wrong(rng, sampler, right, (premise,), 0.5)]
    label = rng.randrange(2)
    return Choice((premise,), asked, tuple(choices if label == 0 else choices[::-1]), label)


def completion(rng: Random, sampler: Sampler) -> Choice:
    """A HellaSwag item: two told events and four endings."""
    first = sampler.event(place=0.4, time=0.3, attribute=0.2, count=0.0, future=0.0)
    second = _bare(first)._replace(verb=EFFECT[first.verb])
    told = (first, second)
    right = second._replace(verb=EFFECT[second.verb])
    wrong: list[Event] = []
    while len(wrong) < 3:
        event = _wrong(rng, sampler, right, told, 0.5)
        if event not in wrong:
            wrong.append(event)
    label = rng.randrange(4)
    return Choice(told, "effect", (*wrong[:label], right, *wrong[label:]), label)
