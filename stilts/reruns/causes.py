"""Why each planned job runs: what changed since its result was made, by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stilts.config.models import Config
from stilts.errors import UserError
from stilts.provenance.code import code_files
from stilts.provenance.key import digest_of_parts, read_key
from stilts.provenance.manifest import canonical, is_manifest, sha256
from stilts.provenance.store import Store
from stilts.reruns.difference import Difference, differences
from stilts.reruns.leaves import source_of
from stilts.reruns.records import lost_files

NOT_THERE = "not there (never made, or removed)"


@dataclass(frozen=True)
class Planned:
    """A job that will run. causes: its own; none means only that a job above it runs. kept: the store holds it."""

    rule: str
    wildcards: Mapping[str, str]
    output: str
    causes: tuple[str, ...]
    kept: bool


def planned_jobs(dag: Any, config: Config, project: Path) -> list[Planned]:
    """Return the jobs of Snakemake's plan that make something, each with its causes, in the order of the rules."""
    explain, order = _Explain(dag, config, project), [rule.name for rule in dag.workflow.rules]
    jobs = [explain.job(job) for job in dag.needrun_jobs() if job.output]
    return sorted(jobs, key=lambda job: (order.index(job.rule), job.output))


class _Explain:
    """Explains the jobs of one plan; equal changes are traced to their setting once."""

    def __init__(self, dag: Any, config: Config, project: Path):
        self.dag, self.config, self.project = dag, config, project
        self.store = Store(Path(config.store)) if config.store else None
        self.running = {str(f) for job in dag.needrun_jobs() for f in job.output}
        self.sources: dict[tuple[str, Difference], str] = {}

    def job(self, job: Any) -> Planned:
        """Return one job of the plan with its causes."""
        wildcards, output = dict(job.wildcards_dict), str(job.output[0])
        reason = self.dag.reason(job)
        causes = [NOT_THERE] if reason.missing_output else self._changes(job, wildcards, Path(output).parent)
        causes += self._told(job, reason, causes)
        return Planned(job.rule.name, wildcards, output, tuple(dict.fromkeys(causes)), self._kept(job))

    def _changes(self, job: Any, wildcards: dict[str, str], folder: Path) -> list[str]:
        """Return what differs between the key beside a result and the job that is planned."""
        try:
            key = read_key(folder)
        except UserError as error:
            return [str(error)]
        if key is None or not hasattr(job.params, "spec"):
            return []
        causes = [f"missing: {name}" for name in lost_files(folder)]
        for change in differences(key["spec"], json.loads(job.params.spec)):
            source = self._source(job.rule.name, wildcards, change)
            causes.append(f"{change} ({f'from {source}' if source else '.'.join(change.path)})")
        if key["code"] != job.params.code:
            causes += [f"{what} {name}" for name, what in _edits(key["files"], self._files(job.rule.name)).items()]
        return causes + _upgrades(key["versions"], job.params.versions)

    def _source(self, rule: str, wildcards: dict[str, str], change: Difference) -> str:
        known = (rule, repr(change))
        if known not in self.sources:
            self.sources[known] = source_of(self.config, rule, wildcards, change)
        return self.sources[known]

    def _files(self, rule: str) -> dict[str, str]:
        return code_files(f"scripts.{rule}", self.project)

    def _told(self, job: Any, reason: Any, causes: list[str]) -> list[str]:
        """Return the causes that Snakemake alone knows."""
        told, asked = [], self.dag.workflow.dag_settings
        if reason.forced or reason.incomplete_output:
            forced = asked.forceall or asked.forcetargets or asked.forcerun
            told.append("forced on the command line" if forced else "it was interrupted")
        told += [f"other content: {f}" for f in sorted(map(str, reason.updated_input)) if f not in self.running]
        if reason.input_changed:
            told += self._inputs(job)
        if reason.code_changed:
            told.append(f"the command of rule {job.rule.name} changed")
        if reason.software_stack_changed:
            told.append(f"the environment file of rule {job.rule.name} changed")
        if reason.params_changed and not causes:
            told.append("a folder on its command line changed, or its key.json is from an older version")
        return told

    def _inputs(self, job: Any) -> list[str]:
        """Return the input files that came or went, unless a job that runs makes them."""
        record = self.dag.workflow.persistence.metadata(job.output[0])
        before, now, hashed = set(record.input or []), set(map(str, job.input)), record.input_checksums or {}
        changes = [f"{'other content:' if f in hashed else 'input +'} {f}" for f in sorted(now - before - self.running)]
        changes += [f"input - {f}" for f in sorted(before - now)]
        return changes or (["the order of its input files changed"] if before == now else [])

    def _kept(self, job: Any) -> bool:
        """Whether the store holds the result, as far as that can be told before the jobs above it ran."""
        files = [str(f) for f in job.input]
        if self.store is None or self.running & set(files) or not hasattr(job.params, "spec"):
            return False
        key = key_of_plan(job.rule.name, job.params.spec, job.params.code, job.params.versions, job.input)
        return key is not None and self.store.has(key)


def key_of_plan(rule: str, spec: str, code: str, versions: str, inputs: Any) -> str | None:
    """Return the key a job will have, from its params and Snakemake's named inputs; None while inputs are missing."""
    try:
        return digest_of_parts(rule, canonical(json.loads(spec)), code, versions, named_hashes(inputs))
    except FileNotFoundError:
        return None


def named_hashes(inputs: Any) -> dict[str, list[str]]:
    """Return option -> hashes of its manifests, from Snakemake's named inputs. Raises FileNotFoundError."""
    found = {
        name: [Path(p) for p in ([value] if isinstance(value, str) else value) if is_manifest(Path(p).name)]
        for name, value in inputs.items()
    }
    return {name: [_hash(p) for p in paths] for name, paths in found.items() if paths}


@cache
def _hash_of(path: Path, stamp: int) -> str:
    return sha256(path)


def _hash(path: Path) -> str:
    return _hash_of(path, path.stat().st_mtime_ns)


def _edits(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Return file -> what happened to it."""
    edits = dict.fromkeys(now.keys() - before.keys(), "new file")
    edits |= dict.fromkeys(before.keys() - now.keys(), "no longer used:")
    edits |= {name: "edited:" for name in before.keys() & now.keys() if before[name] != now[name]}
    return dict(sorted(edits.items()))


def _upgrades(before: str, now: str) -> list[str]:
    old, new = (dict(entry.split("==") for entry in text.split()) for text in (before, now))
    names = sorted(old.keys() | new.keys())
    return [f"{n} {old.get(n, '(none)')} -> {new.get(n, '(none)')}" for n in names if old.get(n) != new.get(n)]
