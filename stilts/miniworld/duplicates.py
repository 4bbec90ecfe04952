"""Pairs of questions that ask the same or not, with gold labels (QQP); one question alone says nothing."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from stilts.miniworld.meaning import ANIMALS, ANIMATE_VERBS, PLACES, ROLES, TIMES, Entity, Event, Sampler, slot_values

# Most ask for a place or a time: then an exchange of who and whom leaves all words as they are.
ASKED = ("place", "time", "place", "time", "place", "time", "agent", "patient")
SLOTS = ("verb", "agent", "patient", "place", "time")
OTHER_SIDE = {"agent": "patient", "patient": "agent"}


class Asked(NamedTuple):
    """A question: the event it keeps, the slot it asks for, the part it starts with or ends on (`Speaker.question`)."""

    kept: Event
    ask: str
    front: str


class QuestionPair(NamedTuple):
    """Two questions and whether they ask the same (1) or not (0)."""

    first: Asked
    second: Asked
    label: int


def duplicate_label(first: Asked, second: Asked) -> int:
    """1 if both ask for the same slot of the same event: what is said of the asked slot itself does not count."""

    def meaning(asked: Asked) -> dict[str, object]:
        return {s: value for s, value in slot_values(asked.kept).items() if s.split("_")[0] != asked.ask}

    return int(first.ask == second.ask and meaning(first) == meaning(second))


def question_pair(rng: Random, sampler: Sampler, label: int) -> QuestionPair:
    """A pair with the wanted label; the two questions are never said in the same order of words.

    A different question comes about by an exchange or by another value, each of which leads back as often as there: so
    the second question is distributed like the first under both labels.
    """
    while True:
        event = sampler.event(animate=1.0, place=0.7, time=0.7, attribute=0.2, count=0.0, future=0.1)
        ask = rng.choice(ASKED)
        # What is asked for is not said.
        kept = event._replace(**{ask: None} if ask in ("place", "time") else {})
        ways = ["", *(["T"] if kept.time else []), *(["P"] if kept.place else [])]
        if len(ways) > 1:
            break
    fronts = rng.sample(ways, 2)
    first, second = Asked(kept, ask, fronts[0]), Asked(kept, ask, fronts[1])
    if not label:
        change = _exchange if rng.random() < 0.8 else _replace
        second = change(rng, sampler, second)
    return QuestionPair(first, second, label)


def _exchange(rng: Random, sampler: Sampler, asked: Asked) -> Asked:
    """Who did it to whom, the other way round; where one of the two is asked for, the other one is."""
    kept = asked.kept._replace(agent=asked.kept.patient, patient=asked.kept.agent)
    return asked._replace(kept=kept, ask=OTHER_SIDE.get(asked.ask, asked.ask))


def _replace(rng: Random, sampler: Sampler, asked: Asked) -> Asked:
    """The same question with another verb, participant, place or time."""
    kept = asked.kept
    said = [slot for slot in SLOTS if slot != asked.ask and getattr(kept, slot)]
    slot = rng.choice(said)
    old = getattr(kept, slot)
    if slot == "verb":
        new = rng.choice([verb for verb in ANIMATE_VERBS if verb != old])
    elif slot == "time":
        new = rng.choice([time for time in TIMES if time != old])
    else:
        taken = {kept.agent.head, kept.patient.head, old.head}
        new = old
        while new.head in taken:
            new = old._replace(head=_like(sampler, old))
    return asked._replace(kept=kept._replace(**{slot: new}))


def _like(sampler: Sampler, entity: Entity) -> str:
    """Another head of the same sort: for a role a role, for a full name a full name."""
    for sort in (ROLES, ANIMALS, PLACES):
        if entity.head in sort:
            return sampler.rng.choice(sort)
    draw = {"PER": sampler.person, "ORG": sampler.firm, "LOC": sampler.city}[entity.name_type]
    head = draw()
    while len(head.split()) != len(entity.head.split()):
        head = draw()
    return head
