# Predictions -> scores.
# Inputs: predictions/ or mined/, data/ (gold). Outputs: scores/.


rule score:
    input:
        predictions=judged_of,
        data=target_data,
    output:
        manifest=f"{ROOT}/scores/{{backbone}}/{{recipe}}/{{target}}/{{point}}/s{{seed}}/manifest.json",
    log:
        f"{ROOT}/logs/score/{{backbone}}/{{recipe}}/{{target}}/{{point}}/s{{seed}}.log",
    benchmark:
        f"{ROOT}/benchmarks/score/{{backbone}}/{{recipe}}/{{target}}/{{point}}/s{{seed}}.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("score"),
        runtime=minutes_of("score"),
    params:
        spec=spec_of("score"),
        code=code_of("score"),
        versions=versions_of("score"),
    message:
        "Score {wildcards.target} after {wildcards.recipe}, seed {wildcards.seed}"
    shell:
        "python -m scripts.score --spec {params.spec:q} --predictions {input.predictions:q} --data {input.data:q} --output {output.manifest:q} > {log:q} 2>&1"
