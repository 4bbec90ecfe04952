"""YAML files as their authors meant them: what PyYAML and Snakemake take without a word is refused.

Of a key that stands twice the last one counts, so half a study could be lost.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from stilts.errors import UserError

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it: five times as fast


def read_yaml(path: Path) -> Any:
    """Return what a file holds.

    Raises UserError naming the keys that one mapping holds more than once, with their lines; OSError, ValueError or
    yaml.YAMLError where the file cannot be read or is no YAML.
    """
    loader = Loader(path.read_text(encoding="utf-8"))
    try:
        top = loader.get_single_node()
        if problems := _repeats(top, (), set()):
            raise UserError(f"{path} holds a key twice, and only the last would count:\n" + "\n".join(problems))
        return None if top is None else loader.construct_document(top)
    finally:
        loader.dispose()


def check_configfile(path: Path, nameless: bool) -> None:
    """Raise UserError for a configuration file that does not say what it seems to say.

    nameless: no file names an experiment, so config.yaml is the one that they change.
    """
    try:
        read = read_yaml(path)
    except (OSError, ValueError, yaml.YAMLError):  # Snakemake has read it; JSON with tabs is none of ours
        read = None
    if nameless and path.parent.name == "experiments" and not (isinstance(read, dict) and "experiment" in read):
        raise UserError(
            f"{path}: names no experiment, so it would change config.yaml's and write over its results; begin it "
            f"with `experiment: {path.stem}` (then what it does not name takes its default)"
        )


def _repeats(node: yaml.Node | None, place: tuple[str, ...], seen: set[int]) -> list[str]:
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return []  # an alias (`*name`) is the very node that it names
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        return [line for part in node.value for line in _repeats(part, place, seen)]
    found, lines = {}, []
    for key, value in node.value:
        here, line = (*place, str(key.value)), key.start_mark.line + 1
        if here in found:
            lines.append(f"  {'.'.join(here)}: in line {found[here]} and in line {line}; make one of them")
        found.setdefault(here, line)
        lines += _repeats(value, here, seen)
    return lines
