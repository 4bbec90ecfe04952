"""Snakemake's own plan of a study, without running anything."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from stilts.errors import UserError
from stilts.provenance.code import ROOT
from stilts.reruns.records import lend_records

# As profiles/default sets it (tested): below this size inputs are compared by content.
CHECKSUM_BYTES = 64 * 1000**2
_reading: list[Path] = []


def only_reading() -> bool:
    """Whether the Snakefile is read by `plan_of`: then it must change nothing."""
    return bool(_reading)


class Asked(NamedTuple):
    """What the configuration and the code as they are ask a job for, as its params say it."""

    spec: str
    code: str
    versions: str


def asked_of(configfiles: Sequence[Path], folder: Path, targets: Sequence[str]) -> dict[Path, Asked]:
    """Return the folder of each result of a plan, from `folder`, and what it is asked to be; raises as `plan_of`."""
    with plan_of(configfiles, folder, targets) as plan:
        jobs = [job for job in plan.dag.jobs if job.output and hasattr(job.params, "spec")]
        return {
            Path(str(job.output[0])).parent: Asked(job.params.spec, job.params.code, job.params.versions)
            for job in jobs
        }


@contextmanager
def plan_of(
    configfiles: Sequence[Path],
    folder: Path,
    targets: Sequence[str] = (),
    root: Path = ROOT,
    snakefile: str = "Snakefile",
) -> Iterator[Any]:
    """Yield Snakemake's workflow, planned, of a study whose results lie below `folder`; it answers inside the block.

    Records that a run would restore are lent to the plan; no result, record or lock is changed. Raises UserError with
    Snakemake's message when the workflow cannot be planned.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import WorkflowError
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

    here = os.getcwd()
    _reading.append(folder)
    try:
        config = ConfigSettings(configfiles=[p.resolve() for p in configfiles])
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
            workflow = api.workflow(
                ResourceSettings(cores=1), config, snakefile=root / snakefile, workdir=folder.resolve()
            )
            settings = DAGSettings(targets=set(targets), force_incomplete=True, max_checksum_file_size=CHECKSUM_BYTES)
            workflow.dag(settings)
            plan = workflow._workflow
            # What every read-only command of Snakemake's (--summary, --dag) does, which offers the DAG to nobody.
            plan._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True, nolock=True)
            if "ROOT" in plan.globals:  # else the workflow is a module of another
                lend_records(plan.persistence, Path(plan.globals["ROOT"]))
            plan._build_dag()
            yield plan
    except (WorkflowError, FileNotFoundError) as error:
        raise UserError(str(error)) from None
    finally:
        _reading.pop()
        os.chdir(here)
