"""Data sets that no mirror here holds: rows made in their exact schema go from the hub to examples and sub-words."""

from __future__ import annotations

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from engine_case import make_tokenizer
from hub_fixture import card, facts, rows_of, run, spec_of
from hub_server import HubServer

import scripts.fetch
import scripts.prepare
from stilts.tasks.registry import get_task
from stilts.tokens.build import build_tokens
from stilts.tokens.store import TokenSplit

TEXT = Value("string")
NLI = {"premise": TEXT, "hypothesis": TEXT, "label": ClassLabel(names=["entailment", "neutral", "contradiction"])}
UPOS = [*"ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()]  # noqa: SIM905
NER = [*"O B-PER I-PER B-ORG I-ORG B-LOC I-LOC".split()]  # noqa: SIM905
ANSWERS = {"text": List(TEXT), "answer_start": List(Value("int32"))}
# Repository -> the features its card states.
FEATURES = {
    "facebook/anli": {"uid": TEXT, **NLI, "reason": TEXT},
    "stanfordnlp/snli": NLI,
    "nyu-mll/glue": {
        "question1": TEXT,
        "question2": TEXT,
        "label": ClassLabel(names=["not_duplicate", "duplicate"]),
        "idx": Value("int32"),
    },
    "rajpurkar/squad_v2": {"id": TEXT, "title": TEXT, "context": TEXT, "question": TEXT, "answers": ANSWERS},
    "facebook/mlqa": {
        "context": TEXT,
        "question": TEXT,
        "answers": {"answer_start": List(Value("int32")), "text": List(TEXT)},
        "id": TEXT,
    },
    "google/xtreme": {"tokens": List(TEXT), "ner_tags": List(ClassLabel(names=NER)), "langs": List(TEXT)},
    "unimelb-nlp/wikiann": {
        "tokens": List(TEXT),
        "ner_tags": List(ClassLabel(names=NER)),
        "langs": List(TEXT),
        "spans": List(TEXT),
    },
    "facebook/xnli": NLI,
    "tau/commonsense_qa": {
        "id": TEXT,
        "question": TEXT,
        "question_concept": TEXT,
        "choices": {"label": List(TEXT), "text": List(TEXT)},
        "answerKey": TEXT,
    },
    "lighteval/siqa": dict.fromkeys(("context", "question", "answerA", "answerB", "answerC", "label"), TEXT),
}


def nli(label, text="A man sleeps.", **more):
    return {**more, "premise": text, "hypothesis": f"{text} Really?", "label": label}


def asked(name, context, texts, starts, **more):
    return {
        "id": name,
        **more,
        "context": context,
        "question": "Who?",
        "answers": {"text": texts, "answer_start": starts},
    }


def named(language, tags, **more):
    words = [f"{language}{n}" for n in range(len(tags))]
    return {"tokens": words, "ner_tags": tags, "langs": [language] * len(tags), **more}


@pytest.fixture
def bring(tmp_path, monkeypatch):
    """Return a function: task, languages, {repository: {config: {split: rows}}} -> (examples, facts, tokens)."""

    def make(task: str, languages: list[str], repositories: dict, columns: dict | None = None):
        for repo, configs in repositories.items():
            home = tmp_path / "hub" / "datasets" / repo
            for config, splits in configs.items():
                for split, rows in splits.items():
                    features = Features((columns or FEATURES)[repo])
                    (home / config).mkdir(parents=True, exist_ok=True)
                    Dataset.from_list(rows, features=features).to_parquet(
                        home / config / f"{split}-00000-of-00001.parquet"
                    )
            (home / "README.md").write_text(card({config: list(splits) for config, splits in configs.items()}))
        raw, data = (tmp_path / kind / task / "manifest.json" for kind in ("raw", "data"))
        spec = spec_of(task, languages)
        with HubServer(tmp_path / "hub") as server:
            monkeypatch.setenv("HF_ENDPOINT", server.url)
            monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
            monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
            assert run(scripts.fetch, spec, raw, "--lock", tmp_path / "committed.yaml") == 0
        assert run(scripts.prepare, spec, data, "--raw", raw) == 0
        found = facts(data)
        examples = {split: rows_of(data.parent / f"{split}.parquet") for split in found["rows"]}
        tokens = tmp_path / "tokens" / task
        tokens.mkdir(parents=True)
        build_tokens(get_task(task).kind, data.parent, make_tokenizer(tmp_path / "tokenizer"), tokens)
        return examples, found, tokens

    return make


def test_anli_has_three_rounds(bring):
    splits = {
        f"{part}_r{n}": [nli(n - 1, f"{part} {n}", uid=f"{part}{n}", reason="")]
        for part in ("train", "dev", "test")
        for n in (1, 2, 3)
    }
    examples, found, tokens = bring("anli", [], {"facebook/anli": {"plain_text": splits}})
    assert [(row["id"], row["label"]) for row in examples["train"]] == [("train1", 0), ("train2", 1), ("train3", 2)]
    assert [row["id"] for row in examples["validation"]] == ["dev1", "dev2", "dev3"]
    assert set(found["rows"]) == {"train", "validation"}
    assert TokenSplit(tokens, "train").labels.tolist() == [0, 1, 2]


def test_ids_are_unique_over_the_rounds(bring):
    splits = {
        split: [nli(0, split, uid="same", reason=""), nli(1, "twice", uid=split, reason="")]
        for split in get_task("anli").source.names["train"] + get_task("anli").source.names["validation"]
    }
    examples, found, _ = bring("anli", [], {"facebook/anli": {"plain_text": splits}})
    ids = [row["id"] for row in examples["train"]]
    assert ids == ["same", "train_r1", "same#2", "train_r2", "same#3", "train_r3"]
    assert found["quirks"]["repeated_ids"] == {"train": {"en": 2}, "validation": {"en": 2}}
    assert found["quirks"]["repeated_examples"] == {"train": {"en": 2}, "validation": {"en": 2}}
    assert found["quirks"]["also_in_train"] == {"validation": {"en": 1}}


def test_snli_pairs_without_a_gold_label(bring):
    rows = [nli(2), nli(-1), nli(0, "Two dogs."), nli(-1, "A cat.")]
    examples, found, _ = bring(
        "snli", [], {"stanfordnlp/snli": {"plain_text": {"train": rows, "validation": rows[:1]}}}
    )
    assert [row["label"] for row in examples["train"]] == [2, 0]
    assert found["quirks"]["unlabelled"] == {"train": {"en": 2}}


def test_qqp_of_glue(bring):
    rows = [{"question1": f"How {n}?", "question2": "Why?", "label": n % 2, "idx": n} for n in (0, 1, 2, 5)]
    hidden = [{**rows[0], "label": -1}]
    repository = {"qqp": {"train": rows, "validation": rows[:2], "test": hidden}}
    examples, found, _ = bring("qqp", [], {"nyu-mll/glue": repository})
    assert [(row["id"], row["label"]) for row in examples["train"]] == [("0", 0), ("1", 1), ("2", 0), ("5", 1)]
    # Ids 3 and 4 are missing: said, and nothing else happens.
    assert found["quirks"]["id_gaps"] == {"train": {"en": 2}}
    assert found["labels"] == ["not_duplicate", "duplicate"]


def test_squad2_questions_without_an_answer(bring):
    rows = [
        asked("a", "Paris is large.", ["Paris"], [0], title="t"),
        asked("b", "Paris is large.", [], [], title="t"),
        asked("c", "Rome is old.", ["old"], [7], title="t"),
    ]
    examples, found, tokens = bring(
        "squad2", [], {"rajpurkar/squad_v2": {"squad_v2": {"train": rows, "validation": rows}}}
    )
    assert [row["answers"] for row in examples["train"]] == [["Paris"], [], ["old"]]
    assert found["quirks"]["answers_moved"] == {"train": {"en": 1}, "validation": {"en": 1}}
    spans = TokenSplit(tokens, "train").answers.tolist()
    assert spans[1] == [-1, -1]
    assert spans[0][0] == 0
    assert spans[2][0] > 0


def test_mlqa_reads_one_language_at_a_time(bring):
    de, zh = asked("x", "Berlin ist groß.", ["Berlin"], [0]), asked("y", "北京很大。", ["北京"], [0])
    configs = {"mlqa.de.de": {"test": [de]}, "mlqa.zh.zh": {"test": [zh]}, "mlqa.de.zh": {"test": [de, zh]}}
    configs["mlqa.en.en"] = {"test": [asked("z", "London is large.", ["London"], [0])]}
    examples, found, _ = bring("mlqa", ["de", "en", "zh"], {"facebook/mlqa": configs})
    assert {row["language"]: row["answers"][0] for row in examples["test"]} == {
        "de": "Berlin",
        "en": "London",
        "zh": "北京",
    }
    assert found["rows"] == {"test": {"de": 1, "en": 1, "zh": 1}}


def test_panx_of_xtreme_and_of_wikiann(bring):
    tags = [1, 2, 0, 5]
    xtreme = {f"PAN-X.{k}": {s: [named(k, tags)] for s in ("train", "validation", "test")} for k in ("en", "de")}
    examples, found, tokens = bring("panx", ["de", "en"], {"google/xtreme": xtreme})
    assert found["rows"]["train"] == {"en": 1}
    assert [row["tags"] for row in examples["test"]] == [tags, tags]
    assert TokenSplit(tokens, "test").outputs(get_task("panx").labels) == 7
    wikiann = {k: {"test": [named(k, tags, spans=["PER: x y"])]} for k in ("en", "gu")}
    examples, found, _ = bring("panx_r", ["en", "gu"], {"unimelb-nlp/wikiann": wikiann})
    assert found["rows"] == {"test": {"en": 1, "gu": 1}}
    assert examples["test"][1]["tags"] == tags


def test_udpos_r_is_read_from_two_repositories(bring):
    upos = {"tokens": List(TEXT), "pos_tags": List(ClassLabel(names=UPOS))}
    # The second repository orders its classes otherwise: names decide.
    other = {"tokens": List(TEXT), "pos_tags": List(ClassLabel(names=[*UPOS[1:], UPOS[0]]))}
    rows = [{"tokens": ["a", "b"], "pos_tags": [7, 15]}]
    old = {f"udpos.{name}": {"test": rows} for name in ("English", "German")}
    new = {code: {"test": rows} for code in ("lt", "wo", "de")}
    repositories = {"google/xtreme": old, "izhx/xtreme-r-udpos": new}
    columns = {"google/xtreme": upos, "izhx/xtreme-r-udpos": other}
    examples, _, _ = bring("udpos_r", ["de", "en", "lt", "wo"], repositories, columns)
    tags = {row["language"]: row["tags"] for row in examples["test"]}
    assert tags == {"de": [7, 15], "en": [7, 15], "lt": [8, 16], "wo": [8, 16]}


def test_udpos_r_says_what_it_read(bring, tmp_path):
    upos = {"tokens": List(TEXT), "pos_tags": List(ClassLabel(names=UPOS))}
    rows = [{"tokens": ["a"], "pos_tags": [7]}]
    repositories = {"google/xtreme": {"udpos.English": {"test": rows}}, "izhx/xtreme-r-udpos": {"ro": {"test": rows}}}
    bring("udpos_r", ["en", "ro"], repositories, dict.fromkeys(repositories, upos))
    raw = facts(tmp_path / "raw" / "udpos_r" / "manifest.json")
    assert raw["repository"] == "google/xtreme"
    assert [one["repository"] for one in raw["further"]] == ["izhx/xtreme-r-udpos"]
    assert len({raw["revision"], raw["further"][0]["revision"]}) == 2
    assert set(raw["rows"]) == {"udpos.English/test.parquet", "ro/test.parquet"}


def test_xnli_of_all_languages(bring):
    configs = {k: {"validation": [nli(1)], "test": [nli(0), nli(2)], "train": [nli(0)]} for k in ("en", "sw")}
    examples, found, _ = bring("xnli", ["en", "sw"], {"facebook/xnli": configs})
    assert [row["label"] for row in examples["test"]] == [0, 2, 0, 2]
    assert set(found["rows"]) == {"validation", "test"}


def test_commonsense_qa_takes_the_choice_with_the_letter(bring):
    def row(name, letters, key):
        choices = {"label": letters, "text": [f"text {letter}" for letter in letters]}
        return {"id": name, "question": "Where?", "question_concept": "x", "choices": choices, "answerKey": key}

    letters = list("ABCDE")
    rows = [row("1", letters, "C"), row("2", letters[::-1], "A"), row("3", letters, "")]
    examples, found, _ = bring("csqa", [], {"tau/commonsense_qa": {"default": {"train": rows, "validation": rows[:1]}}})
    assert [row["choices"][row["label"]] for row in examples["train"]] == ["text C", "text A"]
    assert found["quirks"]["unlabelled"] == {"train": {"en": 1}}


def test_social_iqa_numbers_its_answers_from_one(bring):
    base = {"context": "Kim left.", "question": "Why?", "answerA": "a", "answerB": "b", "answerC": "c"}
    rows = [{**base, "label": label} for label in ("1", "3", "2")]
    examples, _, _ = bring("siqa", [], {"lighteval/siqa": {"default": {"train": rows, "validation": rows}}})
    assert [row["choices"][row["label"]] for row in examples["train"]] == ["a", "c", "b"]
    assert examples["train"][0]["prompt"] == "Kim left. Why?"


def test_a_language_under_another_name_is_read_and_said(bring, tmp_path, capfd):
    configs = {k: {"validation": [nli(1)], "test": [nli(0)]} for k in ("en", "zh_cn")}
    examples, _, _ = bring("xnli", ["en", "zh"], {"facebook/xnli": configs})
    assert [row["language"] for row in examples["test"]] == ["en", "zh"]
    assert facts(tmp_path / "raw" / "xnli" / "manifest.json")["language_aliases"] == {"zh": "zh_cn"}
    assert "the language zh is read from zh_cn" in capfd.readouterr().out
