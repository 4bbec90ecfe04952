"""The XLM-R tokenizer: trained by the workflow or read from a model folder, always as `tokenizer.json`.

sentencepiece learns the pieces; the fast `tokenizers` library applies them. Ids follow fairseq, as XLM-R's do:
`<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, the pieces, `<mask>` last.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from stilts.errors import UserError
from stilts.provenance.manifest import dump_json

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
FILE = "tokenizer.json"
CHUNK = 10_000  # texts encoded at a time


class Tokenizer:
    """Sub-words of text, without special tokens."""

    def __init__(self, folder: Path):
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer as Fast

        path = folder / FILE
        if not path.is_file():
            raise UserError(f"{folder} holds no {FILE}: the fast tokenizer of the backbone is needed")
        self.fast = Fast.from_file(str(path))
        self.fast.no_padding()
        self.fast.no_truncation()
        special = [self.fast.token_to_id(t) for t in (*SPECIAL, "<mask>")]
        if None in special:
            raise UserError(f"{path} lacks one of <s> <pad> </s> <unk> <mask>: it is not an XLM-R tokenizer")
        self.cls, self.pad, self.sep, self.unk, self.mask = special
        self.special: list[int] = special
        self.vocabulary: int = self.fast.get_vocab_size()

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text."""
        return [e.ids for e in self._encoded(texts)]

    def arrays(self, texts: list[str]) -> Iterator[np.ndarray]:
        """Yield the ids of each text, int32: a million texts are never held as lists of numbers."""
        return (np.asarray(e.ids, np.int32) for e in self._encoded(texts))

    def _encoded(self, texts: list[str]) -> Iterator:
        for start in range(0, len(texts), CHUNK):
            yield from self.fast.encode_batch_fast(texts[start : start + CHUNK], add_special_tokens=False)

    def encode_with_offsets(self, texts: list[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Return ids and character spans [start, end) of each text; spans do not cover leading white space."""
        out = []
        for text, e in zip(texts, self.fast.encode_batch(texts, add_special_tokens=False), strict=True):
            out.append((e.ids, [_without_leading_space(text, *span) for span in e.offsets]))
        return out


def _without_leading_space(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    return start, end


def train_sentencepiece(lines: Iterable[str], prefix: Path, spec: dict) -> list[tuple[str, float]]:
    """Learn a sentencepiece model from lines; write `prefix`.model and return its pieces with log probabilities.

    spec: vocabulary (special tokens included; fewer pieces are made when the text holds fewer), character_coverage.
    Raises UserError when the text holds more characters than the vocabulary has room for.
    """
    import sentencepiece as spm

    learnt = io.BytesIO()
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=learnt,  # not model_prefix: the model would hold that path
            model_type="unigram",
            hard_vocab_limit=False,
            vocab_size=spec["vocabulary"] - 2,  # sentencepiece has <unk> <s> </s>; XLM-R adds <pad> and <mask>
            character_coverage=spec["character_coverage"],
            normalization_rule_name="nmt_nfkc",
            num_threads=1,
            minloglevel=2,
            shuffle_input_sentence=False,
            max_sentence_length=1 << 24,  # bytes; longer lines would be left out without a word
        )
    except RuntimeError as error:
        raise UserError(
            f"sentencepiece could not learn {spec['vocabulary']} pieces from this text: {error}. "
            "Lower pretraining.vocabulary or give it more text."
        ) from None
    prefix.with_name(prefix.name + ".model").write_bytes(learnt.getvalue())
    model = spm.SentencePieceProcessor(model_proto=learnt.getvalue())
    return [(model.id_to_piece(i), model.get_score(i)) for i in range(3, model.get_piece_size())]


def write_tokenizer(folder: Path, pieces: list[tuple[str, float]], charsmap: bytes, max_length: int) -> None:
    """Write `tokenizer.json` and its config so that `AutoTokenizer` and `Tokenizer` read them.

    charsmap: sentencepiece's precompiled normalisation, applied as XLM-R's own tokenizer does.
    """
    from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors
    from tokenizers import Tokenizer as Fast

    worst = min(score for _, score in pieces) - 10.0
    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", worst), *pieces, ("<mask>", 0.0)]
    fast = Fast(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    fast.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")]
        if charsmap
        else [normalizers.NFKC()]
    )
    fast.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    fast.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    fast.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    fast.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    fast.add_special_tokens([AddedToken("<mask>", special=True, normalized=False, lstrip=True)])
    fast.save(str(folder / FILE))
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>"}
    settings = {**names, "unk_token": "<unk>", "mask_token": "<mask>", "model_max_length": max_length}
    (folder / "tokenizer_config.json").write_text(
        dump_json({**settings, "tokenizer_class": "XLMRobertaTokenizer"}), encoding="utf-8"
    )
    (folder / "special_tokens_map.json").write_text(
        dump_json({k: v for k, v in settings.items() if k != "model_max_length"}), encoding="utf-8"
    )


def precompiled_charsmap(model: Path) -> bytes:
    """Return the normalisation table inside a sentencepiece model file."""
    from sentencepiece import sentencepiece_model_pb2 as proto

    parsed = proto.ModelProto()
    parsed.ParseFromString(model.read_bytes())
    return parsed.normalizer_spec.precompiled_charsmap
