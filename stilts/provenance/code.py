"""Code digests: a hash over everything of this project that a script can run.

Each file of the transitive closure of project-local imports is hashed as a normalised syntax tree, so that comments,
docstrings and formatting change nothing and any real edit changes the digest of exactly the rules that can reach it.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

from stilts.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("stilts", "scripts")
DYNAMIC = {"__import__", "import_module", "exec", "eval", "run_path", "run_module"}


def code_digest(module: str, root: Path = ROOT) -> str:
    """Return the hex digest of a module's closure. Raises UserError on dynamic imports, which no closure can follow."""
    digest = hashlib.sha256()
    for path in closure(module, root):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + _fingerprint(path) + b"\0")
    return digest.hexdigest()[:16]


def closure(module: str, root: Path = ROOT) -> list[Path]:
    """Return the project files that importing a module can execute, sorted: parents' `__init__` and nested imports included."""
    seen: set[Path] = set()
    queue = _files(module, root)
    if not queue:
        raise UserError(f"there is no module {module} below {root}")
    while queue:
        path = queue.pop()
        if path not in seen:
            seen.add(path)
            queue += [found for name in _imports(path, root) for found in _files(name, root)]
    return sorted(seen)


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
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def _imports(path: Path, root: Path) -> tuple[str, ...]:
    names = []
    package = path.relative_to(root).with_suffix("").parts
    package = package[:-1]
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            names += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            start = ".".join(p for p in (base, node.module or "") if p)
            names += [start, *(f"{start}.{a.name}" for a in node.names)]
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            own = not isinstance(node.func, ast.Attribute) or getattr(node.func.value, "id", "") in (
                "importlib",
                "runpy",
            )
            if called in DYNAMIC and own:
                raise UserError(
                    f"{path}:{node.lineno}: {called}() hides what it runs from the code digest; import by name instead"
                )
    return tuple(names)


@cache
def _fingerprint(path: Path) -> bytes:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(getattr(body[0], "value", None), ast.Constant)
        ):
            if isinstance(body[0].value.value, str):
                body[0].value.value = ""
    return hashlib.sha256(ast.dump(tree).encode()).digest()
