"""Progress of long stages: a bar on a terminal, a plain line with ETA every few seconds in a log."""

from __future__ import annotations

import sys
import time

EVERY = 5.0  # seconds between lines in a log


class Progress:
    """Counts steps of one stage. Use as a context manager; `update` takes the steps done and a few figures.

    done: steps that an earlier attempt did.
    """

    def __init__(self, what: str, total: int, done: int = 0):
        self.what, self.total, self.done, self.before = what, total, done, done
        self.start = self.last = time.monotonic()
        self.bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=total, initial=done, desc=what, leave=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error) -> None:
        if self.bar is not None:
            self.bar.close()
        if error[0] is None:
            print(
                f"{self.what}: {self.done} of {self.total} in {time.monotonic() - self.start:.0f} s",
                file=sys.stderr,
                flush=True,
            )

    def update(self, steps: int = 1, **figures: float) -> None:
        """Say that `steps` more are done; figures are shown beside."""
        self.done += steps
        if self.bar is not None:
            self.bar.set_postfix({k: f"{v:.4g}" for k, v in figures.items()}, refresh=False)
            self.bar.update(steps)
            return
        now = time.monotonic()
        if now - self.last < EVERY or self.done == self.before:
            return
        self.last = now
        left = (now - self.start) / (self.done - self.before) * (self.total - self.done)
        shown = "".join(f", {k} {v:.4g}" for k, v in figures.items())
        print(f"{self.what}: {self.done}/{self.total}, {left:.0f} s left{shown}", file=sys.stderr, flush=True)
