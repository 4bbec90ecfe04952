"""Inference from several sentences, in three rounds (ANLI); neither side alone nor shared words give the label away."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from stilts.miniworld.meaning import ADJECTIVE_PAIRS, HYPERNYM, PLACES, TIMES, Entity, Event, Sampler
from stilts.miniworld.pairs import CONTRADICTION, ENTAILMENT, INFERENCE_SLOTS, NEUTRAL, inference_label

# Round -> sentences of its premises. The third round also names participants by their class ("an animal").
PREMISE_EVENTS = {1: 2, 2: 3, 3: 3}


class Reading(NamedTuple):
    """The premise's events, the hypothesis, the label; `fronts` as in `Speaker.clause`, the hypothesis's last."""

    events: tuple[Event, ...]
    hypothesis: Event
    label: int
    fronts: tuple[str, ...]


def reading_label(events: tuple[Event, ...], hypothesis: Event) -> int:
    """The label, from the meanings alone: what follows from one of the events, or contradicts it; else neutral."""
    labels = {inference_label(event, hypothesis) for event in events} - {NEUTRAL}
    if len(labels) > 1:
        raise AssertionError("the events of a premise must differ in who does what to whom")
    return labels.pop() if labels else NEUTRAL


def reading_pair(rng: Random, sampler: Sampler, number: int, label: int) -> Reading:
    """An item of round `number` with the wanted label; sampler: one that draws no names.

    The premise is drawn without regard to the label. All its events have the same two of INFERENCE_SLOTS filled, and
    two events (`meant`, `other`) have values there that exclude each other. The hypothesis is about `meant` and states,
    in one slot: its value (entailment); the other event's value (contradiction); a slot that is open, or the value of
    either event in a mixture of the two that nobody told (neutral). So its words stand in the premise under all labels.
    """
    slots = rng.sample(INFERENCE_SLOTS, 2)
    cores = _cores(rng, sampler, PREMISE_EVENTS[number])
    meant, other = rng.sample(range(len(cores)), 2)
    events = _filled(rng, cores, slots, meant, other)
    classes = _classes(rng, events[meant], events[other]) if number == 3 else ()
    slot = rng.choice(slots)
    core = cores[meant]
    if label == ENTAILMENT:
        value = _value(events[meant], slot)
    elif label == CONTRADICTION:
        value = _value(events[other], slot)
    elif rng.random() < 0.5:
        slot = rng.choice([slot for slot in INFERENCE_SLOTS if slot not in slots])
        value = rng.choice(_values(slot))
    else:
        value = _value(events[rng.choice((meant, other))], slot)
        part = rng.choice(("verb", "agent", "patient"))
        core = core._replace(**{part: getattr(cores[other], part)})
    hypothesis = _state(core, slot, value)
    for side in classes:
        entity = getattr(hypothesis, side)
        hypothesis = hypothesis._replace(**{side: entity._replace(head=HYPERNYM[entity.head])})
    fronts = tuple(rng.choice(("", "T", "P")) for _ in range(len(events) + 1))
    return Reading(tuple(events), hypothesis, label, fronts)


def _cores(rng: Random, sampler: Sampler, size: int) -> list[Event]:
    """Verb, agent and patient of different events, of one class of verbs, so that their parts can be mixed."""
    animate = float(rng.random() < 0.5)
    while True:
        cores = [sampler.core(animate) for _ in range(size)]
        heads = {entity.head for core in cores for entity in (core.agent, core.patient)}
        if len(heads) == 2 * size and len({core.verb for core in cores}) == size:
            return cores


def _classes(rng: Random, meant: Event, other: Event) -> tuple[str, ...]:
    """The sides named by their class: only where the two events differ in it, or the class would point at both."""
    differ = [
        side
        for side in ("agent", "patient")
        if HYPERNYM[getattr(meant, side).head] != HYPERNYM[getattr(other, side).head]
    ]
    return tuple(side for side in differ if rng.random() < 0.5)


def _values(slot: str) -> list:
    if slot == "place":
        return [Entity(place) for place in PLACES]
    return TIMES if slot == "time" else [adjective for pair in ADJECTIVE_PAIRS for adjective in pair]


def _value(event: Event, slot: str) -> object:
    if slot in ("place", "time"):
        return getattr(event, slot)
    return getattr(event, slot.split("_", maxsplit=1)[0]).attribute


def _state(event: Event, slot: str, value: object) -> Event:
    """The event with a value in a slot."""
    if slot in ("place", "time"):
        return event._replace(**{slot: value})
    side = slot.split("_", maxsplit=1)[0]
    return event._replace(**{side: getattr(event, side)._replace(attribute=value)})


def _filled(rng: Random, cores: list[Event], slots: list[str], meant: int, other: int) -> list[Event]:
    """The events with both slots filled: values differ, those of `meant` and `other` exclude each other."""
    events = list(cores)
    order = [meant, other, *(i for i in range(len(cores)) if i not in (meant, other))]
    for slot in slots:
        if slot in ("place", "time"):
            values = rng.sample(_values(slot), len(events))
        else:
            pairs = [rng.sample(pair, 2) for pair in rng.sample(ADJECTIVE_PAIRS, 2)]
            values = [*pairs[0], pairs[1][0]]
        for i, value in zip(order, values, strict=False):
            events[i] = _state(events[i], slot, value)
    return events
