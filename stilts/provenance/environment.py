"""Environment digests: the locked versions that can change the result of a rule."""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata
from pathlib import Path

from stilts.errors import UserError
from stilts.provenance.code import ROOT

TABLES = ("pyarrow", "numpy")
TRAINING = ("torch", "numpy", "pyarrow", "safetensors")
PACKAGES: dict[str, tuple[str, ...]] = {
    "make_world": TABLES,
    "make_translation": TABLES,
    "fetch": ("datasets", "huggingface-hub", *TABLES),
    "fetch_backbone": ("huggingface-hub",),
    "prepare": TABLES,
    "train_tokenizer": ("sentencepiece", "tokenizers", "pyarrow", "numpy"),
    "tokenize": ("tokenizers", *TABLES),
    "pretrain": TRAINING,
    "randomise": ("torch", "safetensors"),
    "train_intermediate": TRAINING,
    "train_target": TRAINING,
    "predict": TRAINING,
    "embed": TRAINING,
    "mine": ("torch", *TABLES),
    "score": TABLES,
    "count_costs": TRAINING,
    "profile_budget": (*TRAINING, "tokenizers"),
    "costs": ("numpy",),
    "summarise": ("pydantic",),
    "curves": ("numpy", "pydantic"),
    "claims": ("numpy", "pydantic"),
    "export": (*TABLES, "pydantic"),
    "check": ("pydantic",),
    "figures": ("numpy", "vl-convert-python"),
    "report": ("jinja2", "markupsafe", "pydantic", "vl-convert-python"),
}


def environment_digest(rule: str, root: Path = ROOT) -> str:
    """Return `name==version` of the locked packages a rule depends on, in one line that `why` can show."""
    locked = locked_versions(root)
    lost = [p for p in PACKAGES[rule] if p not in locked]
    if lost:
        raise UserError(f"envs/ locks no version of {', '.join(lost)}, which rule {rule} depends on: run `make lock`")
    return " ".join(f"{p}=={locked[p]}" for p in PACKAGES[rule])


def unlocked(rule: str, root: Path = ROOT) -> list[tuple[str, str, str]]:
    """Return (package, version that runs here, locked version) of a rule's packages that are not the lock's.

    A local build (2.13.0+cpu) is its version's.
    """
    locked = locked_versions(root)
    here = {p: version(p).split("+")[0] for p in PACKAGES[rule]}
    return [(p, v, locked[p]) for p, v in here.items() if v != locked[p].split("+")[0]]


@cache
def version(package: str) -> str:
    """Return the installed version of a package; reading it takes a millisecond."""
    return metadata.version(package)


@cache
def locked_versions(root: Path = ROOT) -> dict[str, str]:
    """Return package -> version of the lock files in envs/."""
    versions = {}
    for name in ("requirements.lock", "torch.txt"):
        for line in (root / "envs" / name).read_text(encoding="utf-8").splitlines():
            found = re.match(r"([A-Za-z0-9_.-]+)==([^\s;\\]+)", line)
            if found:
                versions[found[1].lower().replace("_", "-")] = found[2]
    return versions
