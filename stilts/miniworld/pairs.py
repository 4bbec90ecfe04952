"""Sentence pairs with gold labels: inference (MNLI, XNLI) and paraphrase (PAWS-X); one side alone says nothing."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from stilts.miniworld.meaning import ANTONYM, HYPERNYM, TIMES, Event, Sampler, slot_values

ENTAILMENT, NEUTRAL, CONTRADICTION = 0, 1, 2
INFERENCE_SLOTS = ("agent_attribute", "patient_attribute", "place", "time")


class Pair(NamedTuple):
    """Two events, how each is said (passive, fronted constituent), and the label."""

    first: Event
    second: Event
    label: int
    first_style: tuple[bool, str] = (False, "")
    second_style: tuple[bool, str] = (False, "")


def inference_label(premise: Event, hypothesis: Event) -> int:
    """The label of a pair, from the meanings alone.

    An event happens once: another value in the same slot, an antonym or the opposite polarity contradicts it;
    what it leaves open is neutral; what it says, also by the class of a noun, follows.
    """
    p, h = slot_values(premise), slot_values(hypothesis)
    same_core = p["verb"] == h["verb"] and all(
        h[side] in (p[side], HYPERNYM.get(p[side])) for side in ("agent", "patient")
    )
    if not same_core:
        return NEUTRAL
    if p.get("negated") != h.get("negated"):
        return CONTRADICTION
    label = ENTAILMENT
    for slot in INFERENCE_SLOTS:
        if slot not in h or p.get(slot) == h[slot]:
            continue
        opposed = slot in p and (slot in ("place", "time") or ANTONYM[h[slot]] == p[slot])
        if opposed:
            return CONTRADICTION
        label = NEUTRAL
    return label


def inference_pair(rng: Random, sampler: Sampler, label: int) -> Pair:
    """A pair with the wanted label.

    The hypothesis is drawn first, the same way for every label, and then the premise, whose own distribution does not
    depend on the label either: so neither sentence alone tells anything.
    """
    if rng.random() < 0.25:
        return _polarity_pair(rng, sampler, label)
    return _stated_pair(rng, sampler, label, 0.15)


def _stated_pair(rng: Random, sampler: Sampler, label: int, classes: float) -> Pair:
    """A pair that differs in what is stated in one slot; classes: share of nouns replaced by their class."""
    core = _plain_core(sampler)
    asked, other, spare = rng.sample(INFERENCE_SLOTS, 3)
    hypothesis = sampler.fill(core, asked)
    premise = core
    for slot in (asked if label != NEUTRAL else spare, other):
        premise = sampler.fill(premise, slot)
    if label == ENTAILMENT:
        premise = _copy_slot(hypothesis, premise, asked)
    elif label == CONTRADICTION:
        premise = _oppose(rng, sampler, hypothesis, premise, asked)
    styles = [(False, rng.choice(("", "", "T", "P"))) for _ in range(2)]
    return Pair(premise, _generalise(rng, hypothesis, classes), label, *styles)


def photograph_pair(rng: Random, sampler: Sampler, label: int) -> Pair:
    """A pair as in SNLI: nothing is denied, and the hypothesis names participants by their class more often."""
    pair = _stated_pair(rng, sampler, label, 0.4)
    return pair._replace(second_style=(False, ""))


def _plain_core(sampler: Sampler) -> Event:
    """Verb, agent, patient; common nouns only, so that every slot can be filled."""
    while True:
        core = sampler.core()
        if not core.agent.name_type and not core.patient.name_type:
            return core


def _copy_slot(source: Event, event: Event, slot: str) -> Event:
    if slot in ("place", "time"):
        return event._replace(**{slot: getattr(source, slot)})
    side = slot.split("_", maxsplit=1)[0]
    return event._replace(**{side: getattr(event, side)._replace(attribute=getattr(source, side).attribute)})


def _oppose(rng: Random, sampler: Sampler, hypothesis: Event, premise: Event, slot: str) -> Event:
    """The premise with a value in `slot` that cannot hold together with the hypothesis's."""
    if slot == "time":
        return premise._replace(time=rng.choice([time for time in TIMES if time != hypothesis.time]))
    if slot == "place":
        while premise.place == hypothesis.place:
            premise = premise._replace(place=sampler.place())
        return premise
    side = slot.split("_", maxsplit=1)[0]
    attribute = ANTONYM[getattr(hypothesis, side).attribute]
    return premise._replace(**{side: getattr(premise, side)._replace(attribute=attribute)})


def _polarity_pair(rng: Random, sampler: Sampler, label: int) -> Pair:
    """The bare event, affirmed or denied, against the same event or one with another participant."""
    premise = _plain_core(sampler)._replace(negated=rng.random() < 0.5)
    if label == NEUTRAL:
        while True:
            other = _plain_core(sampler)._replace(verb=premise.verb, negated=rng.random() < 0.5)
            same_class = (other.patient.head in HYPERNYM) and (
                HYPERNYM[other.patient.head] == "thing") == (HYPERNYM[premise.patient.head] == "thing")  # fmt: skip
            if same_class and (other.agent.head, other.patient.head) != (premise.agent.head, premise.patient.head):
                return Pair(premise, other, label)
    return Pair(premise, premise._replace(negated=premise.negated == (label == ENTAILMENT)), label)


def _generalise(rng: Random, event: Event, share: float) -> Event:
    """Nouns now and then replaced by their class, with the same chance under every label."""
    agent, patient = event.agent, event.patient
    if rng.random() < share:
        agent = agent._replace(head=HYPERNYM.get(agent.head, agent.head))
    if rng.random() < share:
        patient = patient._replace(head=HYPERNYM.get(patient.head, patient.head))
    return event._replace(agent=agent, patient=patient)


def paraphrase_label(first: Event, second: Event) -> int:
    """1 if both say the same, 0 if not: events are values, so the same means equal."""
    return int(first == second)


def paraphrase_pair(rng: Random, sampler: Sampler, label: int) -> Pair:
    """Two sentences of nearly the same words: the same event in another order or voice, or with two parts exchanged."""
    while True:
        event = sampler.event(animate=1.0, place=0.7, time=0.7, attribute=0.0, count=0.0, future=0.1)
        if rng.random() < 0.5 and not event.agent.name_type:
            side = "agent"
        else:
            side = "patient" if not event.patient.name_type else ""
        if side:
            event = sampler.fill(event, f"{side}_attribute")
        if event.time or event.place:
            break
    second = event if label else exchange(rng, event)
    styles = [(rng.random() < 0.2, rng.choice(("", "T", "P"))) for _ in range(2)]
    return Pair(event, second, label, *styles)


def exchange(rng: Random, event: Event) -> Event:
    """The event with its two participants exchanged, or an attribute moved to the other one."""
    agent, patient = event.agent, event.patient
    movable = (agent.attribute or patient.attribute) and not (agent.name_type or patient.name_type)
    if movable and rng.random() < 0.35:
        return event._replace(
            agent=agent._replace(attribute=patient.attribute), patient=patient._replace(attribute=agent.attribute)
        )
    return event._replace(agent=patient, patient=agent)
