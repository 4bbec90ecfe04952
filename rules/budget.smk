# What predictions and training cost, counted and measured.
# Inputs: models/, tokens/, data/ (texts). Outputs: counted/, measured/, costs/, costs.csv, training_costs.csv.

from types import SimpleNamespace

from stilts.budget.training import any_arm


def folder_of(name):
    """Return a param: a folder of the experiment; as a function of `input` a path is no rerun trigger."""
    return lambda wildcards, input: f"{ROOT}/{name}"


def all_counted(wildcards=None):
    """Return what costs are counted from: every training run of the grid, and the tests of every target."""
    backbones, places = CONFIG.grid.backbones, SPECS.trained_places()
    tokens = [tokens_of(b, t, "test.") for b in backbones for t in CONFIG.grid.targets]
    return [*(f"{ROOT}/models/{place}/manifest.json" for place in places), *tokens]


def measured_models(wildcards):
    """Return a model of each depth that a target is measured at; recipes and seeds cost the same."""
    recipe, seed = any_arm(CONFIG.grid.recipes, CONFIG.grid.seeds)
    depths = dict.fromkeys(p.split("-")[0] for p in STUDY.points_of(wildcards.target))
    arm = {"backbone": wildcards.backbone, "target": wildcards.target, "recipe": recipe, "seed": seed}
    return [embedder_of(SimpleNamespace(**arm, point=f"{d}-lfull-fp32")) for d in depths]


def all_measured(wildcards=None):
    """Return the measured costs of every target, where they are asked for."""
    pairs = [(b, t) for b in CONFIG.grid.backbones for t in CONFIG.grid.targets if CONFIG.budget.measure]
    return [f"{ROOT}/measured/{b}/{t}/manifest.json" for b, t in pairs]


rule count_costs:
    input:
        made=all_counted,
    output:
        manifest=f"{ROOT}/counted/manifest.json",
    log:
        f"{ROOT}/logs/count_costs.log",
    benchmark:
        f"{ROOT}/benchmarks/count_costs.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("count_costs"),
        runtime=minutes_of("count_costs"),
    params:
        models=folder_of("models"),
        tokens=folder_of("tokens"),
        spec=spec_of("count_costs"),
        code=code_of("count_costs"),
        versions=versions_of("count_costs"),
    message:
        "Count what predictions and training cost"
    shell:
        "python -m scripts.count_costs --spec {params.spec:q} --models {params.models:q} --tokens {params.tokens:q} --output {output.manifest:q} > {log:q} 2>&1"


rule profile_budget:
    input:
        models=measured_models,
        tokens=target_tokens,
        data=target_data,
        tokenizer=tokenizer_of,
    output:
        manifest=f"{ROOT}/measured/{{backbone}}/{{target}}/manifest.json",
    log:
        f"{ROOT}/logs/profile_budget/{{backbone}}/{{target}}.log",
    benchmark:
        f"{ROOT}/benchmarks/profile_budget/{{backbone}}/{{target}}.tsv"
    conda:
        "../envs/train.yaml"
    # Alone on the machine: a neighbour would be measured as well. On a cluster, what the job asked for.
    threads: not workflow.remote_exec and workflow.cores or CONFIG.runtime.threads
    resources:
        gpu=CONFIG.runtime.gpus,
        mem_mb=memory_of("profile_budget"),
        runtime=minutes_of("profile_budget"),
    params:
        spec=spec_of("profile_budget"),
        code=code_of("profile_budget"),
        versions=versions_of("profile_budget"),
    message:
        "Measure the budget points of {wildcards.target} on {wildcards.backbone}"
    shell:
        "python -m scripts.profile_budget --spec {params.spec:q} --models {input.models:q} --tokens {input.tokens:q} --data {input.data:q} --tokenizer {input.tokenizer:q} --output {output.manifest:q} > {log:q} 2>&1"


rule costs:
    input:
        counted=f"{ROOT}/counted/manifest.json",
        measured=all_measured,
    output:
        manifest=f"{ROOT}/costs/manifest.json",
        costs=f"{ROOT}/costs.csv",
        training=f"{ROOT}/training_costs.csv",
    log:
        f"{ROOT}/logs/costs.log",
    benchmark:
        f"{ROOT}/benchmarks/costs.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("costs"),
        runtime=minutes_of("costs"),
    params:
        models=folder_of("models"),
        spec=spec_of("costs"),
        code=code_of("costs"),
        versions=versions_of("costs"),
    message:
        "Join the costs"
    shell:
        "python -m scripts.costs --spec {params.spec:q} --counted {input.counted:q} --models {params.models:q} --measured {input.measured:q} --costs-csv {output.costs:q} --training-costs-csv {output.training:q} --output {output.manifest:q} > {log:q} 2>&1"
