# Examples -> tokens, once a tokenizer.
# Inputs: data/<task>/. Outputs: tokenizers/<backbone>/, tokens/<backbone>/<task>/.


rule train_tokenizer:
    input:
        text=corpus_data,
    output:
        manifest=f"{ROOT}/tokenizers/{{backbone}}/manifest.json",
    log:
        f"{ROOT}/logs/train_tokenizer/{{backbone}}.log",
    benchmark:
        f"{ROOT}/benchmarks/train_tokenizer/{{backbone}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("train_tokenizer"),
        runtime=minutes_of("train_tokenizer"),
    params:
        spec=spec_of("train_tokenizer"),
        code=code_of("train_tokenizer"),
        versions=versions_of("train_tokenizer"),
    message:
        "Learn the vocabulary of {wildcards.backbone}"
    shell:
        "python -m scripts.train_tokenizer --spec {params.spec:q} --text {input.text:q} --output {output.manifest:q} > {log:q} 2>&1"


rule tokenize:
    input:
        data=f"{ROOT}/data/{{task}}/manifest.json",
        tokenizer=tokenizer_of,
    output:
        manifest=f"{ROOT}/tokens/{{backbone}}/{{task}}/manifest.json",
        training=f"{ROOT}/tokens/{{backbone}}/{{task}}/training.manifest.json",
        test=f"{ROOT}/tokens/{{backbone}}/{{task}}/test.manifest.json",
    log:
        f"{ROOT}/logs/tokenize/{{backbone}}/{{task}}.log",
    benchmark:
        f"{ROOT}/benchmarks/tokenize/{{backbone}}/{{task}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("tokenize"),
        runtime=minutes_of("tokenize"),
    params:
        spec=spec_of("tokenize"),
        code=code_of("tokenize"),
        versions=versions_of("tokenize"),
    message:
        "Tokenise {wildcards.task} for {wildcards.backbone}"
    shell:
        "python -m scripts.tokenize --spec {params.spec:q} --data {input.data:q} --tokenizer {input.tokenizer:q} --output {output.manifest:q} > {log:q} 2>&1"
