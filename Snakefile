# STILTs on XTREME under an inference budget. Front door: configuration, stages, targets.
# One rule shape everywhere; rule name = script name = log name. See docs/architecture.md.

from snakemake.utils import min_version

min_version("9.27")


# An experiment file (--configfile experiments/<name>.yaml) is complete: what it does not name takes its default.
if "experiment" not in config:

    configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/tokens.smk"
include: "rules/models.smk"
include: "rules/predictions.smk"
include: "rules/scores.smk"
include: "rules/report.smk"


localrules:
    all,
    data,
    models,
    scores,


rule all:
    default_target: True
    input:
        f"{ROOT}/report/manifest.json",
        f"{ROOT}/tables/manifest.json",


rule data:
    input:
        all_tokens(),


rule models:
    input:
        all_models(),


rule scores:
    input:
        all_scores(),


onstart:
    start_worker()


onsuccess:
    finish(True)


onerror:
    finish(False)
