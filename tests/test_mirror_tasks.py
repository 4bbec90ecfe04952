"""Every data set of the folder with real data: fetched, prepared, tokenised, trained on or evaluated; faults recounted.

Needs the folder that lies beside some clones (conftest.hub_mirror); skipped without it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from engine_case import random_encoder, settings, tiny_config
from hub_fixture import facts, run, spec_of
from hub_server import HubServer

import scripts.fetch
import scripts.prepare
from stilts.metrics.judge import judge
from stilts.predict.records import predict, read_examples
from stilts.tasks.spec import TaskSpec
from stilts.tokens.build import build_tokens
from stilts.tokens.sequences import Items
from stilts.tokens.store import TokenSplit
from stilts.tokens.tokenizer import Tokenizer, precompiled_charsmap, train_sentencepiece, write_tokenizer
from stilts.train.loop import train
from stilts.train.plan import make_plan
from stilts.train.setup import Sources, make_head, make_part

XQUAD = "ar de el en es hi ru th tr vi zh".split()  # noqa: SIM905
TRANSLATED = "et ht id it sw ta th tr vi zh".split()  # noqa: SIM905
HELD = "af ar de en hi th vi zh".split()  # noqa: SIM905
# Case -> task, languages (None: the task's own), and what of its source is changed to read this part of the mirror.
CASES = {
    "google/xtreme PAWS-X": (
        "pawsx",
        None,
        {"splits": {"train": "train", "validation": "validation", "test": "validation"}},
    ),
    "google/xtreme udpos": ("udpos", HELD, {}),
    "google/xtreme udpos dev": ("udpos", ["af", "de", "en", "vi", "zh"], {"splits": {"test": "validation"}}),
    "google/xtreme tatoeba": ("tatoeba", None, {}),
    "google/xtreme SQuAD": ("squad1", [], {"id": "google/xtreme", "config": "SQuAD"}),
    "google/xtreme XQuAD": ("xquad", XQUAD, {"id": "google/xtreme", "config": "XQuAD.{language}", "revision": None}),
    "google/xtreme tydiqa": ("tydiqa", ["en", "ko", "sw"], {"id": "google/xtreme", "config": "tydiqa"}),
    "mteb/tatoeba-bitext-mining": (
        "tatoeba",
        "mteb",
        {"id": "mteb/tatoeba-bitext-mining", "config": "{language}-eng", "splits": {"test": "test"}, "aliases": {}},
    ),
    "google/xquad": ("xquad_r", None, {}),
    "google-research-datasets/xquad_r": (
        "xquad",
        XQUAD,
        {"id": "google-research-datasets/xquad_r", "config": "{language}", "revision": None},
    ),
    "google-research-datasets/tydiqa": ("tydiqa", ["en", "ko", "sw"], {}),
    "cambridgeltl/xcopa": ("xcopa", None, {"splits": {"test": "test"}}),
    "cambridgeltl/xcopa dev": ("xcopa", None, {"splits": {"test": "validation"}}),
    "cambridgeltl/xcopa translated": (
        "xcopa",
        TRANSLATED,
        {"config": "translation-{language}", "splits": {"test": "test"}},
    ),
    "cambridgeltl/xcopa translated dev": (
        "xcopa",
        TRANSLATED,
        {"config": "translation-{language}", "splits": {"test": "validation"}},
    ),
    "aps/super_glue": ("copa", [], {}),
    "lighteval/siqa": ("siqa", [], {}),
    "stanfordnlp/snli": ("snli", [], {}),
    "nyu-mll/glue": ("mnli", [], {}),
    "rajpurkar/squad": ("squad1", [], {}),
    "Rowan/hellaswag": ("hellaswag", [], {}),
    "allenai/cosmos_qa": ("cosmosqa", [], {}),
    "tau/commonsense_qa": ("csqa", [], {}),
    "raw/mlm_text": ("mlm_text", None, {}),
}
# Files of the mirror that no task reads, and why: labels that are hidden, and training data in other languages.
UNREAD = ("aps/super_glue/copa/test", "tau/commonsense_qa/data/test", "/train")


@pytest.fixture(scope="module")
def place(hub_mirror, tmp_path_factory):
    """Return (folder, server, tokenizer); the tokenizer knows all scripts of the mirror."""
    folder = tmp_path_factory.mktemp("mirror")
    lines = [
        line
        for path in sorted((hub_mirror / "raw" / "mlm_text").glob("*.txt"))
        for line in path.read_text(encoding="utf-8").split("\n")[:150]
    ]
    model = folder / "tokenizer" / "sentencepiece.bpe"
    model.parent.mkdir()
    pieces = train_sentencepiece(lines, model, {"vocabulary": 6000, "character_coverage": 0.9995})
    write_tokenizer(model.parent, pieces, precompiled_charsmap(model.with_name("sentencepiece.bpe.model")), 128)
    with HubServer(hub_mirror) as server:
        yield folder, server, Tokenizer(model.parent)


@pytest.fixture(scope="module")
def done(place, hub_mirror):
    """Return a function: case -> (task, its folder with data/ and tokens/, facts of the data); each is made once."""
    folder, server, tokenizer = place
    made: dict[str, tuple[TaskSpec, Path, dict]] = {}

    def make(case: str) -> tuple[TaskSpec, Path, dict]:
        if case in made:
            return made[case]
        name, languages, source = CASES[case]
        if languages == "mteb":
            home = hub_mirror / "datasets" / "mteb" / "tatoeba-bitext-mining"
            languages = sorted(p.name.removesuffix("-eng") for p in home.iterdir() if p.is_dir())
        spec = spec_of(name, languages or [], **source)
        spec["languages"] = languages or spec["task"]["languages"] or ["en"]
        if case.startswith("mteb"):
            spec["task"]["columns"] = {"source_text": "sentence2", "target_text": "sentence1"}
        spec["task"] = {**spec["task"], "model_of": None}
        home = folder / case.replace("/", "-").replace(" ", "-")
        raw, data = home / "raw" / "manifest.json", home / "data" / "manifest.json"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HF_ENDPOINT", server.url)
            patch.setenv("HF_HOME", str(folder / "cache"))
            patch.delenv("HF_HUB_OFFLINE", raising=False)
            assert run(scripts.fetch, spec, raw, "--lock", folder / "committed.yaml") == 0
            assert run(scripts.prepare, spec, data, "--raw", raw) == 0
        (home / "tokens").mkdir()
        build_tokens(spec["task"]["kind"], data.parent, tokenizer, home / "tokens")
        made[case] = TaskSpec.model_validate(spec["task"]), home, facts(data)
        return made[case]

    return make


@pytest.mark.parametrize("case", CASES)
def test_rows_are_all_there_or_counted(done, case):
    """What was fetched is what examples hold, and what they do not hold is counted with its reason."""
    task, home, found = done(case)
    if task.kind == "masked_lm":
        lines = Counter(
            {p.stem: len(p.read_text("utf-8").removesuffix("\n").split("\n")) for p in (home / "raw").glob("*.txt")}
        )
        blank = found["quirks"].get("blank_lines", {}).get("train", {})
        assert found["rows"]["train"] == {k: n - blank.get(k, 0) for k, n in lines.items()}
        return
    out = ("unlabelled", "unknown_label", "unknown_tag", "no_tokens", "no_answer", "empty_context")
    out += ("answer_not_in_context", "other_languages")
    for split, names in task.source.names.items():
        lost = sum(n for what in out for n in found["quirks"].get(what, {}).get(split, {}).values())
        configs = {p.parent.name for p in (home / "raw").rglob(f"{names[0]}.parquet")}
        if split != "test" and task.source.languages_in == "config":
            configs &= {task.source.config.format(language=task.source.aliases.get("en", "en"))}
        rows = sum(pq.read_metadata(home / "raw" / c / f"{names[0]}.parquet").num_rows for c in configs)
        assert sum(found["rows"][split].values()) == rows - lost
        assert TokenSplit(home / "tokens", split).language.shape == (rows - lost,)


@pytest.mark.parametrize("case", CASES)
def test_what_is_counted_is_what_a_direct_count_finds(done, case):
    task, home, found = done(case)
    moved, newlines, blanks = Counter(), Counter(), Counter()
    for split, names in task.source.names.items():
        for path in sorted((home / "raw").rglob(f"{names[0]}.parquet")):
            for row in pq.read_table(path).to_pylist():
                if task.kind == "span_extraction":
                    if task.source.languages_in == "id_prefix":
                        chosen = ("english",) if split != "test" else ("english", "korean", "swahili")
                        if row["id"].split("-")[0] not in chosen:
                            continue
                    answers = row["answers"]
                    for text, start in zip(answers["text"], answers["answer_start"], strict=True):
                        moved[split] += row["context"][start : start + len(text)] != text
                elif task.kind == "bitext_retrieval":
                    newlines[split] += sum(row[c] != row[c].strip("\r\n") for c in task.columns.values())
                elif task.kind == "token_tagging" and (split == "test" or path.parent.name == "udpos.English"):
                    blanks[split] += sum(" " in word.strip() for word in row["tokens"])
    counted = {what: {s: sum(by.values()) for s, by in of.items()} for what, of in found["quirks"].items()}
    for what, numbers in (("answers_moved", moved), ("newlines_stripped", newlines), ("tokens_with_blanks", blanks)):
        assert counted.get(what, {}) == {split: n for split, n in numbers.items() if n}, what
    # None of these is in the real data that lie here.
    assert not set(counted) & {"answers_absent", "unknown_label", "unknown_tag", "empty_context", "empty_tokens"}


@pytest.mark.parametrize("case", [c for c, (task, _, _) in CASES.items() if task not in ("tatoeba", "mlm_text")])
def test_a_model_is_trained_on_it_or_evaluated(done, place, case, tmp_path):
    task, home, found = done(case)
    own = settings(max_length=64, epochs=1, max_train_examples=16)
    where = Sources(home / "tokens", home / "data")
    encoder = random_encoder(tiny_config(vocab_size=place[2].vocabulary, max_position_embeddings=70), std=0.05)
    if "train" in found["rows"]:
        part = make_part(encoder, task, where, None, task, {"settings": own, "seed": 1, "source_language": "en"})
        plan = make_plan([len(part.items)], [task.task], [own], 1, {})
        outcome = train(encoder, [part], plan, own, tmp_path / "history.jsonl")
        assert outcome.steps == len(plan) >= 2
        head = part.head
    split = "test" if "test" in found["rows"] else "validation"
    tokens = TokenSplit(home / "tokens", split)
    if "train" not in found["rows"]:
        head = make_head(encoder, task, tokens.outputs(task.labels), own, 1)
    rows = np.concatenate(
        [tokens.where(k)[:3] for k in tokens.languages if (tokens.language == tokens.languages.index(k)).any()]
    )
    with torch.no_grad():
        data = read_examples(home / "data", split, rows)
        out = predict(encoder, head, Items(tokens, 64, 32, rows), data, task, 4000)
    measures = list(judge(task, out, data))
    assert {language for _, language, _ in measures} == set(found["rows"][split])
    assert all(0 <= m.value <= 100 and m.n == 3 for _, _, m in measures)


def test_no_file_of_the_mirror_is_forgotten(done, hub_mirror):
    read = Counter()
    for case in CASES:
        task, home, _ = done(case)
        read.update(
            (task.source.id, p.relative_to(home / "raw").with_suffix("").as_posix())
            for p in home.rglob("raw/*/*.parquet")
        )
    forgotten = []
    for path in sorted((hub_mirror / "datasets").rglob("*.parquet")):
        org, name, *folders, file = path.relative_to(hub_mirror / "datasets").parts
        parts = [f for f in folders if f not in ("data",)] or ["default"]
        split = parts.pop() if file[0].isdigit() else file.split("-")[0].removesuffix(".parquet")
        key = f"{org}/{name}", f"{parts[0] if parts else 'default'}/{split}"
        if key not in read:
            forgotten.append(path.relative_to(hub_mirror / "datasets").as_posix())
    unread = [f for f in forgotten if not any(reason in f for reason in UNREAD)]
    assert unread == []
    other = [f for f in forgotten if "/train" in f]
    assert all("PAWS-X." in f or "udpos." in f for f in other)
    assert not any(".en/" in f or "English" in f for f in other)
