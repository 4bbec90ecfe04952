"""Pretrain a stand-in encoder from scratch by masked language modelling.

Usage: python -m scripts.pretrain --spec JSON --tokens tokens/mini/mlm_text/manifest.json
       --tokenizer tokenizers/mini/manifest.json --output models/pretrained/mini/s1/manifest.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stilts.model.checkpoint import copy_tokenizer, save_encoder
from stilts.model.device import prepare_torch
from stilts.provenance.job import run_job
from stilts.tokens.store import TokenSplit
from stilts.train.pretrain import pretrain
from stilts.train.resume import Checkpoints


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Train and save an XLMRobertaForMaskedLM checkpoint."""
    prepare_torch(args.threads if spec["pretraining"]["shards"] == 1 else 1)
    split = TokenSplit(args.tokens.parent, "train")
    history, checkpoints = folder / "history.jsonl", Checkpoints(args.attempts)
    encoder, head, facts = pretrain(split, spec["pretraining"], spec["seed"], history, checkpoints, args.threads)
    save_encoder(folder, encoder, head)
    copy_tokenizer(args.tokenizer.parent, folder)
    return facts


if __name__ == "__main__":
    sys.exit(run_job(work, {"tokens": "", "tokenizer": ""}))
