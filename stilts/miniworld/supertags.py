"""Lexical categories of combinatory categorial grammar (CCG) for the sentences of any language of the world.

They follow CCGbank's conventions, without features: atoms S, NP, N; a verb takes the nearest argument first and, of
two as near, its object; what stands at the left of a clause is S/S, at the right of a verb phrase (S\\NP)\\(S\\NP); N
becomes NP by itself. The categories of every statement derive S by application alone (tests/test_miniworld_tags.py).
"""

from __future__ import annotations

from stilts.miniworld.grammar import Speaker, Word

Arranged = list[tuple[str, list[Word]]]
Tagged = list[tuple[Word, str]]
LEFT, RIGHT = "\\", "/"


def _category(result: str, slash: str, argument: str) -> str:
    """The category `result slash argument`, parts in parentheses where they are no atoms."""
    return slash.join(f"({part})" if set(part) & set("\\/") else part for part in (result, argument))


def modifier(of: str, slash: str) -> str:
    """What modifies a category standing at its right ("/") or left ("\\\\")."""
    return _category(of, slash, of)


class _Frame:
    """The frame of one clause: where its verb and arguments stand, and what is left of S when some are taken."""

    def __init__(self, keys: list[str], passive: bool) -> None:
        self.keys = keys
        self.verb = keys.index("V")
        self.places = {key: keys.index(key) for key in ("S", *(() if passive else ("O",)))}

    def rest(self, taken: set[str]) -> str:
        """The verb's category without the arguments taken."""
        # The nearest argument is taken first, so it is written last; of two as near, the object.
        near = sorted(self.places, key=lambda key: (abs(self._steps(key)), key != "O"))
        category = "S"
        for key in reversed([key for key in near if key not in taken]):
            category = _category(category, LEFT if self._steps(key) < 0 else RIGHT, "NP")
        return category

    def _steps(self, key: str) -> int:
        """How many arguments off the verb one stands: negative at its left."""
        place = self.places[key]
        low, high = sorted((place, self.verb))
        between = sum(low < other < high for other in self.places.values())
        return (between + 1) * (1 if place > self.verb else -1)

    def phrase(self) -> set[str]:
        """The arguments inside the verb phrase: all but a subject at the left of the verb."""
        return {key for key in self.places if not (key == "S" and self.places["S"] < self.verb)}

    def adjunct(self, place: int) -> str:
        """The category of an adjunct at a place: it modifies what follows it, or the verb phrase before it."""
        if place < self.verb:
            return modifier(self.rest({key for key, at in self.places.items() if at > place}), RIGHT)
        return modifier(self.rest(self.phrase()), LEFT)

    def particle(self, before: bool) -> str:
        """The category of a particle beside the verb, before or after it."""
        if before:
            return modifier(self.rest({key for key, at in self.places.items() if at > self.verb}), RIGHT)
        return modifier(self.rest({key for key in self.phrase() if self.places[key] < self.verb}), LEFT)


def clause_categories(speaker: Speaker, arranged: Arranged, passive: bool = False) -> Tagged:
    """The words of a clause with their categories; arranged: as `Speaker.arranged` or `Speaker.described` gives it."""
    frame = _Frame([key for key, _ in arranged], passive)
    tagged: Tagged = []
    for place, (key, words) in enumerate(arranged):
        if key == "V":
            at = next(i for i, word in enumerate(words) if word.slot == "verb")
            tagged += [(word, frame.rest(set()) if i == at else frame.particle(i < at)) for i, word in enumerate(words)]
        elif key in frame.places:
            tagged += _phrase(words)
        elif key == "T":
            tagged += [(word, frame.adjunct(place)) for word in words]
        else:
            tagged += _oblique(speaker, words, frame.adjunct(place))
    return tagged


def _phrase(words: list[Word]) -> Tagged:
    """A noun phrase: counts and attributes modify the noun, the parts of a name its last one."""
    heads = [i for i, word in enumerate(words) if not word.slot.endswith(("_count", "_attribute"))]
    tagged = []
    for i, word in enumerate(words):
        side = RIGHT if i < heads[-1] else LEFT
        tagged.append((word, "N" if i == heads[-1] else modifier("N", side)))
    return tagged


def _oblique(speaker: Speaker, words: list[Word], category: str) -> Tagged:
    """An adposition with its noun phrase."""
    if speaker.language.preposition:
        return [(words[0], _category(category, RIGHT, "NP")), *_phrase(words[1:])]
    return [*_phrase(words[:-1]), (words[-1], _category(category, LEFT, "NP"))]


def linked_categories(speaker: Speaker, first: Tagged, link: str, second: Tagged) -> Tagged:
    """Two clauses joined by a conjunction."""
    return [*first, (speaker.word(link), "conj" if link == "and" else "(S\\S)/S"), *second]
