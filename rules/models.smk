# Tokens -> encoder (recipe) -> tuned model (target).
# Inputs: tokens/, data/ (source-language dev). Outputs: models/{pretrained,random-init,intermediate,target}/.


rule fetch_backbone:
    input:
        local=local_weights,
    output:
        manifest=f"{ROOT}/models/pretrained/{{backbone}}/fetched/manifest.json",
    log:
        f"{ROOT}/logs/fetch_backbone/{{backbone}}.log",
    benchmark:
        f"{ROOT}/benchmarks/fetch_backbone/{{backbone}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("fetch_backbone"),
        runtime=minutes_of("fetch_backbone"),
    params:
        spec=fetched_of("fetch_backbone", "models/pretrained", "fetched"),
        code=code_of("fetch_backbone"),
        versions=versions_of("fetch_backbone"),
        local=local_folder,
    message:
        "Fetch the weights of {wildcards.backbone}"
    shell:
        "python -m scripts.fetch_backbone --spec {params.spec:q} --output {output.manifest:q} {params.local} > {log:q} 2>&1"


rule pretrain:
    input:
        tokens=corpus_tokens,
        tokenizer=tokenizer_of,
    output:
        manifest=f"{ROOT}/models/pretrained/{{backbone}}/s{{seed}}/manifest.json",
    log:
        f"{ROOT}/logs/pretrain/{{backbone}}/s{{seed}}.log",
    benchmark:
        f"{ROOT}/benchmarks/pretrain/{{backbone}}/s{{seed}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: lambda wildcards: threads_of(STUDY, "pretrain", wildcards)
    resources:
        gpu=gpus_of("pretrain"),
        mem_mb=memory_of("pretrain"),
        runtime=minutes_of("pretrain"),
    params:
        spec=spec_of("pretrain"),
        code=code_of("pretrain"),
        versions=versions_of("pretrain"),
    message:
        "Pretrain {wildcards.backbone}, seed {wildcards.seed} (progress: {log})"
    shell:
        "python -m scripts.pretrain --spec {params.spec:q} --tokens {input.tokens:q} --tokenizer {input.tokenizer:q} --output {output.manifest:q} --threads {threads} --gpus {resources.gpu} > {log:q} 2>&1"


rule randomise:
    input:
        encoder=pretrained_of,
    output:
        manifest=f"{ROOT}/models/random-init/{{backbone}}/s{{seed}}/manifest.json",
    log:
        f"{ROOT}/logs/randomise/{{backbone}}/s{{seed}}.log",
    benchmark:
        f"{ROOT}/benchmarks/randomise/{{backbone}}/s{{seed}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("randomise"),
        runtime=minutes_of("randomise"),
    params:
        spec=spec_of("randomise"),
        code=code_of("randomise"),
        versions=versions_of("randomise"),
    message:
        "Make the random-init control of {wildcards.backbone}, seed {wildcards.seed}"
    shell:
        "python -m scripts.randomise --spec {params.spec:q} --encoder {input.encoder:q} --output {output.manifest:q} > {log:q} 2>&1"


rule train_intermediate:
    input:
        encoder=start_of,
        tokens=recipe_tokens,
        data=recipe_data,
        translated=translated_tokens,
        text=text_tokens,
        base=base_of,
    output:
        manifest=f"{ROOT}/models/intermediate/{{backbone}}/{{recipe}}/s{{seed}}/manifest.json",
    log:
        f"{ROOT}/logs/train_intermediate/{{backbone}}/{{recipe}}/s{{seed}}.log",
    benchmark:
        f"{ROOT}/benchmarks/train_intermediate/{{backbone}}/{{recipe}}/s{{seed}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: CONFIG.runtime.threads
    resources:
        gpu=gpus_of("train_intermediate"),
        mem_mb=memory_of("train_intermediate"),
        runtime=minutes_of("train_intermediate"),
    params:
        spec=spec_of("train_intermediate"),
        code=code_of("train_intermediate"),
        versions=versions_of("train_intermediate"),
    message:
        "Train {wildcards.backbone} on {wildcards.recipe}, seed {wildcards.seed}"
    shell:
        "python -m scripts.train_intermediate --spec {params.spec:q} --encoder {input.encoder:q} --tokens {input.tokens:q} --data {input.data:q} --translated {input.translated:q} --text {input.text:q} --base {input.base:q} --output {output.manifest:q} --threads {threads} --gpus {resources.gpu} > {log:q} 2>&1"


rule train_target:
    input:
        encoder=encoder_of,
        tokens=train_tokens,
        dev_tokens=dev_tokens,
        dev_data=dev_data,
        chain_tokens=chain_tokens,
        chain_data=chain_data,
        base=base_of,
    output:
        manifest=f"{ROOT}/models/target/{{backbone}}/{{recipe}}/{{target}}/d{{depth}}/s{{seed}}/manifest.json",
    log:
        f"{ROOT}/logs/train_target/{{backbone}}/{{recipe}}/{{target}}/d{{depth}}/s{{seed}}.log",
    benchmark:
        f"{ROOT}/benchmarks/train_target/{{backbone}}/{{recipe}}/{{target}}/d{{depth}}/s{{seed}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: CONFIG.runtime.threads
    resources:
        gpu=gpus_of("train_target"),
        mem_mb=memory_of("train_target"),
        runtime=minutes_of("train_target"),
    params:
        spec=spec_of("train_target"),
        code=code_of("train_target"),
        versions=versions_of("train_target"),
    message:
        "Tune {wildcards.recipe} on {wildcards.target}, depth {wildcards.depth}, seed {wildcards.seed}"
    shell:
        "python -m scripts.train_target --spec {params.spec:q} --encoder {input.encoder:q} --tokens {input.tokens:q} --dev-tokens {input.dev_tokens:q} --dev-data {input.dev_data:q} --chain-tokens {input.chain_tokens:q} --chain-data {input.chain_data:q} --base {input.base:q} --output {output.manifest:q} --threads {threads} --gpus {resources.gpu} > {log:q} 2>&1"
