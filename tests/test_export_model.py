"""Exported models: transformers loads them, computes what ours compute, and the card says what they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
import yaml

from scripts import export_model
from stilts.metrics.table import Score
from stilts.model.checkpoint import save_encoder, save_head
from stilts.model.export import export
from stilts.model.heads import build_head
from stilts.provenance.key import Key
from stilts.provenance.manifest import canonical, sha256, write_manifest
from stilts.report.model_card import card
from tests.engine_case import padded, random_encoder, random_flat, settings, tiny_config
from tests.study_case import TINY

KINDS = {
    "pair_classification": (["same", "other", "neither"], 3),
    "multiple_choice": ([], 3),
    "token_tagging": (["ADJ", "NOUN"], 2),
    "span_extraction": ([], 0),
    "answer_retrieval": ([], 0),
}


def model_of(kind: str, folder: Path, pooling: str = "first", base: Path | None = None):
    """Save a random encoder and head of a kind; return them, ready to predict."""
    encoder = random_encoder(tiny_config(), seed=1).eval()
    torch.manual_seed(2)
    head = build_head(kind, encoder.config, KINDS[kind][1], pooling, 0.0).eval()
    save_encoder(folder, encoder, base=base)
    save_head(folder, head)
    return encoder, head


@pytest.mark.parametrize("compact", [False, True], ids=["full", "compact"])
@pytest.mark.parametrize("kind", KINDS)
def test_transformers_computes_the_same(tmp_path, kind, compact):
    save_encoder(tmp_path / "base", random_encoder(tiny_config(), seed=5))
    base = write_manifest(tmp_path / "base") if compact else None
    encoder, head = model_of(kind, tmp_path / "m", base=base)
    labels = KINDS[kind][0]
    (tmp_path / "out").mkdir()
    found = export(tmp_path / "m", tmp_path / "out", base, kind, labels, "first")
    model, loading = getattr(transformers, found.name).from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    if labels:
        assert [model.config.id2label[k] for k in range(len(labels))] == labels
    lengths = [4, 9, 2, 6, 5, 3]
    ids, layout = random_flat(encoder.config, lengths)
    block, mask = padded(ids, layout)
    with torch.no_grad():
        ours = head(encoder(ids, layout), layout)
        if kind == "multiple_choice":
            theirs = model(block.view(2, 3, -1), attention_mask=mask.view(2, 3, -1)).logits
        else:
            out = model.eval()(block, attention_mask=mask)
            theirs = {
                "pair_classification": lambda: out.logits,
                "token_tagging": lambda: out.logits[mask.bool()],
                "span_extraction": lambda: torch.stack([out.start_logits, out.end_logits], -1)[mask.bool()],
                "answer_retrieval": lambda: torch.nn.functional.normalize(out.pooler_output, dim=1),
            }[kind]()
    torch.testing.assert_close(ours, theirs, atol=5e-6, rtol=1e-5)


def test_a_head_that_no_class_has_lies_beside_the_encoder(tmp_path):
    encoder, _ = model_of("pair_classification", tmp_path / "m", "mean")
    (tmp_path / "out").mkdir()
    found = export(tmp_path / "m", tmp_path / "out", None, "pair_classification", ["a", "b", "c"], "mean")
    assert (found.name, "mean state" in found.lost) == ("XLMRobertaModel", True)
    assert (tmp_path / "out" / "head.safetensors").read_bytes() == (tmp_path / "m" / "head.safetensors").read_bytes()
    model = transformers.AutoModel.from_pretrained(tmp_path / "out", add_pooling_layer=False)
    assert torch.equal(model.embeddings.word_embeddings.weight, encoder.embeddings.word_embeddings.weight)


def test_the_card_of_a_model_from_the_hub_names_repositories_and_commits(tmp_path):
    """Keys as jobs write them, from the model back to what was fetched; data that changed since are not named."""

    def result(name: str, rule: str, spec: dict, facts: dict, *read: str) -> None:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        write_manifest(folder, facts)
        paths = [Path(r, "manifest.json") for r in read]
        entries = [(p.as_posix(), sha256(tmp_path / p)) for p in paths]
        (folder / "key.json").write_text(Key(rule, canonical(spec), {}, "torch==0", {"in": entries}).dump())

    home = "results/paper"
    commit = "0" * 40
    xnli, mnli = ({"task": {"task": t}} for t in ("xnli", "mnli"))
    result(f"{home}/models/pretrained/x/fetched", "fetch_backbone", {}, {"repository": "a/b", "revision": commit})
    result(f"{home}/raw/xnli", "fetch", xnli, {"repository": "facebook/xnli", "revision": commit})
    result(f"{home}/raw/mnli", "fetch", mnli, {"repository": "org/other", "revision": commit})
    for task in ("xnli", "mnli"):
        result(f"{home}/data/{task}", "prepare", {"task": {"task": task}}, {}, f"{home}/raw/{task}")
    spec = {"task": {"task": "xnli"}, "settings": settings(epochs=2), "seed": 3}
    model = f"{home}/models/target/x/none/xnli/dfull/s3"
    read = (f"{home}/models/pretrained/x/fetched", f"{home}/data/xnli", f"{home}/data/mnli")
    result(model, "train_target", spec, {}, *read)
    (tmp_path / home / "data/mnli/manifest.json").write_text("{}")
    score = Score("paper", "x", "none", "xnli", "a|b", "sw", "dfull-lfull-fp32", 3, "accuracy", 71.234, 5010, True)
    text = card(Path(model), tmp_path, "pair_classification", "XLMRobertaForSequenceClassification", "", [score])
    front = yaml.safe_load(text.split("---\n")[1])
    assert (front["base_model"], front["datasets"]) == ("a/b", ["facebook/xnli"])
    assert f"| xnli | facebook/xnli | {commit} | CC BY-NC 4.0 |" in text
    assert "| xnli@a\\|b | dfull-lfull-fp32 | sw | accuracy | 71.23 | 5010 |" in text
    assert "epochs 2" in text
    assert "org/other" not in text
    assert "say nothing" not in text


def run(finished: Path, name: str, *more: str) -> int:
    return export_model.main([name, "--configfile", str(TINY), "--directory", str(finished), *more])


def test_a_model_of_a_study_and_its_card(finished, tmp_path, capsys):
    name = "models/target/mini/multi/pawsx/dfull/s1"
    assert run(finished, name, "--output", str(tmp_path / "out")) == 0
    assert "XLMRobertaForSequenceClassification" in capsys.readouterr().out
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    logits = model(**tokenizer("a b", "c", return_tensors="pt")).logits.detach().numpy()
    assert np.isfinite(logits).all()
    text = (tmp_path / "out" / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["pipeline_tag"] == "text-classification"
    assert front["license"] == "other"
    assert "Its scores say nothing about XLM-R" in text
    for line in (
        "| recipe multi | squad1, hellaswag |",
        "| target | pawsx |",
        "| pretraining | masked LM | steps 20,",
        "| hellaswag | the workflow's mini world (artificial languages) |",
        "| pawsx@",
    ):
        assert line in text, line
    scores = [line for line in (finished / "results/tiny/scores.csv").read_text().splitlines() if ",pawsx," in line]
    wanted = [line for line in scores if ",multi," in line and ",dfull-" in line and line.split(",")[7] == "1"]
    assert text.count("\n| pawsx@") == len(wanted) > 0
    key = json.loads((finished / "results/tiny" / name / "key.json").read_text())
    assert key["key"] in text
    assert str(finished) not in text


def test_an_encoder_and_what_is_refused(finished, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(finished, "results/tiny/models/intermediate/mini/multi/s1", "--output", str(out)) == 0
    transformers.AutoModel.from_pretrained(out, add_pooling_layer=False)
    assert "## Scores" not in (out / "README.md").read_text()
    assert run(finished, "models/intermediate/mini/multi/s1", "--output", str(out)) == 2
    assert "is there already" in capsys.readouterr().err
    for name in ("models/target/nothing", "data/pawsx", "../etc"):
        assert run(finished, name, "--output", str(tmp_path / "no")) == 2
        assert "there is no finished model in" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
