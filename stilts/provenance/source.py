"""What one file of Python code says for a digest: the modules it imports, its fingerprint, the data files it declares.

Facts depend on the bytes of the file and its package alone, so they are remembered from run to run, as `.pyc` files are
and beside them: parsing all code costs half a second at every start of the workflow.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from stilts.errors import UserError

PACKAGES = ("stilts", "scripts")
DYNAMIC = {"__import__", "exec", "eval"}
DYNAMIC_METHODS = {"import_module", "run_path", "run_module"}
LOADERS = ("importlib", "runpy", "pkgutil", "imp", "zipimport")
HARMLESS = {"importlib.metadata", "importlib.resources"}  # they read files and import nothing
MOST = 2000  # facts remembered; more are those of files that changed since


@dataclass(frozen=True)
class Facts:
    """imports: full names, of modules or of names in them; data: declared file names, from the file's folder."""

    imports: tuple[str, ...]
    fingerprint: str
    data: tuple[str, ...]


@cache
def facts_of(path: Path, root: Path) -> Facts:
    """Return the facts of a file. Raises UserError for what no closure can follow, naming the line."""
    code, package = path.read_bytes(), path.relative_to(root).parent.parts
    name = hashlib.sha256("/".join(package).encode() + b"\0" + code).hexdigest()
    known = _memory().get(name)
    if known is None:
        known = _memory()[name] = _read(code, path, package)
        _remember()
    return known


def _read(code: bytes, path: Path, package: tuple[str, ...]) -> Facts:
    tree = ast.parse(code, str(path))
    return Facts(_imports(tree, path, package), fingerprint_of(tree), _declared(tree, path))


def _imports(tree: ast.Module, path: Path, package: tuple[str, ...]) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(tree):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            start = ".".join(p for p in (base, node.module or "") if p)
            # `from a import b`: b is a module or a name of a, so both files count; the module itself is no loader.
            found = [f"{start}.{a.name}" for a in node.names]
            if start.split(".")[0] in PACKAGES and any(a.name == "*" for a in node.names):
                raise _hidden(path, node, f"from {start} import *")
            names.append(start)
        elif isinstance(node, ast.Call):
            name, method = getattr(node.func, "id", ""), getattr(node.func, "attr", "")
            if name in DYNAMIC or method in DYNAMIC_METHODS:
                raise _hidden(path, node, f"{name or method}()")
        for name in found:
            if name.split(".")[0] in LOADERS and ".".join(name.split(".")[:2]) not in HARMLESS:
                raise _hidden(path, node, f"import of {name}")
        names += found
    return tuple(dict.fromkeys(names))


def _hidden(path: Path, node: ast.stmt | ast.expr, what: str) -> UserError:
    return UserError(f"{path}:{node.lineno}: {what} hides what it runs from the code digest; import by name instead")


def _declared(tree: ast.Module, path: Path) -> tuple[str, ...]:
    for node in tree.body:
        if "DATA_FILES" in [getattr(t, "id", "") for t in getattr(node, "targets", [])]:
            try:
                return tuple(map(str, ast.literal_eval(node.value)))
            except (ValueError, TypeError):
                raise UserError(f"{path}:{node.lineno}: DATA_FILES must be a literal tuple of file names") from None
    return ()


def fingerprint_of(tree: ast.Module) -> str:
    """Return a hash of a syntax tree without its docstrings, the same under every version of Python."""
    return hashlib.sha256(_dump(tree).encode()).hexdigest()[:12]


def _dump(node: object) -> str:
    """Return a syntax tree as text. Unset fields, which new versions of Python add, are left out."""
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in sorted(node._fields))
        shown = ((name, _body(value) if name == "body" else value) for name, value in fields)
        inside = ",".join(f"{name}={_dump(value)}" for name, value in shown if value is not None and value != [])
        return f"{type(node).__name__}({inside})"
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    return repr(node)


def _body(value: object) -> object:
    """Return a body without its docstring, wherever it stands."""
    return value[1:] if isinstance(value, list) and value and _is_text(value[0]) else value


def _is_text(node: ast.AST) -> bool:
    value = getattr(node, "value", None)
    return isinstance(node, ast.Expr) and isinstance(value, ast.Constant) and isinstance(value.value, str)


# --- remembered facts


@cache
def _place() -> Path:
    """Return the file of remembered facts; another version of this module has another."""
    own = Path(__file__)
    return own.parent / "__pycache__" / f"facts-{hashlib.sha256(own.read_bytes()).hexdigest()[:12]}.json"


@cache
def _memory() -> dict[str, Facts]:
    try:
        raw = json.loads(_place().read_text(encoding="utf-8"))
        return {n: Facts(tuple(f["imports"]), f["fingerprint"], tuple(f["data"])) for n, f in raw.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _remember() -> None:
    known = dict(list(_memory().items())[-MOST:])
    part = _place().with_name(f"{_place().name}.{os.getpid()}")
    with suppress(OSError):  # a folder that is not ours to write
        part.parent.mkdir(exist_ok=True)
        part.write_text(json.dumps({name: asdict(facts) for name, facts in known.items()}), encoding="utf-8")
        part.replace(_place())
