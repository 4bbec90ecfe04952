"""The text the encoder is pretrained on: stories, restatements, questions with answers, descriptions.

A document is one or two segments. Some documents say the same in two languages (parallel), some swap words for
words of other languages (code-switched): the anchors from which a small encoder aligns its languages.
"""

from __future__ import annotations

from random import Random

from stilts.miniworld.grammar import Speaker, Word
from stilts.miniworld.lexicon import Lexicon
from stilts.miniworld.meaning import (
    ADJECTIVES,
    ANIMALS,
    EFFECT,
    HYPERNYM,
    HYPERNYMS,
    ROLES,
    Entity,
    Event,
    Sampler,
    slot_values,
)

ASKED = ("agent", "patient", "place", "time", "agent_attribute", "patient_attribute", "agent_count", "patient_count")


def weaken(event: Event, rng: Random, drop: float = 0.5) -> Event:
    """A statement that follows from the event: optional parts dropped, nouns sometimes replaced by their class."""
    agent, patient = event.agent, event.patient
    if rng.random() < drop:
        agent = agent._replace(attribute=None)
    if rng.random() < drop:
        patient = patient._replace(attribute=None)
    if rng.random() < 0.1 and agent.head in HYPERNYM:
        agent = agent._replace(head=HYPERNYM[agent.head])
    if rng.random() < 0.1 and patient.head in HYPERNYM:
        patient = patient._replace(head=HYPERNYM[patient.head])
    return event._replace(
        agent=agent,
        patient=patient,
        place=None if rng.random() < drop else event.place,
        time=None if rng.random() < drop else event.time,
    )


def question_about(event: Event, rng: Random, ask: str | None = None, drop: float = 0.5) -> tuple[Event, str]:
    """What a question keeps of an event, and the slot it asks for. The asked slot must be filled."""
    filled = slot_values(event)
    ask = ask or rng.choice([slot for slot in ASKED if slot in filled])
    kept = weaken(event, rng, drop)
    kept = kept._replace(
        agent=kept.agent._replace(head=event.agent.head), patient=kept.patient._replace(head=event.patient.head)
    )
    side, _, part = ask.partition("_")
    if part:
        # The asked part's noun must be there in the very form, so that the question points at it.
        kept = kept._replace(**{side: getattr(event, side)})
    return kept, ask


class DocumentWriter:
    """Writes the documents of one language."""

    def __init__(self, world: dict[str, object], lexicons: dict[str, Lexicon], code: str) -> None:
        self.world, self.lexicons, self.code = world, lexicons, code
        self.rng = Random(f"documents {world['seed']} {code}")
        self.sampler = Sampler(self.rng, preference=0.4)
        self.others = [other for other in lexicons if other != code]

    def speaker(self, code: str, switched: bool) -> Speaker:
        language = self.lexicons[code].language
        spaced = language.spaced or self.rng.random() < self.world["spaced_documents"]
        switch = self.world["code_switched_words"] if switched else 0.0
        return Speaker(self.lexicons, code, switch, self.rng, spaced, self.world["order_variation"])

    def document(self) -> str:
        """One line: a document, its segments joined by a TAB."""
        rng = self.rng
        first = self.speaker(self.code, rng.random() < self.world["code_switched_documents"])
        if rng.random() < self.world["parallel_documents"]:
            second = self.speaker(rng.choice(self.others), rng.random() < self.world["code_switched_documents"])
            if rng.random() < 0.5:
                first, second = second, first
            return self.parallel(first, second)
        kind = rng.random()
        if kind < 0.12:
            return self.story(first)
        if kind < 0.47:
            return self.restatement(first)
        if kind < 0.92:
            return self.questions(first)
        return self.about(first)

    def events(self, low: int = 2, high: int = 3) -> list[Event]:
        """Events told together: mostly unrelated, sometimes sharing the verb or a participant."""
        count = self.rng.randint(low, high)
        events: list[Event] = []
        for _ in range(count):
            event = self.sampler.event(animate=0.6, place=0.6, time=0.5, attribute=0.3, negated=0.05)
            if events and self.rng.random() < 0.3:
                event = event._replace(agent=events[0].agent)
            events.append(event)
        return events

    def parallel(self, a: Speaker, b: Speaker) -> str:
        """The same in two languages: statements, a question with its answer, or a passage and a question about it."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.7:
            events = self.events(1, 2)
            first, second = ([w for e in events for w in speaker.sentence(e)] for speaker in (a, b))
            return a.text(first) + "\t" + b.text(second)
        events, meant, kept, ask = self.asked()
        if kind < 0.85:
            return a.text(self.asking(a, meant, kept, ask)) + "\t" + b.text(self.asking(b, meant, kept, ask))
        parts = [self.passage(a, events), b.text(self.asking(b, meant, kept, ask))]
        return "\t".join(parts if rng.random() < 0.5 else parts[::-1])

    def asked(self) -> tuple[list[Event], Event, Event, str]:
        """Events told together, the one asked about, what the question keeps of it, and the slot asked for."""
        # Every kind of question is equally common: a word like "how many" is learned from its questions alone.
        ask = self.rng.choice(ASKED)
        events = [self._with(event, ask) for event in self.events()]
        meant = self.rng.choice(events)
        kept, ask = question_about(meant, self.rng, ask)
        return events, meant, kept, ask

    def passage(self, speaker: Speaker, events: list[Event]) -> str:
        rng = self.rng
        return speaker.text([w for e in events for w in speaker.sentence(e, False, rng.choice(("", "T", "P")))])

    @staticmethod
    def asking(speaker: Speaker, meant: Event, kept: Event, ask: str) -> list[Word]:
        """The question and its short answer."""
        return [*speaker.question(kept, ask), *speaker.answer(meant, ask), speaker.stop()]

    def story(self, speaker: Speaker) -> str:
        """An event, its effect, the effect's effect."""
        rng = self.rng
        event = self.sampler.event(place=0.3, time=0.2, attribute=0.1, count=0.05)
        effect = event._replace(verb=EFFECT[event.verb], place=None, time=None)
        last = effect._replace(verb=EFFECT[effect.verb])
        style = rng.random()
        if style < 0.3:
            return speaker.text(speaker.linked("so", event, effect))
        if style < 0.6:
            return speaker.text(speaker.linked("because", effect, event))
        sentences = [speaker.sentence(event), speaker.sentence(effect), speaker.sentence(last)]
        return self._segments(speaker, sentences, rng.randint(1, 2))

    def restatement(self, speaker: Speaker) -> str:
        """Something said twice: in another order or voice, or with less detail."""
        rng = self.rng
        events = self.events(1, 2)
        said = rng.choice(events)
        again = weaken(said, rng)
        sentences = [speaker.sentence(e, *self._style()) for e in events] + [speaker.sentence(again, *self._style())]
        if rng.random() < 0.15:
            # "... . Not ..., but ...": the same event denied with another value.
            other = self.sampler.fill(said, rng.choice(("place", "time")))._replace(negated=True)
            sentences.append(speaker.sentence(other))
        return self._segments(speaker, sentences, len(events))

    def _style(self) -> tuple[bool, str]:
        return self.rng.random() < 0.25, self.rng.choice(("", "", "T", "P"))

    def questions(self, speaker: Speaker) -> str:
        """A passage with a question and its answer, before or after it."""
        rng = self.rng
        events, meant, kept, ask = self.asked()
        passage = self.passage(speaker, events)
        told = self.asking(speaker, meant, kept, ask)
        if rng.random() < 0.4:
            other = rng.choice(events)
            told += self.asking(speaker, other, *question_about(other, rng))
        style = rng.random()
        if style < 0.5:
            return speaker.text(told) + "\t" + passage
        if style < 0.75:
            return speaker.text(speaker.question(kept, ask)) + "\t" + passage
        return passage + "\t" + speaker.text(told)

    def _with(self, event: Event, slot: str) -> Event:
        """The event with `slot` filled; names, which take neither attribute nor count, become common nouns first."""
        side, _, part = slot.partition("_")
        if part and getattr(event, side).name_type:
            taken = (event.agent.head, event.patient.head)
            head = self.rng.choice([noun for noun in ROLES + ANIMALS if noun not in taken])
            event = event._replace(**{side: Entity(head)})
        return event if slot in slot_values(event) else self.sampler.fill(event, slot)

    def about(self, speaker: Speaker) -> str:
        """Who or what a name stands for, and something about it."""
        rng, sampler = self.rng, self.sampler
        kind = rng.random()
        if kind < 0.5:
            entity = Entity(sampler.person())
            first = speaker.description(entity, rng.choice(ROLES), sampler.place(0.6) if rng.random() < 0.6 else None)
        elif kind < 0.75:
            entity = Entity(sampler.firm())
            first = speaker.description(entity, rng.choice(ADJECTIVES + HYPERNYMS), sampler.place(0.6))
        else:
            city = Entity(sampler.city())
            event = sampler.event(place=0, attribute=0.2)._replace(place=city)
            return self._segments(speaker, [speaker.description(city, "city"), speaker.sentence(event)], 1)
        event = sampler.event(place=0.7, attribute=0.2)._replace(agent=entity)
        return self._segments(speaker, [first, speaker.sentence(event)], 1)

    @staticmethod
    def _segments(speaker: Speaker, sentences: list[list[Word]], cut: int) -> str:
        halves = [sentences[:cut], sentences[cut:]]
        return "\t".join(speaker.text([w for s in half for w in s]) for half in halves if half)
