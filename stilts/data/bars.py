"""Progress of the hub client's downloads: its own bars on a terminal, a plain line every few seconds in a log."""

from __future__ import annotations

import re
import sys
import time

EVERY = 5.0  # seconds between lines in a log
CURSOR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\r\n]")  # how bars move about on a terminal


class Lines:
    """A stream that turns the bars a program draws over each other into single lines."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def write(self, text: str) -> int:
        """Print what a bar shows now, unless something was printed a moment ago."""
        shown = CURSOR.sub("", text).strip()
        if shown and time.monotonic() - self.last >= EVERY:
            self.last = time.monotonic()
            print(shown, file=sys.stderr, flush=True)
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


def bar_class() -> type | None:
    """Return the bar that the client shall draw: None (its own) on a terminal, else one that prints lines."""
    if sys.stderr.isatty():
        return None
    from huggingface_hub.utils import tqdm

    stream = Lines()

    class LineBar(tqdm):
        def __init__(self, *args, **options):
            super().__init__(*args, **{**options, "file": stream, "leave": False, "ncols": 100})

    return LineBar
