"""The one exception for mistakes a user can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A user's mistake: the message says what is wrong, where, and what to do. Shown without a traceback."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``' Did you mean "x"?'`` for the closest known word, or the empty string."""
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1, cutoff=0.6)
    return f' Did you mean "{close[0]}"?' if close else ""
