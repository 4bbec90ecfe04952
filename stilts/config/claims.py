"""The claims that an experiment is held against, read from `claims/*.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import ValidationError

from stilts.config.files import read_yaml
from stilts.config.messages import explain
from stilts.errors import UserError
from stilts.tasks.claims import Claim

FOLDER = Path(__file__).resolve().parents[2] / "claims"


@cache
def claims(folder: Path = FOLDER) -> tuple[Claim, ...]:
    """Return all claims; raises UserError naming the file that is faulty or an id that stands twice."""
    found: list[Claim] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            raw = read_yaml(path)
            found += [Claim.model_validate(row) for row in raw["claims"]]
        except ValidationError as error:
            raise UserError(f"{path} is not valid:\n" + "\n".join(f"  {x}" for x in explain(error, Claim))) from None
        except (yaml.YAMLError, TypeError, KeyError) as error:
            raise UserError(f"{path} must hold a list `claims`: {error}") from None
    ids = [c.id for c in found]
    if double := [k for k in ids if ids.count(k) > 1]:
        raise UserError(f"{folder.name}/: said twice: {double[0]}")
    return tuple(found)
