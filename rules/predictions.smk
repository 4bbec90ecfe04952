# Tuned model -> predictions; encoder -> embeddings -> mined pairs. One model load covers every language.
# Inputs: models/, tokens/, data/. Outputs: predictions/, embeddings/, mined/.


rule predict:
    input:
        model=tuned_of,
        base=base_of,
        tokens=target_tokens,
        data=target_data,
        dev_tokens=dev_tokens,
        dev_data=dev_data,
    output:
        manifest=f"{ROOT}/predictions/{{backbone}}/{{recipe}}/{{target}}/{{point}}/s{{seed}}/manifest.json",
    log:
        f"{ROOT}/logs/predict/{{backbone}}/{{recipe}}/{{target}}/{{point}}/s{{seed}}.log",
    benchmark:
        f"{ROOT}/benchmarks/predict/{{backbone}}/{{recipe}}/{{target}}/{{point}}/s{{seed}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: CONFIG.runtime.threads
    resources:
        gpu=gpus_of("predict"),
        mem_mb=memory_of("predict"),
        runtime=minutes_of("predict"),
        batch_tokens=CONFIG.runtime.tokens_per_batch,
    params:
        spec=spec_of("predict"),
        code=code_of("predict"),
        versions=versions_of("predict"),
    message:
        "Predict {wildcards.target} after {wildcards.recipe} at {wildcards.point}, seed {wildcards.seed}"
    shell:
        "python -m scripts.predict --spec {params.spec:q} --model {input.model:q} --tokens {input.tokens:q} --data {input.data:q} --dev-tokens {input.dev_tokens:q} --dev-data {input.dev_data:q} --base {input.base:q} --output {output.manifest:q} --threads {threads} --gpus {resources.gpu} --tokens-per-batch {resources.batch_tokens} > {log:q} 2>&1"


rule embed:
    input:
        model=embedder_of,
        base=base_of,
        tokens=target_tokens,
        dev_tokens=embed_dev_tokens,
    output:
        manifest=f"{ROOT}/embeddings/{{backbone}}/{{recipe}}/{{target}}/{{point}}/s{{seed}}/manifest.json",
    log:
        f"{ROOT}/logs/embed/{{backbone}}/{{recipe}}/{{target}}/{{point}}/s{{seed}}.log",
    benchmark:
        f"{ROOT}/benchmarks/embed/{{backbone}}/{{recipe}}/{{target}}/{{point}}/s{{seed}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: CONFIG.runtime.threads
    resources:
        gpu=gpus_of("embed"),
        mem_mb=memory_of("embed"),
        runtime=minutes_of("embed"),
        batch_tokens=CONFIG.runtime.tokens_per_batch,
    params:
        spec=spec_of("embed"),
        code=code_of("embed"),
        versions=versions_of("embed"),
    message:
        "Embed {wildcards.target} after {wildcards.recipe}, seed {wildcards.seed}"
    shell:
        "python -m scripts.embed --spec {params.spec:q} --model {input.model:q} --tokens {input.tokens:q} --dev-tokens {input.dev_tokens:q} --base {input.base:q} --output {output.manifest:q} --threads {threads} --gpus {resources.gpu} --tokens-per-batch {resources.batch_tokens} > {log:q} 2>&1"


rule mine:
    input:
        embeddings=f"{ROOT}/embeddings/{{backbone}}/{{recipe}}/{{target}}/{{point}}/s{{seed}}/manifest.json",
        data=mine_data,
    output:
        manifest=f"{ROOT}/mined/{{backbone}}/{{recipe}}/{{target}}/{{point}}/s{{seed}}/manifest.json",
    log:
        f"{ROOT}/logs/mine/{{backbone}}/{{recipe}}/{{target}}/{{point}}/s{{seed}}.log",
    benchmark:
        f"{ROOT}/benchmarks/mine/{{backbone}}/{{recipe}}/{{target}}/{{point}}/s{{seed}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("mine"),
        runtime=minutes_of("mine"),
        mining_mb=CONFIG.runtime.mining_memory_mb,
    params:
        spec=spec_of("mine"),
        code=code_of("mine"),
        versions=versions_of("mine"),
    message:
        "Mine {wildcards.target} after {wildcards.recipe}, seed {wildcards.seed}"
    shell:
        "python -m scripts.mine --spec {params.spec:q} --embeddings {input.embeddings:q} --data {input.data:q} --output {output.manifest:q} --memory {resources.mining_mb} > {log:q} 2>&1"
