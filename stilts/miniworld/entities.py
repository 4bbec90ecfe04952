"""Named entities with descriptions, and sentences that mention them, in the layout of Mewsli-X."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from stilts.miniworld.grammar import Speaker, Word
from stilts.miniworld.meaning import FIRST_NAMES, LAST_NAMES, ORG_KINDS, ROLES, Entity, Event, Sampler


class Known(NamedTuple):
    """An entity of the knowledge base: its id, what it is (a role, "city" or a kind of firm), where it belongs."""

    entity_id: str
    entity: Entity
    concept: str
    place: Entity | None


def knowledge_base(rng: Random, size: int) -> list[Known]:
    """Different entities; several people share a first name, so a mention needs its context."""
    sampler = Sampler(rng)
    found: dict[str, Known] = {}
    while len(found) < size:
        kind = rng.random()
        if kind < 0.6:
            head = f"first:{rng.randrange(FIRST_NAMES)} last:{rng.randrange(LAST_NAMES)}"
            known = (Entity(head), rng.choice(ROLES), Entity(sampler.city()))
        elif kind < 0.85:
            entity = Entity(sampler.firm())
            known = (entity, entity.head.split()[1], Entity(sampler.city()))
            assert known[1] in ORG_KINDS
        else:
            known = (Entity(sampler.city()), "city", None)
        if known[0].head not in found:
            found[known[0].head] = Known(f"Q{len(found) + 1}", *known)
    return list(found.values())


def mention(rng: Random, sampler: Sampler, known: Known) -> tuple[Event, str]:
    """An event that mentions the entity, and the slot it stands in. People may appear with their first name alone."""
    event = sampler.event(animate=0.5, place=0.5, attribute=0.2)
    if known.entity.name_type == "LOC":
        return event._replace(place=known.entity), "place"
    head = known.entity.head
    if known.entity.name_type == "PER" and rng.random() < 0.3:
        head = head.split()[0]
    return event._replace(agent=Entity(head), place=known.place or event.place), "agent"


def describe(speaker: Speaker, known: Known) -> tuple[str, str]:
    """Title and description of an entity in a language."""
    title = speaker.text(speaker.phrase(known.entity, "agent"))
    return title, speaker.text(speaker.description(known.entity, known.concept, known.place))


def say_mention(speaker: Speaker, event: Event, slot: str) -> tuple[str, int, int]:
    """The sentence and the character span of the mention."""
    words: list[Word] = speaker.sentence(event)
    text = speaker.join(words)
    at = [i for i, word in enumerate(words) if word.slot == slot]
    return text.text, text.spans[at[0]][0], text.spans[at[-1]][1]
