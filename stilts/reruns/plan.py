"""Snakemake's own plan of a study, without running anything."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stilts.errors import UserError
from stilts.provenance.code import ROOT

# As profiles/default sets it (tested): below this size inputs are compared by content.
CHECKSUM_BYTES = 64 * 1000**2


@contextmanager
def plan_of(
    configfiles: Sequence[Path],
    folder: Path,
    targets: Sequence[str] = (),
    root: Path = ROOT,
    snakefile: str = "Snakefile",
) -> Iterator[Any]:
    """Yield Snakemake's workflow, planned, of a study whose results lie below `folder`; it answers inside the block.

    Raises UserError with Snakemake's message when the workflow cannot be planned.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import WorkflowError
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

    here = os.getcwd()
    config = ConfigSettings(configfiles=[p.resolve() for p in configfiles])
    try:
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
            workflow = api.workflow(
                ResourceSettings(cores=1), config, snakefile=root / snakefile, workdir=folder.resolve()
            )
            settings = DAGSettings(targets=set(targets), force_incomplete=True, max_checksum_file_size=CHECKSUM_BYTES)
            workflow.dag(settings)
            plan = workflow._workflow
            # What every read-only command of Snakemake's (--summary, --dag) does, which offers the DAG to nobody.
            plan._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True, nolock=True)
            plan._build_dag()
            yield plan
    except (WorkflowError, FileNotFoundError) as error:
        raise UserError(str(error)) from None
    finally:
        os.chdir(here)
