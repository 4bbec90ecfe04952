"""Passages with questions: extractive QA, with and without unanswerable questions."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import NamedTuple

from stilts.miniworld.documents import question_about
from stilts.miniworld.grammar import Speaker
from stilts.miniworld.meaning import ANIMATE_VERBS, Entity, Event, Sampler, slot_values


class Question(NamedTuple):
    """A question about a passage: what it keeps of an event, the slot asked for, the passage's events, the one meant.

    `meant` is None when nothing in the passage answers it. `fronts` says which part each sentence starts with or ends
    on (as in `Speaker.clause`), so that place alone does not tell which sentence a word belongs to.
    """

    kept: Event
    ask: str
    events: tuple[Event, ...]
    meant: int | None
    fronts: tuple[str, ...]


def answers(kept: Event, ask: str, event: Event) -> bool:
    """Whether the event answers the question: it agrees with all that is kept and fills the asked slot."""
    given = {slot: value for slot, value in slot_values(kept).items() if slot != ask}
    told = slot_values(event)
    return ask in told and all(told.get(slot) == value for slot, value in given.items())


# Parts that all events of a passage have: what is asked must be said of each of them, or its type gives it away.
# None stands for agent and patient, which every event has.
FILLED = (
    "place",
    "time",
    "agent_attribute",
    "patient_attribute",
    "agent_count",
    "patient_count",
    "place",
    "time",
    None,
    None,
    None,
)


def passage(rng: Random, sampler: Sampler, size: int, filled: str | None) -> tuple[Event, ...]:
    """Events told together, all with the slot `filled`. Later ones often share the verb or a participant."""
    events: list[Event] = []
    for _ in range(size):
        event = sampler.event(place=0.5, time=0.4, attribute=0.25, count=0.1)
        if events and rng.random() < 0.3:
            earlier = rng.choice(events)
            if rng.random() < 0.5:
                event = event._replace(agent=sampler.decorate(Entity(earlier.agent.head), 0.25, 0.1))
            elif (earlier.verb in ANIMATE_VERBS) == (event.verb in ANIMATE_VERBS):
                event = event._replace(verb=earlier.verb)
        if event.agent.head == event.patient.head:
            return passage(rng, sampler, size, filled)
        if filled and filled not in slot_values(event):
            if "_" in filled and getattr(event, filled.split("_")[0]).name_type:
                return passage(rng, sampler, size, filled)
            event = sampler.fill(event, filled)
        events.append(event)
    return tuple(events)


def ask_about(rng: Random, events: tuple[Event, ...], meant: int, ask: str, drop: float = 0.5) -> Question | None:
    """A question that exactly one event of the passage answers; None if the draw turned out ambiguous."""
    kept, ask = question_about(events[meant], rng, ask, drop)
    fits = [answers(kept, ask, event) for event in events]
    if fits.count(True) != 1 or not fits[meant]:
        return None
    return Question(kept, ask, events, meant, tuple(rng.choice(("", "T", "P")) for _ in events))


def question(rng: Random, sampler: Sampler, size: int = 3) -> Question:
    """A passage with one answerable question."""
    while True:
        filled = rng.choice(FILLED)
        events = passage(rng, sampler, size, filled)
        found = ask_about(rng, events, rng.randrange(size), filled or rng.choice(("agent", "patient")))
        if found:
            return found


def unanswerable(rng: Random, sampler: Sampler, size: int = 3) -> Question:
    """A question whose event, but for one participant or the verb, is told in the passage: nothing there answers it."""
    while True:
        found = question(rng, sampler, size)
        side = "patient" if found.ask.startswith("agent") else "agent"
        other = sampler.core(1.0 if found.kept.verb in ANIMATE_VERBS else 0.0)
        entity = getattr(found.kept, side)._replace(head=getattr(other, side).head, attribute=None, count=None)
        kept = found.kept._replace(**{side: entity})
        if kept.agent.head != kept.patient.head and not any(answers(kept, found.ask, event) for event in found.events):
            return found._replace(kept=kept, meant=None)


def type_chance(speaker: Speaker, items: list[Question]) -> dict[str, float]:
    """The control of a reader who knows what kind of thing is asked for but not which event is meant.

    Expected F1 and exact match, in percent, of answering every answerable question with the asked slot of a random
    event of its passage (words split at spaces, as SQuAD's script counts them).
    """
    scores: dict[str, list[float]] = {"f1": [], "exact_match": []}
    for item in items:
        if item.meant is None:
            continue
        gold = say(speaker, item)["answers"]["text"][0]
        told = [i for i, event in enumerate(item.events) if item.ask in slot_values(event)]
        guesses = [say(speaker, item._replace(meant=i))["answers"]["text"][0] for i in told]
        scores["f1"].append(sum(_overlap(guess, gold) for guess in guesses) / len(guesses))
        scores["exact_match"].append(guesses.count(gold) / len(guesses))
    return {metric: round(100 * sum(values) / len(values), 4) for metric, values in scores.items()}


def _overlap(guess: str, gold: str) -> float:
    words, right = guess.lower().split(), gold.lower().split()
    same = sum((Counter(words) & Counter(right)).values())
    return 2 * same / (len(words) + len(right))


def say(speaker: Speaker, item: Question) -> dict[str, object]:
    """The item in a language: context, question, answer text and character offset, sentences with their offsets.

    Unanswerable items have empty `answers`. The answer's text always equals context[start : start + len(text)].
    """
    words, bounds = [], []
    for event, front in zip(item.events, item.fronts, strict=True):
        sentence = speaker.sentence(event, False, front)
        bounds.append((len(words), len(words) + len(sentence)))
        words += sentence
    text = speaker.join(words)
    found = {"text": [], "answer_start": []}
    if item.meant is not None:
        low, high = bounds[item.meant]
        at = [i for i in range(low, high) if words[i].slot == item.ask]
        start, end = text.spans[at[0]][0], text.spans[at[-1]][1]
        found = {"text": [text.text[start:end]], "answer_start": [start]}
    breaks = [[text.spans[low][0], text.spans[high - 1][1]] for low, high in bounds]
    return {
        "context": text.text,
        "question": speaker.text(speaker.question(item.kept, item.ask)),
        "answers": found,
        "sentences": [text.text[a:b] for a, b in breaks],
        "sentence_breaks": breaks,
    }
