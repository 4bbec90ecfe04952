"""A model as a plain Hugging Face folder: encoder and head under the names of a transformers class, where one fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from stilts.model.checkpoint import CONFIG, HEAD, copy_tokenizer, load_encoder
from stilts.model.delta import WEIGHTS
from stilts.model.files import read_tensors, write_tensors
from stilts.provenance.manifest import dump_json

# Kind -> the class whose outputs are the head's, and (prefix of ours, prefix of theirs); "" stays as it is.
CLASSES = {
    "pair_classification": ("XLMRobertaForSequenceClassification", [("", "classifier.")]),
    "multiple_choice": (
        "XLMRobertaForMultipleChoice",
        [("dense.", "roberta.pooler.dense."), ("out_proj.", "classifier.")],
    ),
    "token_tagging": ("XLMRobertaForTokenClassification", [("", "")]),
    "span_extraction": ("XLMRobertaForQuestionAnswering", [("", "")]),
    "answer_retrieval": ("XLMRobertaModel", [("dense.", "pooler.dense.")]),
    "entity_retrieval": ("XLMRobertaModel", [("dense.", "pooler.dense.")]),
}
POOLED = {"pair_classification", "multiple_choice", "answer_retrieval", "entity_retrieval"}  # these read `pooling`


@dataclass(frozen=True)
class Exported:
    """What was written: the transformers class, and what of the model it does not hold."""

    name: str
    lost: str = ""


def export(source: Path, folder: Path, base: Path | None, kind: str, labels: list[str], pooling: str) -> Exported:
    """Write config.json, model.safetensors and the tokenizer of a model folder into an existing folder.

    base: manifest of the encoder that a compact model is the difference to. kind, labels, pooling: of the tuned model's
    task; an empty kind where there is no head. Raises UserError as `load_encoder` does.
    """
    encoder, rest = load_encoder(source, base=base)
    config, tensors = encoder.config.to_json(), dict(encoder.state_dict())
    found = Exported("XLMRobertaForMaskedLM" if rest else "XLMRobertaModel")
    more = rest
    if kind:
        head = read_tensors(source / HEAD)
        found, more = _head(kind, head, pooling)
        config |= _labels(kind, head, labels)
        if found.lost:
            write_tensors(folder / HEAD, head)
    if found.name != "XLMRobertaModel":
        tensors = {f"roberta.{k}": v for k, v in tensors.items()}
    (folder / CONFIG).write_text(dump_json(config | {"architectures": [found.name]}), encoding="utf-8")
    write_tensors(folder / WEIGHTS, tensors | more)
    copy_tokenizer(source, folder)
    return found


def _head(kind: str, head: dict[str, Tensor], pooling: str) -> tuple[Exported, dict[str, Tensor]]:
    """Return the class that fits a head, and the head's tensors under the names they have there."""
    name, prefixes = CLASSES[kind]
    if kind in POOLED and pooling != "first":
        return Exported("XLMRobertaModel", f"the head reads the {pooling} state; no class of transformers does"), {}
    named = {
        theirs + k.removeprefix(ours): v for ours, theirs in prefixes for k, v in head.items() if k.startswith(ours)
    }
    lost = "the division of `pooler_output` by its length, and the scale of the training loss"
    return Exported(name, lost if name == "XLMRobertaModel" else ""), named


def _labels(kind: str, head: dict[str, Tensor], labels: list[str]) -> dict:
    """Return the entries of config.json that name a classifier's outputs."""
    if kind not in ("pair_classification", "token_tagging"):
        return {}
    outputs = len(head["out_proj.bias" if kind == "pair_classification" else "classifier.bias"])
    names = labels if len(labels) == outputs else [f"LABEL_{k}" for k in range(outputs)]
    return {"id2label": {str(k): n for k, n in enumerate(names)}, "label2id": {n: k for k, n in enumerate(names)}}
