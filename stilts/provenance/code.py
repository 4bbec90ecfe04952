"""Code digests: a hash over everything of this project that a script can run.

Each file of the transitive closure of project-local imports is hashed as a normalised syntax tree, so that comments,
docstrings and formatting change nothing and any real edit changes the digest of exactly the rules that can reach it.
What no closure can follow (imports by computed name, star imports, exec) is refused. A module that reads a file of the
project declares it: `DATA_FILES = ("names.txt",)`, paths from the module's folder; their bytes count as well.
"""

from __future__ import annotations

import hashlib
from collections import deque
from functools import cache
from pathlib import Path

from stilts.errors import UserError
from stilts.provenance.source import PACKAGES, facts_of

ROOT = Path(__file__).resolve().parents[2]
# They only show progress, or check, record and keep what was computed: no edit of theirs can change a result.
NEUTRAL = (
    "stilts/progress.py",
    "stilts/data/bars.py",
    *(
        f"stilts/provenance/{name}.py"
        for name in (
            "attempts",
            "code",
            "contents",
            "energy",
            "ends",
            "environment",
            "key",
            "machine",
            "source",
            "store",
        )
    ),
)


def code_digest(module: str, root: Path = ROOT) -> str:
    """Return the hex digest of a module's closure. Raises UserError on dynamic imports, which no closure can follow."""
    return digest_of(code_files(module, root))


def code_files(module: str, root: Path = ROOT) -> dict[str, str]:
    """Return file -> fingerprint (hex) of a module's closure and of the data files it declares; names from root."""
    files = [p for p in closure(module, root) if not _is_neutral(p, root)]
    prints = {p.relative_to(root).as_posix(): facts_of(p, root).fingerprint for p in files}
    data = {d.relative_to(root).as_posix(): _bytes_print(d) for d in declared(module, root)}
    return dict(sorted((prints | data).items()))


def digest_of(files: dict[str, str]) -> str:
    """Return the hex digest of file -> fingerprint."""
    text = "".join(f"{name}\0{fingerprint}\0" for name, fingerprint in sorted(files.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def closure(module: str, root: Path = ROOT) -> list[Path]:
    """Return the project's Python files that importing a module can execute, sorted.

    Nested and conditional imports count, and so does the `__init__` of every parent package.
    """
    return sorted(reached(module, root))


@cache
def reached(module: str, root: Path = ROOT) -> dict[Path, Path | None]:
    """Return file -> the file whose import reaches it first (by the fewest steps), for a module's closure.

    The module itself and its parents are reached by none.
    """
    start = _files(module, root)
    own = root.joinpath(*module.split("."))
    if not {own.with_suffix(".py"), own / "__init__.py"} & set(start):
        raise UserError(f"there is no module {module} below {root}")
    found: dict[Path, Path | None] = dict.fromkeys(start)
    queue = deque(start)
    while queue:
        path = queue.popleft()
        for file in (file for name in facts_of(path, root).imports for file in _files(name, root)):
            if file not in found:
                found[file] = path
                queue.append(file)
    return found


def declared(module: str, root: Path = ROOT) -> dict[Path, Path]:
    """Return data file -> the file that declares it in `DATA_FILES`, for what counts of a module's closure."""
    files = [p for p in closure(module, root) if not _is_neutral(p, root)]
    return {data: path for path in files for data in _data_files(path, root)}


def _is_neutral(path: Path, root: Path) -> bool:
    return path.relative_to(root).as_posix() in NEUTRAL


@cache
def _files(module: str, root: Path) -> list[Path]:
    """Return the file of a module (or of the package that holds the name) and the `__init__` of its parents."""
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return []
    found = []
    for n in range(1, len(parts) + 1):
        base = root.joinpath(*parts[:n])
        if (base / "__init__.py").is_file():
            found.append(base / "__init__.py")
        elif base.with_suffix(".py").is_file():
            found.append(base.with_suffix(".py"))
            break
    return found


@cache
def _data_files(path: Path, root: Path) -> tuple[Path, ...]:
    """Return the files a module declares; raises UserError for one that is no file of the project."""
    found = [(path.parent / name).resolve() for name in facts_of(path, root).data]
    for file in found:
        if not file.is_file() or not file.is_relative_to(root.resolve()):
            raise UserError(f"{path}: DATA_FILES names {file}, which is no file of the project")
    return tuple(root / file.relative_to(root.resolve()) for file in found)


@cache
def _bytes_print(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
