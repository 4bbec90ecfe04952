"""One run in one folder: what was asked for, what ran, what came out, for it and all jobs that it came from.

It holds no weights and no data. Nothing in it names a path of the machine: inputs are called by their place from the
folder that holds results/, and paths in logs and options are cut down to their last part.
"""

from __future__ import annotations

import csv
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stilts.compare.runs import git_state, short_commit
from stilts.errors import UserError
from stilts.metrics.table import Score, read_scores, write_scores
from stilts.provenance.key import read_key
from stilts.provenance.manifest import KEY, MANIFEST, RUN, SPEC, dump_json, is_manifest
from stilts.results import PLACES, place_of

KEPT = (SPEC, RUN)  # beside manifests, keys and histories
ENVIRONMENT = ("requirements.lock", "torch.txt")
# A path of two parts or more that begins at the root; the slashes of URLs and of relative paths follow something.
PATH = re.compile(r"""(?<![\w.:/~>-])~?(?:/[^\s"':,;()<>/]+)+/([^\s"':,;()<>/]*)""")

README = """# {place}

One run and the {others} jobs that it came from.{commit}

- `jobs/<place>/`: of each job `spec.json`, every setting that can change its result; `key.json`, that and the
  fingerprints of its code, packages and inputs; `manifest.json`, size and sha256 of every file of its result;
  `run.json`, machine, versions, seconds; `log.txt`; of training `history.jsonl`, its curve.
- `code.csv`: every file of the project's code that the jobs could run, with its fingerprint.
- `environment/`: the locked packages.
- `scores.csv`: the {scores} scores of this run.{also}

A result made again from the same key has the same sha256 in its manifest (on a CPU).

| job | rule | key |
|---|---|---|
{rows}
"""


def bundle(folder: Path, directory: Path, project: Path, output: Path) -> int:
    """Write the bundle of a result to a folder that is not there yet; return how many jobs it holds.

    folder: the result, from `directory`, which holds results/. Raises UserError where it or what it came from is gone.
    """
    jobs = dict(_jobs(folder, directory))
    known = (str(directory.resolve()), str(project), sys.prefix, str(Path.home()))
    for place, key in jobs.items():
        _copy_job(directory / place, output / "jobs" / place, key, known)
        log = log_of(directory, place, key["rule"])
        if log.is_file():
            text = scrubbed(log.read_text(encoding="utf-8", errors="replace"), known)
            (output / "jobs" / place / "log.txt").write_text(text, encoding="utf-8")
    code = [[key["rule"], file, mark] for key in jobs.values() for file, mark in key["files"].items()]
    rows = sorted({tuple(row) for row in code})
    with (output / "code.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("rule", "file", "fingerprint"), *rows])
    (output / "environment").mkdir()
    for name in ENVIRONMENT:
        shutil.copyfile(project / "envs" / name, output / "environment" / name)
    scores = list(_scores(directory / folder, experiment_folder(directory / folder)))
    write_scores(output / "scores.csv", scores)
    card = directory / "results/exported" / _name_of(folder)[0] / _name_of(folder)[1] / "README.md"
    if card.is_file():
        shutil.copyfile(card, output / "MODEL_CARD.md")
    (output / "README.md").write_text(
        _readme(folder, jobs, scores, git_state(project), card.is_file()), encoding="utf-8"
    )
    return len(jobs)


def experiment_folder(folder: Path) -> Path:
    """Return the folder of the experiment that a result lies in; raises UserError where it lies in none."""
    for parent in folder.parents:
        if parent.parent.name == "results":
            return parent
    raise UserError(f"{folder} does not lie below results/<experiment>/")


def _jobs(folder: Path, directory: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield (place, key) of a result and of all that it came from, each once."""
    waiting, seen = [folder], set()
    while waiting:
        place = waiting.pop()
        if place.is_absolute() or ".." in place.parts or not (directory / place / MANIFEST).is_file():
            raise UserError(f"{place} is no finished result of this experiment, or what it came from is gone")
        # The mini world is one job with a folder for each task.
        place = next((p for p in (place, place.parent) if (directory / p / KEY).is_file()), place)
        if place in seen:
            continue
        seen.add(place)
        key = read_key(directory / place)
        if key is None:
            raise UserError(f"{directory / place / KEY} is missing or of an older version: run the workflow again")
        yield place, key
        paths = [Path(path) for entries in key["inputs"].values() for path, _ in entries]
        waiting += [p.parent for p in paths if is_manifest(p.name)]


def _copy_job(source: Path, target: Path, key: Mapping[str, Any], known: tuple[str, ...]) -> None:
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if path.name in KEPT or is_manifest(path.name) or path.match("history*.jsonl"):
            shutil.copyfile(path, target / path.name)
    said = {name: [scrubbed(value, known) for value in values] for name, values in key["options"].items()}
    (target / KEY).write_text(dump_json({**key, "options": said}), encoding="utf-8")


def log_of(directory: Path, place: Path, rule: str) -> Path:
    """Return the log of the job that made a result."""
    root = experiment_folder(directory / place)
    parts = (directory / place).relative_to(root).parts
    below = parts[len(parts) - len(PLACES.get("/".join(parts[:2]), PLACES.get(parts[0], ()))) :]
    return root.joinpath("logs", rule, *below[:-1], f"{below[-1]}.log") if below else root / "logs" / f"{rule}.log"


def scrubbed(text: str, known: tuple[str, ...] = ()) -> str:
    """Return a text without the machine's paths; of each the last part stays. known: folders that may hold spaces."""
    for path in sorted(known, key=len, reverse=True):
        text = text.replace(path, "<path>") if len(path) > 1 else text
    return PATH.sub(lambda found: f"<path>/{found[1]}", text)


def _scores(folder: Path, root: Path) -> Iterator[Score]:
    """Yield the scores of the experiment that a run belongs to: those of its backbone, recipe, target, depth, seed."""
    run = place_of(folder, root)
    if not {"backbone", "seed"} <= run.keys():
        return
    for path in sorted((root / "scores").rglob(MANIFEST)):
        score = place_of(path.parent, root)
        score["depth"] = score["point"].split("-")[0].removeprefix("d")
        if all(score.get(name, value) == value for name, value in run.items() if name != "place"):
            yield from read_scores(path.parent / "scores.csv")


def _name_of(folder: Path) -> tuple[str, str]:
    """Return experiment and name of a run; of a model the name that `make export-model` gives its folder."""
    at = folder.parts.index("results")
    parts = folder.parts[at + 2 :]
    return folder.parts[at + 1], "-".join(parts[1:] if parts[0] == "models" else parts)


def _readme(folder: Path, jobs: Mapping[Path, Any], scores: list[Score], seen: Mapping[str, Any], card: bool) -> str:
    """Return what a stranger needs to know."""
    rows = "\n".join(f"| {place.as_posix()} | {key['rule']} | `{key['key'][:12]}` |" for place, key in jobs.items())
    commit = f" Bundled from commit {short_commit(seen)}" if seen else ""
    commit += " (`+`: with uncommitted changes)." if seen.get("dirty") else "." * bool(seen)
    also = "\n- `MODEL_CARD.md`: the card of the exported model." if card else ""
    return README.format(
        place=folder.as_posix(), others=len(jobs) - 1, commit=commit, scores=len(scores), also=also, rows=rows
    )
