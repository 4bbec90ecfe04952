# The functions of the rules: from a validated configuration to specs, digests and the environment of jobs.

import shlex
import sys
from functools import cache
from inspect import signature
from pathlib import Path

PROJECT = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parent
sys.path.insert(0, str(PROJECT))

from snakemake.exceptions import WorkflowError

from stilts.config.files import check_configfile
from stilts.config.load import load_config
from stilts.config.specs import Specs
from stilts.config.study import Study
from stilts.errors import UserError
from stilts.provenance.attempts import FOLDER, MINUTES
from stilts.provenance.code import code_digest
from stilts.provenance.environment import environment_digest
from stilts.provenance.manifest import canonical
from stilts.provenance.store import GPUS, VARIABLE, Store
from stilts.reruns.lock import release_stale
from stilts.reruns.pins import with_pins
from stilts.reruns.plan import only_reading
from stilts.reruns.records import restore_records

# Jobs run `python -m scripts.<rule>` from any folder, by the Python that runs Snakemake, in the resident worker if it
# is up (start_worker), in place of the shell, which would not outlive a signal. A prefix is no rerun trigger.
PYTHON = shlex.quote(sys.executable)
CLIENT = shlex.quote(str(PROJECT / "stilts" / "worker" / "client.py"))
JOB_ENVIRONMENT = f"PYTHONPATH={shlex.quote(str(PROJECT))} PYTHONHASHSEED=0 OMP_NUM_THREADS=1 RAYON_NUM_THREADS=1"
if workflow.remote_exec:  # on a node of a cluster; what is downloaded, rules beside Snakemake download
    JOB_ENVIRONMENT += " HF_HUB_OFFLINE=1"
RUN_PYTHON = f'python() {{ exec {PYTHON} -S -E {CLIENT} "$@"; }}'


def or_stop(make, *args):
    """Return make(*args); a user's mistake stops the workflow with its message alone."""
    try:
        return make(*args)
    except UserError as error:
        raise WorkflowError(str(error)) from None


# What the mini world holds; a task that no arm reads costs nothing further.
WORLD_TASKS = (
    "anli bucc bucc_gold ccg copa cosmosqa csqa hellaswag lareqa mewslix mlm_text mlqa mnli panx panx_r pawsx "
    "qqp siqa snli squad1 squad2 tatoeba tatoeba_r tydiqa udpos xcopa xnli xquad".split()
)
for path in workflow.configfiles:
    or_stop(check_configfile, Path(path), NAMELESS)
STUDY = or_stop(lambda: Study(load_config(config)))
for line in STUDY.notes if workflow.is_main_process else []:
    print(f"note: {line}", file=sys.stderr)
SPECS = Specs(STUDY)
CONFIG = STUDY.config
ROOT = STUDY.root
if workflow.is_main_process and not only_reading():
    release_stale()
    restore_records(Path(ROOT))
if workflow.local_exec and "gpu" in workflow.global_resources:  # `runtime.gpu_share` jobs at a time on each
    here = workflow.global_resources["gpu"].value
    workflow.global_resources["gpu"] = here * CONFIG.runtime.gpu_share
STORE = Store(Path(CONFIG.store)) if CONFIG.store else None
JOB_STORE = f"{VARIABLE}={shlex.quote(CONFIG.store or '')} {GPUS}={CONFIG.runtime.gpus}"
CHECKPOINTS = str(Path(CONFIG.runtime.checkpoints).expanduser())
JOB_CHECKPOINTS = f"{FOLDER}={shlex.quote(CHECKPOINTS)} {MINUTES}={CONFIG.runtime.checkpoint_minutes:g}"
shell.prefix(
    f"export {JOB_ENVIRONMENT} {JOB_STORE} {JOB_CHECKPOINTS}; {RUN_PYTHON}; ".replace("{", "{{").replace("}", "}}")
)


wildcard_constraints:
    task=r"[\w.+-]+",
    language=r"[\w-]+",
    backbone=r"[\w.+-]+",
    recipe=r"[\w.+-]+",
    target=r"[\w.+-]+",
    depth=r"full|\d+",
    point=r"d\w+-l\w+-\w+",
    benchmark=r"\w+",
    seed=r"\d+",


def spec_of(rule):
    """Return a param: the canonical spec of a rule for the wildcards that its method of `Specs` asks for."""
    method, names = getattr(SPECS, rule), list(signature(getattr(SPECS, rule)).parameters)

    @cache  # Snakemake asks again at every round of its scheduler
    def made(*values):
        return canonical(or_stop(method, *values))

    return lambda wildcards: made(*values_of(names, wildcards))


def values_of(names, wildcards):
    """Return some wildcards, a seed as a number."""
    return [int(getattr(wildcards, name)) if name == "seed" else getattr(wildcards, name) for name in names]


def fetched_of(rule, place, below=""):
    """Return a param: the spec of a fetch, with a pin of tasks/revisions.lock.yaml that its data do not have yet."""
    method = getattr(SPECS, rule)

    def spec(wildcards):
        (name,) = values_of(signature(method).parameters, wildcards)
        folder, lock = Path(ROOT) / place / name / below, PROJECT / "tasks" / "revisions.lock.yaml"
        return canonical(or_stop(with_pins, method(name), folder, lock))

    return spec


def code_of(rule):
    """Return a param: the digest of all project code the rule's script can run."""
    return or_stop(code_digest, f"scripts.{rule}", PROJECT)


def versions_of(rule):
    """Return a param: the locked versions that can change the rule's result."""
    return or_stop(environment_digest, rule, PROJECT)
