"""Make the random-init control: an encoder of the backbone's shape with untrained weights.

Usage: python -m scripts.randomise --spec JSON --encoder models/pretrained/mini/s1/manifest.json
       --output models/random-init/mini/s1/manifest.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from stilts.model.checkpoint import copy_tokenizer, load_encoder, save_encoder
from stilts.model.device import prepare_torch
from stilts.model.encoder import initialise
from stilts.provenance.job import run_job


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Draw new weights and save them."""
    prepare_torch(args.threads)
    encoder, _ = load_encoder(args.encoder.parent)
    torch.manual_seed(spec["seed"])
    initialise(encoder, encoder.config.initializer_range)
    save_encoder(folder, encoder)
    copy_tokenizer(args.encoder.parent, folder)
    return {}


if __name__ == "__main__":
    sys.exit(run_job(work, {"encoder": ""}))
