"""Queries, candidates and gold of LAReQA, Mewsli-X and BUCC: from the layout of the real files to examples."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from hub_fixture import facts, message, rows_of, run, spec_of, write_rows
from hypothesis import given
from hypothesis import strategies as st

import scripts.fetch as fetch_script
import scripts.prepare as prepare_script
from stilts.data.search_readers import description_text, mention_text
from stilts.data.sentences import sentence_breaks
from stilts.errors import UserError
from stilts.provenance.manifest import write_manifest
from stilts.tasks.registry import get_task
from stilts.tokens.build import build_tokens
from stilts.tokens.dual import DualItems
from stilts.tokens.store import TokenSplit
from tests.engine_case import make_tokenizer


def prepared(spec: dict, raw: Path, folder: Path) -> tuple[dict[str, list[dict]], dict]:
    """Prepare a task from its raw folder; return split -> rows, and the facts."""
    out = folder / "data" / "manifest.json"
    assert run(prepare_script, spec, out, "--raw", write_manifest(raw)) == 0
    return {p.stem: rows_of(p) for p in out.parent.glob("*.parquet")}, facts(out)


def side(rows: list[dict], which: str) -> list[dict]:
    return [row for row in rows if row["side"] == which]


# --- LAReQA

PARAGRAPHS = {
    "en": ("One. Two two. One.", [[0, 4], [5, 13], [14, 18]], [("q1", "What is two?", "Two two", 5)]),
    "de": ("Eins. Zwei zwei.", [[0, 5], [6, 16]], [("q1", "Was ist zwei?", "zwei", 11), ("q2", "Was?", "Eins", 0)]),
}


def lareqa(folder: Path, paragraphs=None) -> Path:
    """Write files in XQuAD-R's layout, two paragraphs a language, the second without questions."""
    folder.mkdir(parents=True)
    for language, (context, breaks, questions) in (paragraphs or PARAGRAPHS).items():
        qas = [
            {"id": name, "question": text, "answers": [{"text": answer, "answer_start": at}]}
            for name, text, answer, at in questions
        ]
        first = {"context": context, "sentence_breaks": breaks, "sentences": [], "qas": qas}
        second = {"context": "Other.", "sentence_breaks": [[0, 6]], "sentences": ["Other."], "qas": []}
        document = {"data": [{"title": "", "paragraphs": [first, second]}], "version": "1.1"}
        (folder / f"{language}.json").write_text(json.dumps(document))
    return folder


def test_sentences_of_all_languages_answer_a_question(tmp_path):
    data, said = prepared(spec_of("lareqa", ["de", "en"]), lareqa(tmp_path / "raw"), tmp_path)
    rows = data["test"]
    texts = {row["id"]: (row["language"], row["text"], row["context"]) for row in side(rows, "candidate")}
    assert texts["en_1_1"] == ("en", "Two two.", "One. Two two. One.")
    assert texts["de_2_0"] == ("de", "Other.", "Other.")
    asked = {(row["language"], row["id"]): sorted(row["gold"]) for row in side(rows, "query")}
    assert asked[("en", "q1")] == asked[("de", "q1")] == ["de_1_1", "en_1_1"]
    assert asked[("de", "q2")] == ["de_1_0"]
    assert said["rows"] == {"test": {"de": 2, "en": 1}}
    assert said["candidates"] == {"test": {"de": 3, "en": 4}}


def test_equal_sentences_of_a_paragraph_are_both_right_and_counted(tmp_path):
    context, breaks, _ = PARAGRAPHS["en"]
    paragraphs = {"en": (context, breaks, [("q", "Which?", "One", 0)])}
    data, said = prepared(spec_of("lareqa", ["en"]), lareqa(tmp_path / "raw", paragraphs), tmp_path)
    assert side(data["test"], "query")[0]["gold"] == ["en_1_0", "en_1_2"]
    assert said["quirks"]["repeated_candidate"] == {"test": {"en": 1}}


def test_an_answer_between_sentences_is_counted_and_one_off_its_place_is_refused(tmp_path, capsys):
    between = {"en": ("One . Two.", [[0, 3], [6, 10]], [("q", "Which?", ".", 4), ("p", "What?", "Two", 6)])}
    data, said = prepared(spec_of("lareqa", ["en"]), lareqa(tmp_path / "raw", between), tmp_path)
    assert [row["id"] for row in side(data["test"], "query")] == ["p"]
    assert said["quirks"]["answer_in_no_sentence"] == {"test": {"en": 1}}
    wrong = {"en": ("One. Two.", [[0, 4], [5, 9]], [("q", "Which?", "Two", 4)])}
    raw = write_manifest(lareqa(tmp_path / "wrong", wrong))
    assert run(prepare_script, spec_of("lareqa", ["en"]), tmp_path / "x" / "m.json", "--raw", raw) == 2
    assert "the answer 'Two' is not at its offset 4" in message(capsys)


def test_a_language_without_its_file_names_those_there(tmp_path, capsys):
    raw = write_manifest(lareqa(tmp_path / "raw"))
    assert run(prepare_script, spec_of("lareqa", ["de", "th"]), tmp_path / "x" / "m.json", "--raw", raw) == 2
    assert 'no file for the language "th"' in message(capsys)


def test_lareqas_counts_are_those_of_its_paper(hub_mirror, tmp_path):
    home = tmp_path / "mine" / "lareqa"
    home.mkdir(parents=True)
    for path in (hub_mirror / "raw" / "lareqa" / "xquad-r").glob("*.json"):
        (home / path.name).write_bytes(path.read_bytes())
    spec = spec_of("lareqa", get_task("lareqa").languages, "local")
    raw = tmp_path / "raw" / "manifest.json"
    assert run(fetch_script, spec, raw, "--local", tmp_path / "mine") == 0
    data, said = prepared(spec, raw.parent, tmp_path)
    assert {len(row["gold"]) for row in side(data["test"], "query")} == {11}
    assert set(said["rows"]["test"].values()) == {1190}
    sizes = (1222, 1276, 1234, 1180, 1215, 1244, 1219, 852, 1167, 1209, 1196)
    candidates = dict(zip(get_task("lareqa").languages, sizes, strict=True))
    assert said["candidates"]["test"] == candidates
    assert sum(candidates.values()) == 13014
    assert "answer_in_no_sentence" not in said["quirks"]
    gold = Counter(name.partition("_")[0] for row in side(data["test"], "query") for name in row["gold"])
    assert set(gold.values()) == {13090}
    tokenizer = make_tokenizer(
        tmp_path / "tokenizer", lines=[row["text"] for row in data["test"][::20]], vocabulary=4000
    )
    (tmp_path / "tokens").mkdir()
    made = build_tokens("answer_retrieval", tmp_path / "data", tokenizer, tmp_path / "tokens")["splits"]["test"]
    assert (made["queries"], made["candidates"]) == (13090, 13014)
    items = DualItems(TokenSplit(tmp_path / "tokens", "test"), 96, 256)
    sizes = [len(items.sequence(k)) for k in range(0, 26104, 50)]
    assert max(sizes) == 256
    assert min(sizes) > 4


# --- SQuAD as retrieval


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One two. Three? Four!", ["One two.", "Three?", "Four!"]),
        (
            "Dr. J. Smith (of the U.S. navy) met Mr. Lee. He left.",
            ["Dr. J. Smith (of the U.S. navy) met Mr. Lee.", "He left."],
        ),
        ('He said "no." Then 3.5 men came.', ['He said "no."', "Then 3.5 men came."]),
        ("一二。三四！五", ["一二。", "三四！", "五"]),
        ("एक दो। तीन।", ["एक दो।", "तीन।"]),
        ("  no end ", ["no end"]),
        ("", []),
    ],
)
def test_sentences(text, sentences):
    assert [text[a:b] for a, b in sentence_breaks(text)] == sentences


@given(st.text(alphabet="ab. !?。\n", max_size=40))
def test_every_character_lies_in_one_sentence(text):
    spans = sentence_breaks(text)
    inside = [k for a, b in spans for k in range(a, b)]
    assert inside == sorted(set(inside))
    assert all(text[k].isspace() for k in set(range(len(text))) - set(inside))


def test_inferred_sentences_agree_with_those_of_xquad_r(hub_mirror):
    document = json.loads((hub_mirror / "raw" / "lareqa" / "xquad-r" / "en.json").read_text())
    same = asked = 0
    for paragraph in [p for article in document["data"] for p in article["paragraphs"]]:
        ours, theirs = sentence_breaks(paragraph["context"]), [tuple(b) for b in paragraph["sentence_breaks"]]
        for item in paragraph["qas"]:
            at = item["answers"][0]["answer_start"]
            found = [next(s for s in spans if s[0] <= at < s[1]) for spans in (ours, theirs)]
            same, asked = same + (found[0] == found[1]), asked + 1
    assert asked == 1190
    assert same / asked > 0.97


def test_questions_of_squad_and_the_sentences_that_answer_them(tmp_path):
    context = "Rain fell. The river rose in May. All fled."

    def row(name, answer, start):
        answers = {"text": [answer], "answer_start": [start]}
        return {"id": name, "title": "", "context": context, "question": f"{name}?", "answers": answers}

    train = [row("a", "May", 29), row("b", "river", 15), row("c", "July", 3)]
    for split, rows in (("train", train), ("validation", [row("d", "Rain", 0)])):
        write_rows(tmp_path / "raw" / "plain_text" / f"{split}.parquet", rows)
    data, said = prepared(spec_of("squad1_retrieval", []), tmp_path / "raw", tmp_path)
    assert [(r["id"], r["gold"]) for r in side(data["train"], "query")] == [("a", ["en_1_1"]), ("b", ["en_1_1"])]
    assert [(r["text"], r["context"]) for r in side(data["train"], "candidate")] == [
        ("The river rose in May.", context)
    ]
    assert said["quirks"]["answer_not_in_context"] == {"train": {"en": 1}}
    assert len(side(data["validation"], "candidate")) == 3


# --- Mewsli-X


def context_of(text: str, spans: list[tuple[int, int]], language: str = "en") -> dict:
    spans = [{"start": a, "end": b} for a, b in spans]
    known = {"document_title": "", "section_title": "", "document_url": "", "language": language}
    return {**known, "text": text, "sentence_spans": spans}


def mention_of(name: str, start: int, end: int, entity: str) -> dict:
    return {"example_id": name, "mention_span": {"start": start, "end": end}, "entity_id": entity}


def entity_of(name: str, text: str, spans: list[tuple[int, int]], language: str = "en") -> dict:
    spans = [{"start": a, "end": b} for a, b in spans]
    return {
        "entity_id": name,
        "title": name,
        "description": text,
        "sentence_spans": spans,
        "description_language": language,
    }


def test_mentions_are_marked_as_xtremes_script_marks_them():
    told = "The verdict came back for Smith, who stepped down as AG of Fictitious County in February, 2012."
    text, start = f"Before. {told} After.", 8 + told.index("Smith")
    found = mention_text(context_of(text, [(0, 7), (8, 8 + len(told))]), mention_of("m", start, start + 5, "Q1"), "")
    wanted = (
        "Smith: The verdict came back for { Smith } , who stepped down as AG of Fictitious County in February, 2012."
    )
    assert found == wanted
    text = "a {b}\nX {c d} e"
    found = mention_text(context_of(text, [(0, len(text))]), mention_of("m", 6, 7, "Q1"), "")
    assert found == "X: a (b) { X } (c d) e"


def test_a_mention_in_no_sentence_and_one_off_its_place():
    context = context_of("ab cd ef", [(0, 4), (5, 8)])
    assert mention_text(context, mention_of("m", 3, 7, "Q1"), "") is None
    with pytest.raises(UserError, match="row 3: the mention m is not at its offsets 6 to 9"):
        mention_text(context, mention_of("m", 6, 9, "Q1"), "row 3")
    with pytest.raises(UserError, match="not at its offsets"):
        mention_text(context, {"example_id": "m", "mention_span": {"start": 0, "end": 2, "text": "xx"}}, "row 3")


def test_descriptions_are_their_sentences_in_one_line():
    assert description_text(entity_of("Q1", "One.  Two\nthree. Rest", [(0, 4), (6, 16)])) == "One. Two three."
    assert description_text(entity_of("Q1", "No spans", [])) == "No spans"


def packed(path: Path, rows: list[dict]) -> None:
    """Write rows as JSON lines inside a gzipped tar archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("../../escape/rows.jsonl")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def test_mewslix_from_archives_to_examples(tmp_path):
    home = tmp_path / "mine" / "mewslix"
    pair = {
        "contextual_mention": {"context": context_of("Bo ran.", [(0, 7)]), "mention": mention_of("p", 0, 2, "Q1")},
        "entity": entity_of("Q1", "A runner.", [(0, 9)]),
    }
    packed(home / "wikipedia_pairs" / "train.jsonl.tar.gz", [pair, pair])
    packed(home / "wikipedia_pairs" / "validation.jsonl.tar.gz", [pair])
    packed(
        home / "candidate_entities" / "test.jsonl.tar.gz",
        [entity_of("Q1", "Ein Mann.", [(0, 9)], "de"), entity_of("Q2", "A town.", [(0, 7)], "en")],
    )
    for language in ("en", "de"):
        rows = [
            {"context": context_of("Bo in Ur.", [(0, 9)], language), "mention": mention_of(f"{language}{k}", *at)}
            for k, at in enumerate([(0, 2, "Q1"), (6, 8, "Q3")])
        ]
        (home / language).mkdir(parents=True)
        (home / language / "test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    spec = spec_of("mewslix", ["de", "en"], "local")
    raw = tmp_path / "raw" / "manifest.json"
    assert run(fetch_script, spec, raw, "--local", tmp_path / "mine") == 0
    assert not (tmp_path / "escape").exists()
    data, said = prepared(spec, raw.parent, tmp_path)
    assert [(r["id"], r["language"], r["text"]) for r in side(data["test"], "candidate")] == [
        ("Q1", "de", "Ein Mann."),
        ("Q2", "en", "A town."),
    ]
    asked = {row["id"]: (row["language"], row["text"], row["gold"]) for row in side(data["test"], "query")}
    assert asked["de0"] == ("de", "Bo: { Bo } in Ur.", ["Q1"])
    assert asked["en1"][2] == ["Q3"]
    assert said["quirks"]["gold_without_candidate"] == {"test": {"de": 1, "en": 1}}
    assert [row["id"] for row in side(data["train"], "candidate")] == ["Q1"]
    assert said["quirks"]["repeated_ids"] == {"train": {"en": 1}}


def test_a_broken_archive_is_named(tmp_path, capsys):
    path = tmp_path / "mine" / "mewslix" / "wikipedia_pairs" / "train.jsonl.tar.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no archive")
    spec = spec_of("mewslix", ["en"], "local", splits={"train": "train"}, candidates="")
    assert run(fetch_script, spec, tmp_path / "raw" / "manifest.json", "--local", tmp_path / "mine") == 2
    assert "train.jsonl.tar.gz is not a readable archive" in message(capsys)


# --- BUCC


def bucc(folder: Path, gold: str = "de-2\ten-1\n") -> Path:
    """Write corpora in BUCC's layout under `folder`/de-en."""
    (folder / "de-en").mkdir(parents=True)
    for split in ("sample", "training"):
        stem = folder / "de-en" / f"de-en.{split}"
        stem.with_name(f"{stem.name}.de").write_text("de-1\tEins.\nde-2\tZwei.\nde-3\tEins.\n")
        stem.with_name(f"{stem.name}.en").write_text("en-1\tTwo.\nen-2\tOther.\n")
        stem.with_name(f"{stem.name}.gold").write_text(gold)
    return folder


def test_corpora_and_gold_pairs(tmp_path):
    bucc(tmp_path / "mine" / "bucc")
    spec = spec_of("bucc", ["de"], "local")
    raw = tmp_path / "raw" / "manifest.json"
    assert run(fetch_script, spec, raw, "--local", tmp_path / "mine") == 0
    data, said = prepared(spec, raw.parent, tmp_path)
    assert set(data) == {"validation", "test"}
    asked = [(r["id"], r["text"], r["gold"]) for r in side(data["test"], "query")]
    assert asked == [("de-1", "Eins.", []), ("de-2", "Zwei.", ["de:en-1"]), ("de-3", "Eins.", [])]
    assert [(r["id"], r["language"]) for r in side(data["test"], "candidate")] == [("de:en-1", "de"), ("de:en-2", "de")]
    assert said["quirks"]["repeated_query"] == {"validation": {"de": 1}, "test": {"de": 1}}


@pytest.mark.parametrize("gold", ["de-9\ten-1\n", "de-1\ten-9\n"])
def test_gold_that_names_no_sentence_is_refused(tmp_path, capsys, gold):
    raw = write_manifest(bucc(tmp_path / "raw", gold))
    assert run(prepare_script, spec_of("bucc", ["de"]), tmp_path / "x" / "m.json", "--raw", raw) == 2
    assert "-9, which is no sentence" in message(capsys)


def test_the_corpora_are_on_no_hub(tmp_path, capsys):
    assert run(fetch_script, spec_of("bucc", ["de"]), tmp_path / "raw" / "manifest.json") == 2
    assert "name their folder under `tasks: bucc: source: path`" in message(capsys)


def test_gold_pairs_alone(tmp_path):
    for split in ("validation", "test"):
        rows = [{"source_sentence": f"de {k}\n", "target_sentence": f"en {k}\n"} for k in range(3)]
        write_rows(tmp_path / "raw" / "bucc18.de" / f"{split}.parquet", rows)
    data, said = prepared(spec_of("bucc_gold", ["de"]), tmp_path / "raw", tmp_path)
    asked, searched = (side(data["test"], which) for which in ("query", "candidate"))
    assert [row["text"] for row in asked] == ["de 0", "de 1", "de 2"]
    assert [row["gold"] for row in asked] == [[row["id"]] for row in searched]
    assert said["rows"] == {"validation": {"de": 3}, "test": {"de": 3}}


def test_real_questions_of_squad_find_their_sentences(hub_mirror, tmp_path):
    raw = tmp_path / "raw" / "plain_text"
    raw.mkdir(parents=True)
    for split in ("train", "validation"):
        path = next((hub_mirror / "datasets/rajpurkar/squad/plain_text").glob(f"{split}-*"))
        (raw / f"{split}.parquet").write_bytes(path.read_bytes())
    data, said = prepared(spec_of("squad1_retrieval", []), raw.parent, tmp_path)
    for rows in data.values():
        texts = {row["id"]: (row["text"], row["context"]) for row in side(rows, "candidate")}
        assert all(texts[row["gold"][0]][0] in texts[row["gold"][0]][1] for row in side(rows, "query"))
    assert set(said["quirks"]) <= {"repeated_query", "repeated_candidate", "repeated_ids"}


def test_every_language_of_tatoeba_r_is_on_the_hub(hub_mirror, tmp_path):
    task, old = get_task("tatoeba_r"), get_task("tatoeba")
    assert len(task.languages) == 41
    assert set(task.languages) - set(old.languages) == {"az", "lt", "pl", "ro", "uk"}
    folder = hub_mirror / "datasets" / task.source.id
    assert [k for k in task.languages if not list((folder / f"{task.source.aliases[k]}-eng").glob("test-*"))] == []
    for language in old.languages:  # the same pairs in both repositories
        name = old.source.aliases[language]
        ours = rows_of(next((folder / f"{name}-eng").glob("*.parquet")))
        theirs = rows_of(next((hub_mirror / "datasets" / old.source.id / f"tatoeba.{name}").glob("*.parquet")))
        found = [(r["sentence2"], r["sentence1"]) for r in ours]
        assert found == [(r["target_sentence"], r["source_sentence"]) for r in theirs], language
