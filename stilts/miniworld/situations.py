"""Multiple choice that needs its question: reading between the lines, social situations, common sense.

The alternatives of an item are drawn so that, without the question or without what is told, each is as likely as any
other, also when all of them are seen together.
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


def _other_verbs(rng: Random, event: Event, right: str, size: int) -> list[str]:
    """Wrong verbs, drawn as the right one falls: evenly from the event's class of verbs, its own verb left out."""
    ring = ANIMATE_VERBS if event.verb in ANIMATE_VERBS else THING_VERBS
    return rng.sample([verb for verb in ring if verb not in (right, event.verb)], size)


def _sequels(event: Event) -> list[str]:
    """The verbs of an event's usual effect and cause."""
    return [NEXT[asked][event.verb] for asked in LINKS]


def reading(rng: Random, sampler: Sampler) -> Situation:
    """A Cosmos QA item: two events are told, the question asks about one, four alternatives.

    The alternatives are the effect and the cause of each of the two events, all said of the participants of the event
    asked about: which event it is stands in the text, which way it goes in the question.
    """
    animate = float(rng.random() < 0.5)
    while True:
        told = tuple(
            sampler.event(animate=animate, place=0.3, time=0.3, attribute=0.0, count=0.0, future=0.0) for _ in range(2)
        )
        heads = [side.head.split()[0] for event in told for side in (event.agent, event.patient)]
        verbs = [verb for event in told for verb in (event.verb, *_sequels(event))]
        if len(set(heads)) == len(heads) and len(set(verbs)) == len(verbs):
            break
    about = rng.randrange(2)
    asked = rng.choice(("cause", "effect"))
    choices = [_bare(told[about], verb) for event in told for verb in _sequels(event)]
    rng.shuffle(choices)
    right = _bare(told[about], NEXT[asked][told[about].verb])
    return Situation(told, about, asked, tuple(choices), choices.index(right))


def social(rng: Random, sampler: Sampler) -> Situation:
    """A Social IQa item: what someone does to someone, why or what next, three alternatives.

    All have the same participants; the wrong verbs are drawn as the right one falls.
    """
    event = sampler.event(animate=1.0, place=0.4, time=0.4, attribute=0.2, count=0.0, future=0.0)
    asked = rng.choice(("cause", "effect"))
    verb = NEXT[asked][event.verb]
    right = _bare(event, verb)
    choices = [right, *(_bare(event, other) for other in _other_verbs(rng, event, verb, 2))]
    rng.shuffle(choices)
    return Situation((event,), 0, asked, tuple(choices), choices.index(right))


def knowledge(rng: Random, sampler: Sampler) -> Knowledge:
    """A CommonsenseQA item: what an event usually leads to or comes from, as one of five verbs."""
    event = sampler.core()
    asked = rng.choice(("cause", "effect"))
    right = NEXT[asked][event.verb]
    choices = [right, *_other_verbs(rng, event, right, 4)]
    rng.shuffle(choices)
    return Knowledge(event, asked, tuple(choices), choices.index(right))
