# Parts of a study to ask for by name: `make reproduce ARGS="scores"`.


rule scores:
    input:
        all_scores,
    message:
        "All scores are there"


rule models:
    input:
        all_models,
    message:
        "All models are there"


rule data:
    input:
        all_tokens,
    message:
        "All data are tokenised"
