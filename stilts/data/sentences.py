"""Sentence breaks of running text, for question answering data that state none (LAReQA's training on SQuAD)."""

from __future__ import annotations

import re

# What ends a sentence: with white space behind it, or of scripts that write none.
END = re.compile(r"[.!?؟।॥]+[\"'”’»)\]]*(?=\s)|[。！？]+[」』”’）]*")
# Words whose full stop ends no sentence, lower case and without it.
ABBREVIATIONS = (
    "mr mrs ms dr prof st mt ft gen gov sen rep lt col sgt capt cmdr adm maj rev hon pres vs no nos vol pp fig eq ca "
    "cf approx c e.g i.e u.s u.k viz al jan feb mar apr jun jul aug sept sep oct nov dec"
)
LAST_WORD = re.compile(r"([\w.]+)\.$")


def sentence_breaks(text: str) -> list[tuple[int, int]]:
    """Return the character spans [start, end) of the sentences of a text, without the blanks between them.

    A sentence ends at a closing mark, but not at the full stop of an initial or a usual abbreviation. Every character
    that is not blank lies in exactly one span.
    """
    spans, start = [], 0
    for found in END.finditer(text):
        if not _abbreviated(text[start : found.end()]):
            spans.append((start, found.end()))
            start = found.end()
    spans.append((start, len(text)))
    return [span for span in (_trimmed(text, *s) for s in spans) if span[0] < span[1]]


def _abbreviated(sentence: str) -> bool:
    word = LAST_WORD.search(sentence)
    return bool(word) and (word[1].lower() in ABBREVIATIONS.split() or (len(word[1]) == 1 and word[1].isupper()))


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
