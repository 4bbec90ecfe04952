# What predictions and training cost, counted and measured.
# Inputs: models/, tokens/, data/ (texts). Outputs: counted/, measured/, costs/, costs.csv, training_costs.csv.


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
    threads: not workflow.remote_exec and workflow.resource_settings.cores or CONFIG.runtime.threads
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
        costs=report(
            f"{ROOT}/costs.csv",
            caption="../report/costs.rst",
            category="Costs",
            labels={"table": "costs of predictions"},
        ),
        training=report(
            f"{ROOT}/training_costs.csv",
            caption="../report/training_costs.rst",
            category="Costs",
            labels={"table": "costs of training"},
        ),
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
