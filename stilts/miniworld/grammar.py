"""From meaning to words: statements, questions, descriptions, in any language of the world."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from stilts.miniworld.lexicon import Lexicon, is_unspaced
from stilts.miniworld.meaning import ANIMATE_VERBS, UPOS, Entity, Event

OBLIQUE = {"place": "in", "agent": "by"}


class Word(NamedTuple):
    """One word: its form, part of speech, the part of the event it expresses, its entity tag ("" or B-PER ...)."""

    form: str
    upos: str
    slot: str = ""
    entity: str = "O"


def moved(order: str, front: str) -> str:
    """The order with constituent `front` at the other end: at the start, or at the end where it starts anyway."""
    if not front:
        return order
    rest = order.replace(front, "")
    return rest + front if order[0] == front else front + rest


class Text:
    """Words with the text they make up. `spans[i]` are the character offsets (start, end) of word i."""

    def __init__(self, words: list[Word], spaced: bool = True) -> None:
        self.words = words
        self.spans: list[tuple[int, int]] = []
        parts: list[str] = []
        at = 0
        for i, word in enumerate(words):
            gap = i > 0 and word.upos != "PUNCT"
            if gap and not spaced:
                # Unspaced scripts set off foreign letters and digits, and sentences stand together.
                gap = not (is_unspaced(word.form) and (is_unspaced(words[i - 1].form) or words[i - 1].upos == "PUNCT"))
            if gap:
                parts.append(" ")
                at += 1
            parts.append(word.form)
            self.spans.append((at, at + len(word.form)))
            at += len(word.form)
        self.text = "".join(parts)


class Speaker:
    """Says meanings in one language.

    `switch` is the probability with which a word is replaced by the same word of another language
    (code-switching), `vary` that of a clause in the language's other order; both need `rng`. Without them, equal
    arguments give equal words.
    """

    def __init__(self, lexicons: dict[str, Lexicon], code: str, switch: float = 0.0, rng: Random | None = None,
                 spaced: bool | None = None, vary: float = 0.0) -> None:  # fmt: skip
        self.lexicons = lexicons
        self.lexicon = lexicons[code]
        self.language = self.lexicon.language
        self.switch, self.rng, self.vary = switch, rng, vary
        self.spaced = self.language.spaced if spaced is None else spaced
        # One other language a speaker: people mix the two languages they share, not all.
        self._other = lexicons[rng.choice([other for other in lexicons if other != code])] if switch else None

    # words
    def _source(self) -> Lexicon:
        if self.switch and self.rng.random() < self.switch:
            return self._other
        return self.lexicon

    def word(self, concept: str, slot: str = "", suffix: str = "") -> Word:
        """The word for a concept, with a bound suffix of this language."""
        return Word(self._source().word[concept] + suffix, UPOS.get(concept, "NUM"), slot)

    def stop(self) -> Word:
        return Word(self.language.stop, "PUNCT")

    def join(self, words: list[Word]) -> Text:
        return Text(words, self.spaced)

    def text(self, words: list[Word]) -> str:
        return Text(words, self.spaced).text

    # phrases
    def phrase(self, entity: Entity, side: str, case: str = "", ask: str = "") -> list[Word]:
        """A noun phrase: count, attribute, noun or name; `ask` names the slot replaced by its question word."""
        suffix = self.lexicon.suffix["accusative"] if case == "accusative" else ""
        words = []
        if entity.count or ask == f"{side}_count":
            words.append(
                self.word("howmany", "wh") if ask == f"{side}_count" else self.word(str(entity.count), f"{side}_count")
            )
        attribute = []
        if entity.attribute or ask == f"{side}_attribute":
            attribute = [
                self.word("which", "wh")
                if ask == f"{side}_attribute"
                else self.word(entity.attribute, f"{side}_attribute")
            ]
        name_type = entity.name_type
        if name_type:
            source = self._source()
            head, tag = [], "B-"
            for key in entity.head.split():
                form = source.name[key] if ":" in key else self.lexicon.word[key]
                head.append(Word(form, "PROPN" if ":" in key else "NOUN", side, tag + name_type))
                tag = "I-"
            head[-1] = head[-1]._replace(form=head[-1].form + suffix)
        else:
            plural = self.lexicon.suffix["plural"] if entity.count else ""
            head = [self.word(entity.head, side, plural + suffix)]
        return words + (attribute + head if self.language.adjective_first else head + attribute)

    def oblique(self, marker: str, words: list[Word]) -> list[Word]:
        """A phrase with its adposition."""
        adposition = [self.word(marker)]
        return adposition + words if self.language.preposition else words + adposition

    # sentences
    def constituents(self, event: Event, passive: bool = False, ask: str = "") -> dict[str, list[Word]]:
        """The constituents S V O P T of an event as lists of words; in the passive O is the agent's by-phrase."""
        parts: dict[str, list[Word]] = {}
        if passive:
            parts["S"] = self.phrase(event.patient, "patient", "", ask)
            parts["O"] = self.oblique("by", self.phrase(event.agent, "agent", "", ask))
        else:
            asked = {"agent": "who", "patient": "whom" if event.verb in ANIMATE_VERBS else "what"}
            parts["S"] = (
                [self.word(asked["agent"], "wh")] if ask == "agent" else self.phrase(event.agent, "agent", "", ask)
            )
            parts["O"] = (
                [self.word(asked["patient"], "wh")]
                if ask == "patient"
                else self.phrase(event.patient, "patient", "accusative", ask)
            )
        parts["V"] = self.verb_group(event, passive)
        if ask == "place":
            parts["P"] = [self.word("where", "wh")]
        elif event.place:
            parts["P"] = self.oblique("in", self.phrase(event.place, "place"))
        if ask == "time":
            parts["T"] = [self.word("when", "wh")]
        elif event.time:
            parts["T"] = [self.word(event.time, "time")]
        return parts

    def verb_group(self, event: Event, passive: bool) -> list[Word]:
        suffixes = self.lexicon.suffix
        words = []
        for mark in self.language.verb_group:
            if mark == "v":
                bound = (suffixes["passive"] if passive else "") + (suffixes["future"] if event.future else "")
                words.append(self.word(event.verb, "verb", bound))
            elif mark == "n" and event.negated:
                words.append(self.word("not", "negated"))
            elif mark == "f" and event.future and not suffixes["future"]:
                words.append(self.word("future", "future"))
            elif mark == "p" and passive and not suffixes["passive"]:
                words.append(self.word("passive"))
        return words

    def arranged(self, event: Event, passive: bool = False, front: str = "") -> list[tuple[str, list[Word]]]:
        """The constituents of a statement in their order, each with its letter (`constituents`).

        `front` moves constituent "T" or "P" to the other end of the clause.
        """
        parts = self.constituents(event, passive)
        order = self.language.order
        if self.vary and self.rng.random() < self.vary:
            order = self.language.other_order
        return [(key, parts[key]) for key in moved(order, front if front in parts else "") if key in parts]

    def clause(self, event: Event, passive: bool = False, front: str = "") -> list[Word]:
        """A statement without its stop; see `arranged`."""
        return [word for _, words in self.arranged(event, passive, front) for word in words]

    def sentence(self, event: Event, passive: bool = False, front: str = "") -> list[Word]:
        return [*self.clause(event, passive, front), self.stop()]

    def linked(self, link: str, first: Event, second: Event) -> list[Word]:
        """Two clauses joined by "and", "because" or "so"."""
        return [*self.clause(first), self.word(link), *self.clause(second), self.stop()]

    def question(self, event: Event, ask: str, front: str = "") -> list[Word]:
        """The question for one slot of the event; `front` as in `arranged`."""
        parts = self.constituents(event, False, ask)
        order = moved(self.language.order, front if front in parts else "")
        first = {"agent": "S", "patient": "O", "place": "P", "time": "T"}.get(ask)
        if self.language.wh_first and first:
            order = first + order.replace(first, "")
        return [*(word for key in order for word in parts.get(key, ())), Word("?", "PUNCT")]

    def what_of(self, words: list[Word], link: str) -> list[Word]:
        """ "... so what?" or "... because what?" of a clause or a phrase."""
        return [*words, self.word(link), self.word("what", "wh"), Word("?", "PUNCT")]

    def answer(self, event: Event, ask: str) -> list[Word]:
        """The short answer: the words that fill the slot in the statement."""
        return [word for word in self.clause(event) if word.slot == ask]

    def described(self, entity: Entity, concept: str, place: Entity | None = None) -> list[tuple[str, list[Word]]]:
        """The constituents of "X is a ...", with a place or without, in their order (as `arranged`)."""
        parts = {
            "S": self.phrase(entity, "agent"),
            "O": [self.word(concept, "patient")],
            "V": [self.word("be", "verb")],
            "P": self.oblique("in", self.phrase(place, "place")) if place else [],
        }
        return [(key, parts[key]) for key in self.language.order.replace("T", "") if parts[key]]

    def description(self, entity: Entity, concept: str, place: Entity | None = None) -> list[Word]:
        """ "X is a ...", with a place or without."""
        return [*(word for _, words in self.described(entity, concept, place) for word in words), self.stop()]
