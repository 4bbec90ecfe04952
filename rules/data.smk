# Raw files -> examples.
# Inputs: the hub, the user's folder or the mini world (config: provider). Outputs: data/<task>/.


rule make_world:
    output:
        manifest=f"{ROOT}/world/manifest.json",
        tasks=expand("{root}/world/{task}/manifest.json", root=ROOT, task=WORLD_TASKS),
    log:
        f"{ROOT}/logs/make_world.log",
    benchmark:
        f"{ROOT}/benchmarks/make_world.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: 4
    resources:
        mem_mb=memory_of("make_world"),
        runtime=minutes_of("make_world"),
    params:
        spec=spec_of("make_world"),
        code=code_of("make_world"),
        versions=versions_of("make_world"),
    message:
        "Make the mini world (artificial languages, a stand-in)"
    shell:
        "python -m scripts.make_world --spec {params.spec:q} --output {output.manifest:q} --threads {threads} > {log:q} 2>&1"


rule make_translation:
    output:
        manifest=f"{ROOT}/world/{{task}}.{{language}}/manifest.json",
    log:
        f"{ROOT}/logs/make_translation/{{task}}.{{language}}.log",
    benchmark:
        f"{ROOT}/benchmarks/make_translation/{{task}}.{{language}}.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("make_translation"),
        runtime=minutes_of("make_translation"),
    params:
        spec=spec_of("make_translation"),
        code=code_of("make_translation"),
        versions=versions_of("make_translation"),
    message:
        "Say the training rows of {wildcards.task} in {wildcards.language} (mini world)"
    shell:
        "python -m scripts.make_translation --spec {params.spec:q} --output {output.manifest:q} > {log:q} 2>&1"


rule fetch:
    input:
        local=local_files,
    output:
        manifest=f"{ROOT}/raw/{{task}}/manifest.json",
    log:
        f"{ROOT}/logs/fetch/{{task}}.log",
    benchmark:
        f"{ROOT}/benchmarks/fetch/{{task}}.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("fetch"),
        runtime=minutes_of("fetch"),
    params:
        spec=fetched_of("fetch", "raw"),
        code=code_of("fetch"),
        versions=versions_of("fetch"),
        local=local_folder,
    message:
        "Fetch {wildcards.task}"
    shell:
        "python -m scripts.fetch --spec {params.spec:q} --output {output.manifest:q} {params.local} > {log:q} 2>&1"


rule prepare:
    input:
        raw=raw_of,
    output:
        manifest=f"{ROOT}/data/{{task}}/manifest.json",
        training=f"{ROOT}/data/{{task}}/training.manifest.json",
        test=f"{ROOT}/data/{{task}}/test.manifest.json",
    log:
        f"{ROOT}/logs/prepare/{{task}}.log",
    benchmark:
        f"{ROOT}/benchmarks/prepare/{{task}}.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("prepare"),
        runtime=minutes_of("prepare"),
    params:
        spec=spec_of("prepare"),
        code=code_of("prepare"),
        versions=versions_of("prepare"),
    message:
        "Prepare examples of {wildcards.task}"
    shell:
        "python -m scripts.prepare --spec {params.spec:q} --raw {input.raw:q} --output {output.manifest:q} > {log:q} 2>&1"
