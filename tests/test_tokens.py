"""The tokenizer against sentencepiece, and token files against the examples they were made from."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts.errors import UserError
from stilts.tokens.build import IGNORE
from stilts.tokens.store import TokenSplit
from stilts.tokens.tokenizer import Tokenizer, train_sentencepiece
from tests.engine_case import TRAINED, WORDS, corpus, make_tokenizer, split_of, tokenised, toy

# White space of many kinds, characters that were never seen, characters that normalisation changes or removes.
ODD = " \t\n\u00a0\u2009\u3000\u200b" + "日本語한ß€😀" + "ÉﬁＡ½²…’“" + "\u00ad\ufeff" + "BACE0.,-"
# Several combining marks in a row are left out: the fast tokenizer normalises whole graphemes, sentencepiece does not.
TEXT = st.lists(st.sampled_from([*WORDS, *ODD, "e\u0301", " ", " "]), max_size=30).map("".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer(path)
    return path


@pytest.fixture(scope="module")
def tokenizer(folder):
    return Tokenizer(folder)


@pytest.fixture(scope="module")
def reference(folder):
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentencepiece.bpe.model"))


# --- the tokenizer


def test_ids_follow_fairseq(tokenizer, reference):
    assert tokenizer.special == [0, 1, 2, 3, tokenizer.vocabulary - 1]
    assert tokenizer.vocabulary == reference.get_piece_size() + 2
    for i in range(3, reference.get_piece_size()):
        assert tokenizer.fast.id_to_token(i + 1) == reference.id_to_piece(i)


@settings(max_examples=300)
@given(TEXT)
def test_ids_are_sentencepieces_own(tokenizer, reference, text):
    wanted = [i + 1 if i else tokenizer.unk for i in reference.encode(text)]
    assert tokenizer.encode([text]) == [wanted]


def test_a_batch_is_each_text_alone(tokenizer):
    texts = [*corpus(20, seed=2), "", "日本", "ba"]
    assert tokenizer.encode(texts) == [tokenizer.encode([t])[0] for t in texts]
    assert [ids for ids, _ in tokenizer.encode_with_offsets(texts)] == tokenizer.encode(texts)


@settings(max_examples=200)
@given(TEXT)
def test_offsets_lie_in_the_text_in_order_and_cover_every_visible_known_character(tokenizer, text):
    (ids, spans), *_ = tokenizer.encode_with_offsets([text])
    assert len(ids) == len(spans)
    assert all(0 <= a <= b <= len(text) for a, b in spans)
    assert all(a <= c and b <= d for (a, b), (c, d) in itertools.pairwise(spans))
    assert not [1 for a, b in spans if a < b and text[a].isspace()]
    covered = {i for a, b in spans for i in range(a, b)}
    assert {i for i, c in enumerate(text) if c in "".join(WORDS)} <= covered


@settings(max_examples=100)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9))
def test_plain_text_comes_back_from_its_offsets(tokenizer, parts):
    text = " ".join(parts)
    spans = tokenizer.encode_with_offsets([text])[0][1]
    joined = "".join(text[a:b] for i, (a, b) in enumerate(spans) if i == 0 or (a, b) != spans[i - 1])
    assert joined == "".join(parts)


def test_learning_twice_gives_the_same_bytes(folder, tmp_path):
    make_tokenizer(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
    assert (tmp_path / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()


@pytest.mark.parametrize("size", [60, 90, 120])
def test_the_vocabulary_has_the_size_asked_for(tmp_path, size):
    assert make_tokenizer(tmp_path, size).vocabulary == size


def test_little_text_gives_a_smaller_vocabulary(tmp_path):
    assert make_tokenizer(tmp_path, 5000, ["ba ce di"] * 20).vocabulary < 60


def test_long_lines_are_learnt_from(tmp_path):
    line = " ".join(["ba", "ce"] * 3000) + " xoxo" * 500
    assert "▁xoxo" in make_tokenizer(tmp_path, 60, [line]).fast.get_vocab()


@pytest.mark.parametrize("lines", [[], ["".join(map(chr, range(0x4E00, 0x4F00)))]], ids=["no text", "many characters"])
def test_text_that_cannot_be_learnt_from_is_one_message(tmp_path, lines):
    with pytest.raises(UserError, match=r"could not learn 40 pieces .* Lower pretraining\.vocabulary or give it more"):
        train_sentencepiece(lines, tmp_path / "x", {"vocabulary": 40, "character_coverage": 1.0})


def test_folders_without_a_usable_tokenizer_are_named(folder, tmp_path):
    with pytest.raises(UserError, match=r"holds no tokenizer\.json"):
        Tokenizer(tmp_path)
    raw = (folder / "tokenizer.json").read_text().replace("<mask>", "<blank>")
    (tmp_path / "tokenizer.json").write_text(raw)
    with pytest.raises(UserError, match="it is not an XLM-R tokenizer"):
        Tokenizer(tmp_path)


# --- token files


def test_pairs(tokenizer, tmp_path):
    rows = toy("pair_classification", 7, languages=("en", "de")) | {}
    rows["text_a"][3] = rows["text_b"][5] = ""
    split = split_of("pair_classification", tokenizer, tmp_path / "t", rows)
    assert len(split) == 7
    assert split.languages == ["de", "en"]
    assert split.where("de").tolist() == [1, 3, 5]
    assert split.labels.tolist() == rows["label"]
    for i in range(7):
        assert split.segment(i, 0).tolist() == tokenizer.encode([rows["text_a"][i]])[0]
        assert split.segment(i, 1).tolist() == tokenizer.encode([rows["text_b"][i]])[0]
    assert split.segment(3, 0).size == split.segment(5, 1).size == 0
    with pytest.raises(UserError, match='train holds no example in "fr"; there are de, en'):
        split.where("fr")


def test_a_language_of_another_split_is_not_one_of_this_split(tokenizer, tmp_path):
    rows = toy("pair_classification", 4)
    other = rows | {"language": ["de", "fr", "de", "fr"]}
    folder = tokenised("pair_classification", tokenizer, tmp_path / "t", test=rows, validation=other)
    assert TokenSplit(folder / "tokens", "test").where("en").tolist() == [0, 1, 2, 3]
    with pytest.raises(UserError, match='validation holds no example in "en"; there are de, fr'):
        TokenSplit(folder / "tokens", "validation").where("en")


def test_choices(tokenizer, tmp_path):
    rows = toy("multiple_choice", 5)
    split = split_of("multiple_choice", tokenizer, tmp_path / "t", rows)
    for i in range(5):
        assert split.segments_of(i) == 4
        texts = [rows["prompt"][i], *rows["choices"][i]]
        assert [split.segment(i, k).tolist() for k in range(4)] == tokenizer.encode(texts)


def test_every_word_has_its_tag_at_its_first_subword(tokenizer, tmp_path):
    rows = toy("token_tagging", 6)
    rows["tokens"][2] = ["ba", "", "\u200b", "日本 語", "cece"]
    rows["tags"][2] = [0, 1, 2, 1, 0]
    folder = tokenised("token_tagging", tokenizer, tmp_path / "t", train=rows)
    split = TokenSplit(folder / "tokens", "train")
    for i, (tokens, tags) in enumerate(zip(rows["tokens"], rows["tags"], strict=True)):
        start, end = split.bounds(i, 0)
        pieces = [ids or [tokenizer.unk] for ids in tokenizer.encode(tokens)]
        assert split.ids[start:end].tolist() == [x for ids in pieces for x in ids]
        wanted = [y for ids, tag in zip(pieces, tags, strict=True) for y in [tag, *[IGNORE] * (len(ids) - 1)]]
        assert split.targets[start:end].tolist() == wanted
    facts = json.loads((folder / "tokens" / "manifest.json").read_text())["facts"]
    assert facts["splits"]["train"]["words_without_subword"] == 2
    assert facts["splits"]["train"]["examples"] == {"en": 6}
    assert facts["splits"]["train"]["subwords"] == {"en": len(split.ids)}
    assert facts["splits"]["train"]["unknown"] == int((split.ids == tokenizer.unk).sum()) >= 4


@settings(max_examples=60)
@given(st.lists(TEXT, min_size=1, max_size=4), st.data())
def test_answers_map_back_to_the_text(tokenizer, tmp_path_factory, contexts, data):
    rows: dict[str, list] = {"question": [], "context": [], "answers": [], "answer_starts": []}
    for context in contexts:
        start = data.draw(st.integers(0, max(0, len(context) - 1)))
        end = data.draw(st.integers(min(start + 1, len(context)), len(context)))
        rows["question"].append("ba ce")
        rows["context"].append(context)
        rows["answers"].append([context[start:end]] if end > start else [])
        rows["answer_starts"].append([start] if end > start else [])
    split = split_of("span_extraction", tokenizer, tmp_path_factory.mktemp("qa") / "t", rows)
    known = set("".join(WORDS))
    for i, context in enumerate(contexts):
        (ids, spans), *_ = tokenizer.encode_with_offsets([context])
        assert split.segment(i, 1).tolist() == ids
        offset = split.bounds(i, 1)[0]
        assert split.chars[offset : offset + len(ids)].tolist() == [list(s) for s in spans]
        first, last = (int(x) for x in split.answers[i])
        if not rows["answers"][i]:
            assert (first, last) == (-1, -1)
            continue
        start, answer = rows["answer_starts"][i][0], rows["answers"][i][0]
        if first < 0:  # nothing of it is visible to the model
            assert not set(answer) & known
            continue
        covered = {k for a, b in spans[first : last + 1] for k in range(a, b)}
        assert {start + k for k, c in enumerate(answer) if c in known} <= covered
        # No sub-word at either end is needless.
        for end in (first, last):
            assert spans[end][1] > start
            assert spans[end][0] < start + len(answer)


def test_answers_that_are_not_in_the_context_are_counted(tokenizer, tmp_path):
    rows = {"question": ["q"] * 4, "context": ["ba ce di"] * 4, "answers": [["ce"], ["zz"], [], ["\u200b"]]}
    rows |= {"answer_starts": [[3], [-1], [], [50]]}
    folder = tokenised("span_extraction", tokenizer, tmp_path / "t", validation=rows)
    assert TokenSplit(folder / "tokens", "validation").answers[1:].tolist() == [[-1, -1]] * 3
    facts = json.loads((folder / "tokens" / "manifest.json").read_text())["facts"]
    assert facts["splits"]["validation"]["answers_without_subwords"] == 2


def test_text_and_bitext(tokenizer, tmp_path):
    rows = {"text": ["ba ce", "ba\tce di", "", "ba\t\tce"]}
    split = split_of("masked_lm", tokenizer, tmp_path / "m", rows)
    assert [split.segments_of(i) for i in range(4)] == [1, 2, 1, 3]
    assert split.segment(1, 1).tolist() == tokenizer.encode(["ce di"])[0]
    rows = toy("bitext_retrieval", 3)
    split = split_of("bitext_retrieval", tokenizer, tmp_path / "b", rows)
    assert [split.segment(i, 1).tolist() for i in range(3)] == tokenizer.encode(rows["target_text"])


@pytest.mark.parametrize("kind", [*TRAINED, "masked_lm", "bitext_retrieval"])
def test_tokenising_twice_gives_the_same_manifest(tokenizer, tmp_path, kind):
    one, two = (tokenised(kind, tokenizer, tmp_path / n, train=toy(kind, 9), test=toy(kind, 4)) for n in ("a", "b"))
    assert (one / "tokens" / "manifest.json").read_bytes() == (two / "tokens" / "manifest.json").read_bytes()
    for path in (one / "tokens").glob("*.npy"):
        assert np.load(path, allow_pickle=False).dtype in (np.int16, np.int32, np.int64)


@pytest.mark.parametrize("kind", TRAINED)
def test_an_empty_split_is_no_obstacle(tokenizer, tmp_path, kind):
    empty = {k: [] for k in toy(kind, 1)}
    folder = tokenised(kind, tokenizer, tmp_path / "t", train=toy(kind, 2), test=empty)
    assert len(TokenSplit(folder / "tokens", "test")) == 0


def test_a_missing_split_is_named(tokenizer, tmp_path):
    folder = tokenised("masked_lm", tokenizer, tmp_path / "t", train={"text": ["ba"]})
    with pytest.raises(UserError, match=r'has no split "test" \(it holds train\): check the task\'s `splits`'):
        TokenSplit(folder / "tokens", "test")


def test_a_tokenizer_of_another_backbone_is_refused(tmp_path):
    (tmp_path / "train.tokens.json").write_text(
        json.dumps(
            {
                "kind": "masked_lm",
                "languages": ["qaa"],
                "special": [0, 1, 2, 3, 9],
                "vocabulary": 10,
            }
        )
    )
    split = TokenSplit(tmp_path, "train")
    split.must_fit(10)
    with pytest.raises(UserError, match="10 sub-words, the encoder embeds 9"):
        split.must_fit(9)
