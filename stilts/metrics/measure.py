"""What a metric returns, and which protocols and metrics a task of each kind is scored by."""

from __future__ import annotations

from typing import NamedTuple

from stilts.tasks.spec import SWEPT_KINDS

STANDARD = "standard"
TAG_ACCURACY, XTREME_F1, SEQEVAL_F1 = "accuracy", "xtreme-f1", "seqeval-f1"
MAP20, FULL_MAP, MRR20 = "sentence-map20", "sentence-map", "mrr20"
# Protocols of ranked candidates, the headline first: XTREME-R's metric, then the one of LAReQA's own paper.
RANKED = {"answer_retrieval": (MAP20, FULL_MAP), "entity_retrieval": (MRR20,)}


class Measure(NamedTuple):
    """One value of one metric, in percent, over n test examples (sentences, questions, queries)."""

    metric: str
    value: float
    n: int
    higher_is_better: bool = True


def layer_protocol(layer: int, pooling: str, variant: str = "") -> str:
    """Return the protocol of retrieval from one hidden state (0 is the embedding layer): `full-layer14-mean`."""
    return f"{variant}{'-' if variant else ''}layer{layer}-{pooling}"


def layer_of(protocol: str) -> tuple[int, str]:
    """Return (layer, pooling) of a retrieval protocol; raises ValueError for any other name."""
    number, _, pooling = protocol[protocol.index("layer") :].removeprefix("layer").partition("-")
    return int(number), pooling


def headline_protocol(kind: str, layer: int, pooling: str, variant: str = "") -> str:
    """Return the protocol that enters averages over targets: XTREME's own where there are several."""
    if kind in SWEPT_KINDS:
        return layer_protocol(layer, pooling, variant)
    if kind in RANKED:
        return RANKED[kind][0]
    return XTREME_F1 if kind == "token_tagging" else STANDARD


def metrics_of(kind: str, protocol: str) -> tuple[str, ...]:
    """Return the metrics whose mean is the task score: F1 and exact match for question answering, else one."""
    if kind == "span_extraction":
        return ("f1", "exact_match")
    if kind in RANKED:
        return (protocol.partition("map" if "map" in protocol else "mrr")[1],)
    return ("f1",) if kind == "bitext_mining" or protocol in (XTREME_F1, SEQEVAL_F1) else ("accuracy",)


def protocols_of(kind: str) -> tuple[str, ...]:
    """Return the protocols scored for a kind, those with one for each layer embedded aside."""
    if kind in RANKED:
        return RANKED[kind]
    return (XTREME_F1, TAG_ACCURACY, SEQEVAL_F1) if kind == "token_tagging" else (STANDARD,)
