# Scores and costs -> what a budget buys -> claims.
# Inputs: every score of the grid's recipes, counted/ or costs/. Outputs: curves/, claims/, curves.csv, claims.csv.


rule curves:
    input:
        scores=recipe_scores,
        costs=costs_of_axis,
    output:
        manifest=f"{ROOT}/curves/manifest.json",
        curves=report(
            f"{ROOT}/curves.csv",
            caption="../report/curves.rst",
            category="Budgets",
            labels={"table": "scores at a budget"},
        ),
    log:
        f"{ROOT}/logs/curves.log",
    benchmark:
        f"{ROOT}/benchmarks/curves.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("curves"),
        runtime=minutes_of("curves"),
    params:
        folder=folder_of("scores"),
        spec=spec_of("curves"),
        code=code_of("curves"),
        versions=versions_of("curves"),
    message:
        "Draw the score over the budget"
    shell:
        "python -m scripts.curves --spec {params.spec:q} --scores {params.folder:q} --costs {input.costs:q} --curves-csv {output.curves:q} --output {output.manifest:q} > {log:q} 2>&1"


rule claims:
    input:
        scores=recipe_scores,
        costs=costs_of_axis,
    output:
        manifest=f"{ROOT}/claims/manifest.json",
        claims=report(
            f"{ROOT}/claims.csv",
            caption="../report/claims.rst",
            category="Budgets",
            labels={"table": "claims"},
        ),
    log:
        f"{ROOT}/logs/claims.log",
    benchmark:
        f"{ROOT}/benchmarks/claims.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("claims"),
        runtime=minutes_of("claims"),
    params:
        folder=folder_of("scores"),
        spec=spec_of("claims"),
        code=code_of("claims"),
        versions=versions_of("claims"),
    message:
        "Test the claims"
    shell:
        "python -m scripts.claims --spec {params.spec:q} --scores {params.folder:q} --costs {input.costs:q} --claims-csv {output.claims:q} --output {output.manifest:q} > {log:q} 2>&1"
