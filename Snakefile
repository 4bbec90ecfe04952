# STILTs on XTREME under an inference budget. Front door: configuration, stages, targets.
# One rule shape everywhere; rule name = script name = log name. See docs/architecture.md.

from snakemake.utils import min_version

min_version("9.27")


# An experiment file (--configfile experiments/<name>.yaml) is complete: what it does not name takes its default.
if NAMELESS := "experiment" not in config:

    configfile: workflow.source_path("config.yaml")


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/session.smk"
include: "rules/inputs.smk"
include: "rules/resources.smk"
include: "rules/data.smk"
include: "rules/tokens.smk"
include: "rules/models.smk"
include: "rules/predictions.smk"
include: "rules/scores.smk"
include: "rules/budget.smk"
include: "rules/claims.smk"
include: "rules/report.smk"
include: "rules/targets.smk"


rule all:
    default_target: True
    input:
        f"{ROOT}/report/manifest.json",
        f"{ROOT}/tables/manifest.json",
        f"{ROOT}/scores.csv",
        f"{ROOT}/costs/manifest.json",
        f"{ROOT}/curves/manifest.json",
        f"{ROOT}/claims/manifest.json",
        all_scores,
    message:
        "All results are there"


onstart:
    hold_lock()
    explain()
    look_when_a_job_ends()
    start_worker()


onsuccess:
    finish(True)


onerror:
    finish(False)
