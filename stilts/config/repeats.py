"""Keys that stand twice in a YAML file: PyYAML takes the last one and says nothing, so half a study could be lost."""

from __future__ import annotations

from pathlib import Path

import yaml

from stilts.errors import UserError

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it: five times as fast


def refuse_repeats(path: Path) -> None:
    """Raise UserError naming the keys that one mapping of the file holds more than once, with their lines.

    A file that is no YAML, or cannot be read, is left to whoever reads it next.
    """
    try:
        top = yaml.compose(path.read_text(encoding="utf-8"), Loader=Loader)
    except (OSError, ValueError, yaml.YAMLError):
        return
    if problems := _repeats(top, (), set()):
        raise UserError(f"{path} holds a key twice, and only the last would count:\n" + "\n".join(problems))


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
