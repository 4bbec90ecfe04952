"""Learn the sentencepiece vocabulary of a stand-in backbone and write an XLM-R tokenizer folder.

Usage: python -m scripts.train_tokenizer --spec JSON --text data/mlm_text/manifest.json
       --output tokenizers/mini/manifest.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pyarrow.parquet as pq

from stilts.provenance.job import run_job
from stilts.tokens.tokenizer import Tokenizer, precompiled_charsmap, train_sentencepiece, write_tokenizer
from stilts.train.plan import cap_examples


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Learn from a seeded sample of the text; report the sizes."""
    texts = pq.read_table(args.text.parent / "train.parquet", columns=["text"])["text"].to_pylist()
    chosen = cap_examples(len(texts), spec["tokenizer_lines"], 0, "tokenizer")
    lines = [part for i in chosen for part in texts[i].split("\t")]
    model = folder / "sentencepiece.bpe"  # the name XLM-R's repositories give the file
    pieces = train_sentencepiece(lines, model, spec)
    write_tokenizer(folder, pieces, precompiled_charsmap(folder / "sentencepiece.bpe.model"), spec["max_positions"])
    return {"vocabulary": Tokenizer(folder).vocabulary, "lines": len(lines)}


if __name__ == "__main__":
    sys.exit(run_job(work, {"text": ""}))
