"""The meaning space shared by all languages: concepts, entities, events, and how events are drawn."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

ROLES = ["baker", "doctor", "farmer", "teacher", "singer", "soldier", "child"]
ANIMALS = ["dog", "cat", "horse", "bird", "wolf"]
THINGS = ["box", "key", "book", "lamp", "cup", "rope", "knife", "coat"]
PLACES = ["park", "house", "river", "school", "market", "forest"]
ANIMATE_VERBS = ["see", "help", "chase", "call", "meet", "push", "thank", "teach"]
THING_VERBS = ["take", "break", "sell", "hide", "buy", "wash", "paint", "carry"]
ADJECTIVE_PAIRS = (("big", "small"), ("old", "young"), ("wet", "dry"), ("loud", "quiet"))
TIMES = ["today", "yesterday", "night", "morning", "winter"]
ORG_KINDS = ["bank", "club", "guild"]
HYPERNYMS = ["person", "animal", "thing", "city"]

ADJECTIVES = [adjective for pair in ADJECTIVE_PAIRS for adjective in pair]
ANTONYM = {**dict(ADJECTIVE_PAIRS), **{b: a for a, b in ADJECTIVE_PAIRS}}
HYPERNYM = {
    **dict.fromkeys(ROLES, "person"),
    **dict.fromkeys(ANIMALS, "animal"),
    **dict.fromkeys(THINGS, "thing"),
}
VERBS = ANIMATE_VERBS + THING_VERBS
# Script knowledge: each verb has one usual effect, in a ring within its class, so every verb is
# as often an effect as a cause and a choice alone says nothing.
EFFECT = {verb: ring[(i + 1) % len(ring)] for ring in (ANIMATE_VERBS, THING_VERBS) for i, verb in enumerate(ring)}
CAUSE = {effect: verb for verb, effect in EFFECT.items()}

NOUNS = ROLES + ANIMALS + THINGS + PLACES + ORG_KINDS + HYPERNYMS
CONTENT = NOUNS + VERBS + ADJECTIVES + TIMES
FUNCTION = [
    "in",
    "by",
    "and",
    "because",
    "so",
    "not",
    "be",
    "who",
    "whom",
    "what",
    "where",
    "when",
    "which",
    "howmany",
    "passive",
    "future",
]
UPOS = {
    **dict.fromkeys(NOUNS, "NOUN"),
    **dict.fromkeys(VERBS, "VERB"),
    **dict.fromkeys(ADJECTIVES, "ADJ"),
    **dict.fromkeys(TIMES, "ADV"),
    "in": "ADP", "by": "ADP", "and": "CCONJ", "because": "SCONJ", "so": "CCONJ", "not": "PART", "be": "AUX",
    "who": "PRON", "whom": "PRON", "what": "PRON", "where": "ADV", "when": "ADV", "which": "DET", "howmany": "DET",
    "passive": "AUX", "future": "AUX",
}  # fmt: skip

FIRST_NAMES, LAST_NAMES, CITY_NAMES, FIRM_NAMES = 15, 15, 15, 10


class Entity(NamedTuple):
    """A participant or place. `head` is a concept, or a name key such as "first:3 last:5", "city:2", "firm:4 bank"."""

    head: str
    attribute: str | None = None
    count: int | None = None

    @property
    def name_type(self) -> str | None:
        """PER, LOC, ORG for a name, None for a common noun."""
        return {"first": "PER", "last": "PER", "city": "LOC", "firm": "ORG"}.get(self.head.split(":")[0])


class Event(NamedTuple):
    """Who did what to whom, where, when, whether it did not happen, whether it is still to come."""

    verb: str
    agent: Entity
    patient: Entity
    place: Entity | None = None
    time: str | None = None
    negated: bool = False
    future: bool = False


def slot_values(event: Event) -> dict[str, object]:
    """The parts of an event that a question can ask for and a hypothesis can state, absent ones left out."""
    values: dict[str, object] = {
        "verb": event.verb,
        "agent": event.agent.head,
        "patient": event.patient.head,
        "agent_attribute": event.agent.attribute,
        "patient_attribute": event.patient.attribute,
        "agent_count": event.agent.count,
        "patient_count": event.patient.count,
        "place": event.place.head if event.place else None,
        "time": event.time,
        "negated": event.negated or None,
        "future": event.future or None,
    }
    return {slot: value for slot, value in values.items() if value is not None}


class Sampler:
    """Draws entities and events. `half` limits the names to the first part (0) or the last part (1) of each list."""

    def __init__(self, rng: Random, half: int | None = None, names: float = 0.25, preference: float = 0.0) -> None:
        self.rng = rng
        self.names = names
        self.preference = preference
        self._ranges = {}
        for kind, size in (("first", FIRST_NAMES), ("last", LAST_NAMES), ("city", CITY_NAMES), ("firm", FIRM_NAMES)):
            cut = size * 6 // 10
            self._ranges[kind] = {None: (0, size), 0: (0, cut), 1: (cut, size)}[half]

    def _index(self, kind: str) -> int:
        return self.rng.randrange(*self._ranges[kind])

    def person(self) -> str:
        key = f"first:{self._index('first')}"
        return f"{key} last:{self._index('last')}" if self.rng.random() < 0.4 else key

    def city(self) -> str:
        return f"city:{self._index('city')}"

    def firm(self) -> str:
        return f"firm:{self._index('firm')} {self.rng.choice(ORG_KINDS)}"

    def animate(self, names: float | None = None) -> Entity:
        """Someone: a name with probability `names`, else a role or an animal."""
        rng = self.rng
        if rng.random() < (self.names if names is None else names):
            return Entity(self.person() if rng.random() < 0.75 else self.firm())
        return Entity(rng.choice(ROLES) if rng.random() < 0.6 else rng.choice(ANIMALS))

    def place(self, names: float | None = None) -> Entity:
        if self.rng.random() < (self.names if names is None else names):
            return Entity(self.city())
        return Entity(self.rng.choice(PLACES))

    def event(
        self,
        *,
        animate: float = 0.5,
        place: float = 0.5,
        time: float = 0.4,
        attribute: float = 0.25,
        count: float = 0.1,
        negated: float = 0.0,
        future: float = 0.1,
    ) -> Event:
        """An event; the arguments are the probabilities of an animate patient and of each optional part."""
        rng = self.rng
        verb = rng.choice(ANIMATE_VERBS if rng.random() < animate else THING_VERBS)
        agent = self.animate()
        if self.preference and rng.random() < self.preference:
            # Each verb has usual agents: the same statistics in every language, as in real text.
            agent = Entity((ROLES + ANIMALS)[(VERBS.index(verb) * 5 + rng.randrange(4)) % len(ROLES + ANIMALS)])
        patient = self.animate() if verb in ANIMATE_VERBS else Entity(rng.choice(THINGS))
        while patient.head == agent.head:
            patient = self.animate()
        return Event(
            verb,
            self.decorate(agent, attribute, count),
            self.decorate(patient, attribute, count),
            self.place() if rng.random() < place else None,
            rng.choice(TIMES) if rng.random() < time else None,
            rng.random() < negated,
            rng.random() < future,
        )

    def decorate(self, entity: Entity, attribute: float, count: float) -> Entity:
        """Add an attribute or a count to a common noun; names keep bare."""
        if entity.name_type:
            return entity
        rng = self.rng
        chosen = rng.choice(ADJECTIVES) if rng.random() < attribute else None
        return Entity(entity.head, chosen, rng.randrange(2, 10) if rng.random() < count else None)

    def core(self, animate: float = 0.5) -> Event:
        """Verb, agent and patient without any optional part."""
        return self.event(animate=animate, place=0, time=0, attribute=0, count=0, future=0)

    def fill(self, event: Event, slot: str) -> Event:
        """The event with a random value in one optional slot."""
        rng = self.rng
        if slot == "place":
            return event._replace(place=self.place())
        if slot == "time":
            return event._replace(time=rng.choice(TIMES))
        side, part = slot.split("_")
        entity = getattr(event, side)
        value = {"attribute": rng.choice(ADJECTIVES)} if part == "attribute" else {"count": rng.randrange(2, 10)}
        return event._replace(**{side: entity._replace(**value)})
