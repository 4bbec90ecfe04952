# Scores -> tables -> figures -> report.
# Inputs: every score of the grid. Outputs: scores.csv, tables/, figures/, report/, checked/, submission/.


rule summarise:
    input:
        scores=all_scores,
    output:
        manifest=f"{ROOT}/tables/manifest.json",
        scores=report(
            f"{ROOT}/scores.csv",
            caption="../report/scores.rst",
            category="Scores",
            labels={"table": "every score"},
        ),
    log:
        f"{ROOT}/logs/summarise.log",
    benchmark:
        f"{ROOT}/benchmarks/summarise.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("summarise"),
        runtime=minutes_of("summarise"),
    params:
        folder=subpath(output.scores, strip_suffix=".csv"),
        spec=spec_of("summarise"),
        code=code_of("summarise"),
        versions=versions_of("summarise"),
    message:
        "Summarise all scores"
    shell:
        "python -m scripts.summarise --spec {params.spec:q} --scores {params.folder:q} --scores-csv {output.scores:q} --output {output.manifest:q} > {log:q} 2>&1"


rule figures:
    input:
        tables=f"{ROOT}/tables/manifest.json",
        curves=f"{ROOT}/curves/manifest.json",
        claims=f"{ROOT}/claims/manifest.json",
        costs=f"{ROOT}/costs/manifest.json",
        models=drawn_models,
    output:
        manifest=f"{ROOT}/figures/manifest.json",
    log:
        f"{ROOT}/logs/figures.log",
    benchmark:
        f"{ROOT}/benchmarks/figures.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("figures"),
        runtime=minutes_of("figures"),
    params:
        folder=folder_of("models"),
        spec=spec_of("figures"),
        code=code_of("figures"),
        versions=versions_of("figures"),
    message:
        "Draw the figures"
    shell:
        "python -m scripts.figures --spec {params.spec:q} --tables {input.tables:q} --curves {input.curves:q} --claims {input.claims:q} --costs {input.costs:q} --models {params.folder:q} --output {output.manifest:q} > {log:q} 2>&1"


rule report:
    input:
        tables=f"{ROOT}/tables/manifest.json",
        curves=f"{ROOT}/curves/manifest.json",
        claims=f"{ROOT}/claims/manifest.json",
        costs=f"{ROOT}/costs/manifest.json",
        figures=f"{ROOT}/figures/manifest.json",
        raw=fetched,
        data=all_data,
    output:
        manifest=f"{ROOT}/report/manifest.json",
    log:
        f"{ROOT}/logs/report.log",
    benchmark:
        f"{ROOT}/benchmarks/report.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("report"),
        runtime=minutes_of("report"),
    params:
        spec=spec_of("report"),
        code=code_of("report"),
        versions=versions_of("report"),
    message:
        "Write the report"
    shell:
        "python -m scripts.report --spec {params.spec:q} --tables {input.tables:q} --curves {input.curves:q} --claims {input.claims:q} --costs {input.costs:q} --figures {input.figures:q} --raw {input.raw:q} --data {input.data:q} --output {output.manifest:q} > {log:q} 2>&1"


rule check:
    input:
        tables=f"{ROOT}/tables/manifest.json",
    output:
        manifest=f"{ROOT}/checked/manifest.json",
    log:
        f"{ROOT}/logs/check.log",
    benchmark:
        f"{ROOT}/benchmarks/check.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("check"),
        runtime=minutes_of("check"),
    params:
        spec=spec_of("check"),
        code=code_of("check"),
        versions=versions_of("check"),
    message:
        "Compare with published numbers"
    shell:
        "python -m scripts.check --spec {params.spec:q} --tables {input.tables:q} --output {output.manifest:q} 2>&1 | tee {log:q}"


rule submission:
    input:
        all_submissions,


rule export:
    input:
        predictions=submitted_of,
        data=submitted_data,
        tables=choice_of,
    output:
        manifest=f"{ROOT}/submission/{{benchmark}}/{{backbone}}/{{recipe}}/{{point}}/s{{seed}}/manifest.json",
    log:
        f"{ROOT}/logs/export/{{benchmark}}/{{backbone}}/{{recipe}}/{{point}}/s{{seed}}.log",
    benchmark:
        f"{ROOT}/benchmarks/export/{{benchmark}}/{{backbone}}/{{recipe}}/{{point}}/s{{seed}}.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("export"),
        runtime=minutes_of("export"),
    params:
        spec=spec_of("export"),
        code=code_of("export"),
        versions=versions_of("export"),
    message:
        "Write the {wildcards.benchmark} submission of {wildcards.recipe}, seed {wildcards.seed}"
    shell:
        "python -m scripts.export --spec {params.spec:q} --predictions {input.predictions:q} --data {input.data:q} --tables {input.tables:q} --output {output.manifest:q} > {log:q} 2>&1"
