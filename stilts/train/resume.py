"""Go on with a run that was stopped or killed: its state is saved now and then and at a signal, and put back.

A checkpoint is one file `<run>-<step>-<digits of its sha256>.safetensors` in the job's folder
(stilts/provenance/attempts.py). On the CPU a run that went on from one ends in the same bytes as one that was never
stopped.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from safetensors import safe_open

from stilts.provenance.attempts import Attempts
from stilts.train.state import State
from stilts.train.tensorfile import PART, SUFFIX, as_tensor, as_text, is_whole, write_tensors

KEPT = 2  # checkpoints of a job that are kept: one more than needed, in case the last is damaged
WORTH = 5.0  # seconds of work that are saved at a signal; less is sooner done again
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
ECHO = 1.0  # seconds in which a second signal is the first one on another way (Ctrl-C reaches all processes of a run)


class Checkpoints:
    """The checkpoints of a job, whose runs (a chain of tasks has several) follow one another.

    Without a folder (`Attempts()`) nothing is saved and no signal is listened to.
    """

    def __init__(self, attempts: Attempts | None = None):
        self.attempts = attempts or Attempts()
        self.folder = self.attempts.folder
        self.ended: list[dict[str, Any]] = []  # what the runs before this one counted
        self.histories: dict[str, Path] = {}
        self.saved, self.last = time.monotonic(), None  # when, and (run, step)
        self.heard, self.since = None, 0.0  # the signal, and when
        self.found, self.path = self._newest()
        self.files = [self.path] if self.path else []  # those that hold, oldest first
        if self.found:
            self.attempts.number = self.found["attempts"] + 1
            self.attempts.earlier, self.attempts.resumed = self.found["seconds"], self.found["numbers"]["step"]
            self.last = (len(self.found["ended"]), self.attempts.resumed)

    def _newest(self) -> tuple[dict[str, Any] | None, Path | None]:
        """Return the newest checkpoint that holds, as its facts and its path; say so of those that do not."""
        try:
            if self.folder is None or not self.folder.is_dir() or not self._ours():
                return None, None
        except OSError as error:
            print(f"note: {self.folder} cannot be used ({error.strerror or error})", file=sys.stderr)
            return None, None
        paths = sorted(self.folder.glob(f"*{SUFFIX}"), reverse=True)
        for path in paths:
            facts, fault = self._read(path)
            if not fault:
                return facts, path
            print(f"note: the checkpoint {path} is {fault}: it is not used", file=sys.stderr)
        if paths:
            print("note: no checkpoint can be used: training starts over", file=sys.stderr)
        return None, None

    def _read(self, path: Path) -> tuple[dict[str, Any], str]:
        """Return the facts of a checkpoint, and what is wrong with it ("" if nothing)."""
        try:
            if not is_whole(path):
                return {}, "damaged"
            with safe_open(path, framework="pt") as file:
                facts = json.loads(as_text(file.get_tensor("facts")))
        except OSError as error:
            return {}, f"unreadable ({error.strerror or error})"
        except Exception:  # safetensors and json each have their own
            return {}, "damaged"
        return facts, "" if facts.get("key") == self.attempts.key else "another job's"

    def _ours(self) -> bool:
        """Whether this job may use its folder; without it, it goes on and saves nothing."""
        if not self.attempts.hold():
            print(f"note: another job uses {self.folder}: this one saves no checkpoints", file=sys.stderr)
            self.folder = None
        return self.folder is not None

    @contextmanager
    def run(self, state: State, history: Path) -> Iterator[TextIO]:
        """Put the next run where it was left (one that had ended: at its end); yield its history, to append to."""
        number, name = len(self.ended), history.name
        self.histories[name] = history
        text = ""
        if self.found and number <= len(self.found["ended"]):
            with safe_open(self.path, framework="pt") as file:
                text = as_text(file.get_tensor(f"history.{name}"))
            state.count_on([*self.found["ended"], self.found["numbers"]][number])
            if number == len(self.found["ended"]):
                state.put_back(self.path, self.found)
                print(f"goes on from step {state.step} ({self.path.name})", file=sys.stderr, flush=True)
        history.write_text(text, encoding="utf-8")
        # What is ignored here stays ignored (nohup), but for SIGUSR1, which the processes around a SLURM job ignore.
        heeded = [n for n in SIGNALS if n == signal.SIGUSR1 or signal.getsignal(n) is not signal.SIG_IGN]
        listening = heeded if self.folder is not None else []
        before = {n: signal.signal(n, self._hear) for n in listening}
        try:
            with history.open("a", encoding="utf-8") as self.log:
                yield self.log
        finally:
            for n, handler in before.items():
                signal.signal(n, handler)
        self.ended.append(state.numbers())

    def after_step(self, state: State, steps: int) -> None:
        """Save when it is time. After a signal, save what is worth it and end the process with one message.

        The last step of a run is not saved: what it is for follows.
        """
        if state.step == steps:
            return
        due = self.attempts.interval if self.heard is None else min(WORTH, self.attempts.interval)
        if self.folder is not None and time.monotonic() - self.saved >= due:
            self._save(state)
        if self.heard is not None:
            name = signal.Signals(self.heard).name
            print(f"error: stopped by {name} at step {state.step} of {steps}; {self._way_on(state)}", file=sys.stderr)
            raise SystemExit(128 + self.heard)

    def _way_on(self, state: State) -> str:
        """Return what a next attempt will do, in words."""
        if self.last is None:
            return "nothing was saved, the same command starts over"
        run, step = self.last
        if self.last == (len(self.ended), state.step):
            return "the same command goes on from there"
        return f"the same command goes on from step {step}" + (" of the task before" if run < len(self.ended) else "")

    def _save(self, state: State) -> None:
        """Write a checkpoint, remove all but the last two; a full disk costs a message, and the old ones stay."""
        self.saved = time.monotonic()
        self.log.flush()
        known = {"key": self.attempts.key, "what": self.attempts.what, "attempts": self.attempts.number}
        facts = {**known, "seconds": self.attempts.seconds(), "ended": self.ended, **state.facts()}
        tensors = {**state.moved(), **state.drawn(), "facts": as_tensor(json.dumps(facts))}
        tensors |= {f"history.{k}": as_tensor(v.read_text(encoding="utf-8")) for k, v in self.histories.items()}
        try:
            self.files = [path for path in self.files if path.is_file()]  # whoever needed room may have deleted some
            self.last = self.last if self.files else None
            if not self._ours():
                return
            for part in self.folder.glob(f"*{PART}"):  # of an attempt that was killed while it wrote
                part.unlink()
            self.files.append(write_tensors(self.folder, f"{len(self.ended):02d}-{state.step:09d}", tensors))
            for path in {*self.folder.glob(f"*{SUFFIX}")} - {*self.files[-KEPT:]}:
                path.unlink()
        except OSError as error:
            older = "the one before it stays" if self.last else "there is none yet"
            reason = error.strerror or error
            print(f"note: no checkpoint at step {state.step} in {self.folder} ({reason}); {older}", file=sys.stderr)
        else:
            self.last, self.saved = (len(self.ended), state.step), time.monotonic()

    def _hear(self, number: int, _: Any) -> None:
        """Note a signal for the end of the step; a second one ends the process at once."""
        if self.heard is None:
            self.heard, self.since = number, time.monotonic()
        elif time.monotonic() - self.since > ECHO:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
