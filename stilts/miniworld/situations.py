"""Multiple choice that needs its question: reading between the lines, social situations, common sense.

All alternatives of an item have the same participants, and their wrong verbs are drawn regardless of what is told: each
is as likely as any other, also when all of them are seen together.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from stilts.miniworld.choices import follows
from stilts.miniworld.meaning import ANIMATE_VERBS, CAUSE, EFFECT, THING_VERBS, Entity, Event, Sampler

# How the two questions are put: "... so what?", "... because what?".
LINKS = {"effect": "so", "cause": "because"}
NEXT = {"effect": EFFECT, "cause": CAUSE}


class Situation(NamedTuple):
    """What is told, which of it is asked about (the question names its agent), "cause" or "effect", the alternatives.

    label: the index of the right alternative.
    """

    told: tuple[Event, ...]
    about: int
    asked: str
    choices: tuple[Event, ...]
    label: int


class Knowledge(NamedTuple):
    """A question without a text: the event it names, "cause" or "effect" of it, five verbs, the right one's index."""

    event: Event
    asked: str
    choices: tuple[str, ...]
    label: int


def right_situation(item: Situation) -> int:
    """The index of the right alternative, from the meanings alone.

    It is the usual effect (or cause) of the event whose agent the question names, with the same participants.
    """
    (event,) = [event for event in item.told if event.agent.head == item.told[item.about].agent.head]
    fits = [follows(event, c) if item.asked == "effect" else follows(c, event) for c in item.choices]
    if fits.count(True) != 1:
        raise AssertionError("exactly one alternative must fit")
    return fits.index(True)


def right_knowledge(item: Knowledge) -> int:
    """The index of the right verb: that of the event's usual effect or cause."""
    return item.choices.index(NEXT[item.asked][item.event.verb])


def _bare(event: Event, verb: str) -> Event:
    """The participants of an event without attributes, with another verb."""
    return Event(verb, Entity(event.agent.head), Entity(event.patient.head))


def _other_verbs(rng: Random, right: str, size: int) -> list[str]:
    """Wrong verbs: any others of the class, each as likely, so that a set of verbs says nothing of the right one."""
    ring = ANIMATE_VERBS if right in ANIMATE_VERBS else THING_VERBS
    return rng.sample([verb for verb in ring if verb != right], size)


def _situation(rng: Random, told: tuple[Event, ...], about: int, size: int) -> Situation:
    """What follows from, or leads to, one of the told events, among `size` verbs said of the same participants."""
    asked = rng.choice(("cause", "effect"))
    verb = NEXT[asked][told[about].verb]
    right = _bare(told[about], verb)
    choices = [right, *(_bare(told[about], other) for other in _other_verbs(rng, verb, size - 1))]
    rng.shuffle(choices)
    return Situation(told, about, asked, tuple(choices), choices.index(right))


def reading(rng: Random, sampler: Sampler) -> Situation:
    """A Cosmos QA item: two events without a shared participant are told, the question asks about one."""
    animate = float(rng.random() < 0.5)
    while True:
        told = tuple(
            sampler.event(animate=animate, place=0.3, time=0.3, attribute=0.0, count=0.0, future=0.0) for _ in range(2)
        )
        heads = [side.head.split()[0] for event in told for side in (event.agent, event.patient)]
        if len(set(heads)) == len(heads) and told[0].verb != told[1].verb:
            return _situation(rng, told, rng.randrange(2), 4)


def social(rng: Random, sampler: Sampler) -> Situation:
    """A Social IQa item: what someone does to someone; why, or what next."""
    event = sampler.event(animate=1.0, place=0.4, time=0.4, attribute=0.2, count=0.0, future=0.0)
    return _situation(rng, (event,), 0, 3)


def knowledge(rng: Random, sampler: Sampler) -> Knowledge:
    """A CommonsenseQA item: what an event usually leads to or comes from, as one of five verbs."""
    event = sampler.core()
    asked = rng.choice(("cause", "effect"))
    right = NEXT[asked][event.verb]
    choices = [right, *_other_verbs(rng, right, 4)]
    rng.shuffle(choices)
    return Knowledge(event, asked, tuple(choices), choices.index(right))
