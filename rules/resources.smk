# What a job asks a cluster for, as functions of its work and of how the attempts before it ended. No site is named here:
# a profile says where jobs run. Nothing below is a rerun trigger.

from stilts.plan.seconds import Rates
from stilts.plan.work import GPU_RULES, Works, threads_of
from stilts.provenance.ends import KILLED, STOPPED, ends_of
from stilts.reruns.causes import key_of_plan


# What needs the network, or only a moment, runs where Snakemake runs.
localrules:
    make_world,
    make_translation,
    fetch,
    fetch_backbone,
    prepare,
    score,
    count_costs,
    costs,
    curves,
    claims,
    summarise,
    figures,
    report,
    check,
    export,


WORKS, RATES = Works(STUDY, Path(ROOT)), Rates()
LEAST, ROOM = 10, 4  # minutes that any job gets; how many times slower than stated a machine may be


def before_of(rule):
    """Return a function: how the attempts at a job ended in this run of Snakemake; there are none before the first."""
    spec, code, versions = spec_of(rule), code_of(rule), versions_of(rule)

    def ends(wildcards, input, attempt):
        if attempt == 1:
            return []
        return ends_of(Path(CHECKPOINTS), key_of_plan(rule, spec(wildcards), code, versions, input))

    return ends


def gpus_of(rule):
    """Return a resource: the GPUs a job asks for. What the store holds already asks for none."""
    spec, code, versions = spec_of(rule), code_of(rule), versions_of(rule)

    def gpus(wildcards, input):
        if not CONFIG.runtime.gpus or STORE is None:
            return CONFIG.runtime.gpus
        key = key_of_plan(rule, spec(wildcards), code, versions, input)
        return 0 if key and STORE.has(key) else CONFIG.runtime.gpus

    return gpus


def memory_of(rule):
    """Return a resource: MB by the size of model and data, twice as many after each attempt that was killed."""
    ends = before_of(rule)

    def mem_mb(wildcards, input, attempt):
        size = WORKS.of(rule, wildcards).memory * 2 ** ends(wildcards, input, attempt).count(KILLED)
        return -(-int(size) // 500) * 500

    return mem_mb


def minutes_of(rule):
    """Return a resource: minutes by the work over a stated rate, with room; twice as many after each time limit."""
    ends = before_of(rule)

    def runtime(wildcards, input, attempt):
        work, gpus = WORKS.of(rule, wildcards), CONFIG.runtime.gpus if rule in GPU_RULES else 0
        seconds = ROOM * RATES.stated(work, gpus, threads_of(STUDY, rule, wildcards))
        return (LEAST + int(seconds / 60)) * 2 ** ends(wildcards, input, attempt).count(STOPPED)

    return runtime
