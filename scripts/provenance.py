"""List everything that can change the results of a rule: files of its code, packages, and the digest of each.

Usage: python -m scripts.provenance RULE [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from stilts.errors import UserError, did_you_mean
from stilts.pipe import quietly
from stilts.provenance.code import ROOT, code_files, declared, digest_of, reached
from stilts.provenance.environment import PACKAGES, environment_digest, unlocked


def main(argv: list[str] | None = None) -> int:
    """Print the closure of a rule as a table or as JSON."""
    parser = argparse.ArgumentParser(prog="python -m scripts.provenance", description=__doc__.splitlines()[0])
    parser.add_argument("rule", nargs="?", default="", help="a rule, as train_target")
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    args = parser.parse_args(argv)
    try:
        facts = provenance(args.rule)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(facts, indent=1, ensure_ascii=False) if args.json else _tell(facts))
    return 0


def provenance(rule: str) -> dict[str, Any]:
    """Return rule, code (digest), files (each with fingerprint and what reaches it) and packages of a rule."""
    if rule not in PACKAGES:
        known = ", ".join(sorted(PACKAGES))
        raise UserError(f'There is no rule "{rule}".{did_you_mean(rule, PACKAGES)} Rules: {known}.')
    module = f"scripts.{rule}"
    files = code_files(module)
    through = {_name(p): _name(by) if by else "" for p, by in reached(module).items()}
    data = {_name(p): _name(by) for p, by in declared(module).items()}
    rows = [
        {"file": name, "fingerprint": mark, "through": through.get(name, data.get(name, "")), "data": name in data}
        for name, mark in files.items()
    ]
    different = {name: here for name, here, _ in unlocked(rule)}
    packages = dict(entry.split("==") for entry in environment_digest(rule).split())
    return {
        "rule": rule,
        "code": digest_of(files),
        "files": rows,
        "neutral": sorted(through.keys() - files.keys()),
        "packages": [{"package": n, "locked": v, "installed": different.get(n, v)} for n, v in packages.items()],
    }


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _tell(facts: dict[str, Any]) -> str:
    width = max(len(row["file"]) for row in facts["files"])
    lines = [f"Rule {facts['rule']}: code digest {facts['code']} over {len(facts['files'])} files", ""]
    for row in facts["files"]:
        how = "declared as data by" if row["data"] else "imported by"
        reason = f"{how} {row['through']}" if row["through"] else "the script and the packages it lies in"
        lines.append(f"  {row['fingerprint']}  {row['file']:<{width}}  {reason}")
    lines += ["", "Reached, but no edit of them can change a result:", *(f"  {name}" for name in facts["neutral"])]
    lines += ["", "Packages, as locked:"]
    for row in facts["packages"]:
        other = f"   installed: {row['installed']}; run `make env`" if row["installed"] != row["locked"] else ""
        lines.append(f"  {row['package']}=={row['locked']}{other}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(quietly(main))
