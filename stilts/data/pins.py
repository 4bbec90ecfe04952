"""Commits and checksums that no source states: found at the first fetch, written down, matched ever after."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from stilts.errors import UserError

COMMIT = re.compile(r"[0-9a-f]{40}")
NAME = "revisions.lock.yaml"
COMMITTED = Path(__file__).resolve().parents[2] / "tasks" / NAME
HEADER = (
    "# What no source names, found at the first fetch and matched ever after: commits of hub repositories\n"
    "# (`repositories`) and sha256 of raw files (`files`). Written by scripts.fetch; see docs/data.md.\n"
)


def is_commit(revision: str | None) -> bool:
    """Whether a revision is a full commit id (40 hex digits), not a branch or tag."""
    return bool(revision) and COMMIT.fullmatch(revision) is not None


@dataclass(frozen=True)
class Lock:
    """A lock file. guards: folder for the file lock that serialises parallel jobs (kept out of the source tree)."""

    path: Path
    guards: Path

    def get(self, section: str, key: str) -> str | None:
        """Return the value of a key, or None. section: `repositories` or `files`."""
        return self._read()[section].get(key)

    def settle(self, section: str, key: str, value: str) -> str:
        """Write a value unless the key has one by now; return the value that holds (atomic, safe among processes)."""
        from filelock import FileLock

        name = hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:16]
        try:
            self.guards.mkdir(parents=True, exist_ok=True)
            with FileLock(self.guards / f"{name}.lock"):
                content = self._read()
                if key not in content[section]:
                    content[section][key] = value
                    part = self.path.with_name(self.path.name + ".part")
                    part.parent.mkdir(parents=True, exist_ok=True)
                    part.write_text(HEADER + yaml.safe_dump(content, sort_keys=True), encoding="utf-8")
                    part.replace(self.path)
                return content[section][key]
        except PermissionError as error:
            raise UserError(
                f"{error.filename}: cannot be written. Pin the revision in the task file, or make the folder writable"
            ) from None

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            content = yaml.safe_load(self.path.read_text(encoding="utf-8")) or {}
        except FileNotFoundError:
            content = {}
        except yaml.YAMLError as error:
            raise UserError(f"{self.path} is not valid YAML ({error}): restore it with git, or delete it") from None
        return {section: dict(content.get(section) or {}) for section in ("repositories", "files")}
