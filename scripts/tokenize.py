"""Tokenise one task once, for all models and seeds that share the tokenizer.

Usage: python -m scripts.tokenize --spec JSON --data data/xquad/manifest.json --tokenizer tokenizers/mini/manifest.json
       --output tokens/mini/xquad/manifest.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stilts.provenance.job import run_job
from stilts.tokens.build import build_tokens
from stilts.tokens.tokenizer import Tokenizer


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Tokenise every split of the task."""
    return build_tokens(spec["kind"], args.data.parent, Tokenizer(args.tokenizer.parent), folder)


if __name__ == "__main__":
    sys.exit(run_job(work, {"data": "", "tokenizer": ""}, in_parts=True))
