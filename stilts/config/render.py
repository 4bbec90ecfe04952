"""Write the configuration's three faces from its models: commented defaults, JSON schema, documentation.

What a key means is said once, in `stilts/config/models.py`; a test proves that the files agree with it.
"""

from __future__ import annotations

import json
import types
import typing
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from stilts.config.messages import yaml_float
from stilts.config.models import Config
from stilts.config.training import TrainingChange
from stilts.tasks.spec import TaskSpec

WIDTH = 110
HEAD = """\
# yaml-language-server: $schema=config.schema.json
# The default experiment: {title}. Every key with its default and its meaning.
# Written by `make config` from stilts/config/models.py. To run something else, leave this file as it is and put
# what differs into experiments/<name>.yaml, then `make reproduce EXPERIMENT=<name>`.
"""


def render_all() -> dict[str, str]:
    """Return the content of every generated file by its path from the project root."""
    return {"config.yaml": render_yaml(), "config.schema.json": render_schema(), "docs/configuration.md": render_docs()}


def render_yaml() -> str:
    """Return `config.yaml`; reading it back gives the models' defaults exactly."""
    config = Config()
    return HEAD.format(title=config.title) + "\n".join(_keys(config, "", {})) + "\n"


def _keys(model: BaseModel, at: str, explained: dict[type, str], only: set[str] | None = None) -> list[str]:
    """Return the lines of a model's keys, comments above them.

    at: the place in the file; explained: models whose keys already have comments, and where; only: keys to write.
    """
    lines, first = [], type(model) not in explained
    explained.setdefault(type(model), at)
    for name, field in type(model).model_fields.items():
        if only is not None and name not in only:
            continue
        value = getattr(model, name)
        comment = _describe(field) if first else ""
        if isinstance(value, BaseModel) and type(value) in explained:
            comment = f"{comment} Keys: see `{explained[type(value)]}`.".strip()
        lines += ([""] if not at else []) + [f"# {line}" for line in _wrap(comment)]
        lines += _entry(name, value, f"{at}.{name}" if at else name, explained)
    return lines


def _entry(name: str, value: Any, at: str, explained: dict[type, str], only: set[str] | None = None) -> list[str]:
    if isinstance(value, TrainingChange):  # the keys of `defaults`, of which only those that are set mean anything
        return [f"{name}: {_flow(value)}"]
    if isinstance(value, BaseModel):
        inner = _keys(value, at, explained, only)
    elif isinstance(value, dict) and any(isinstance(v, BaseModel) for v in value.values()):
        inner = []
        for key, item in value.items():
            # The first of its kind shows every key, the others what they change; a `TrainingChange` never has them all.
            known = type(item) in explained or isinstance(item, TrainingChange)
            explained.setdefault(TrainingChange, at)
            inner += _entry(key, item, f"{at}.{key}", explained, item.model_fields_set if known else None)
    else:
        return [f"{name}: {_flow(value)}"]
    return [f"{name}:", *(f"  {line}" if line else "" for line in inner)] if inner else [f"{name}: {{}}"]


def _flow(value: Any) -> str:
    """Return a value as one line of YAML 1.1 that reads back as itself."""
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_unset=True)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, float):
        return yaml_float(value)
    # In a list, so that text which needs quotes there gets them.
    return yaml.safe_dump([value], default_flow_style=True, width=10**6, allow_unicode=True).strip()[1:-1]


def _describe(field: FieldInfo) -> str:
    """Return a key's sentence; a section without one has its model's."""
    if field.description or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
        return field.description or ""
    return _first_line(field.annotation)


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").split("\n\n", maxsplit=1)[0].replace("\n    ", " ").strip()


def _wrap(text: str) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + len(word) < WIDTH:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def render_schema() -> str:
    """Return `config.schema.json`, with which an editor completes and checks configuration files."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


DOCS_HEAD = """\
# Configuration

Written by `make config` from `stilts/config/models.py` and `stilts/tasks/spec.py`; do not edit.

`config.yaml` is the default experiment with every key. A file `experiments/<name>.yaml` begins with a line
`experiment: <name>`, names what differs, and runs with `make reproduce EXPERIMENT=<name>`, or
`snakemake --configfile experiments/<name>.yaml`. A section it does not name is the one of `config.yaml` (with real
data: `tasks` is empty, `intermediate` and `target` are ordinary); in a
section that it names, the other keys have the ordinary defaults of the tables below. A list, and a mapping of names
(`recipes`, `backbones`), replaces the default one.
Several files after `--configfile` are laid over each other, the last one wins. A file that names no experiment changes
single keys of `config.yaml` and runs under its name, over its results; files of `experiments/` have to name theirs.

Nothing is guessed: an unknown key, a value of the wrong type and a name that nothing defines are errors, told together
before anything runs.

YAML has three traps. A number with an exponent needs a dot (`1.0e-5`; `1e-5` is read as text), and the bare words `no`,
`off`, `yes` and `on` are read as truth values (write the Norwegian language as `"no"`); of a key that stands twice
the last one counts. All are caught with a message.

Memory and where jobs run are no part of an experiment: they are in `profiles/` and on Snakemake's command line.
"""
TASK_HEAD = """\
# Task files

One file `tasks/<task>.yaml` describes one data set. An experiment may replace single keys of it under `tasks.<task>`.
"""


def render_docs() -> str:
    """Return `docs/configuration.md`: one table a section, in the order of `config.yaml`."""
    parts = [DOCS_HEAD, *_tables(Config), TASK_HEAD, *_tables(TaskSpec)]
    return "\n".join(parts)


def _tables(root: type[BaseModel]) -> list[str]:
    schema = root.model_json_schema()
    schemas = {root.__name__: schema, **schema.get("$defs", {})}
    tables = []
    for model, where in _places(root).items():
        if model is TrainingChange:  # the keys of Training once more, all optional
            continue
        heading = (
            ", ".join(f"`{w}`" for w in where if w)
            or f"Top level of {'config.yaml' if root is Config else 'a task file'}"
        )
        properties = schemas[model.__name__]["properties"]
        rows = [_row(name, field, properties[name]) for name, field in model.model_fields.items()]
        table = ["| key | value | default | meaning |", "|---|---|---|---|", *rows]
        tables.append("\n".join([f"## {heading}", "", _first_line(model), "", *table, ""]))
    return tables


def _places(root: type[BaseModel]) -> dict[type[BaseModel], list[str]]:
    """Return, for each model, the places of the file where it stands, in the order of a walk from the top."""
    found: dict[type[BaseModel], list[str]] = {}

    def walk(annotation: Any, at: str) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.setdefault(annotation, []).append(at)
            for name, field in annotation.model_fields.items():
                walk(field.annotation, f"{at}.{name}" if at else name)
        elif typing.get_origin(annotation) is dict:
            walk(typing.get_args(annotation)[1], f"{at}.<name>")
        elif typing.get_origin(annotation) in (typing.Union, types.UnionType):
            for part in typing.get_args(annotation):
                walk(part, at)

    walk(root, "")
    return found


def _row(name: str, field: FieldInfo, schema: dict) -> str:
    value = field.get_default(call_default_factory=True)
    if field.is_required():
        default = "required"
    elif isinstance(value, BaseModel) or (isinstance(value, dict) and value):
        default = "see `config.yaml`"
    else:
        default = "empty" if value in ("", [], {}) else f"`{_flow(value)}`"
    cells = [f"`{name}`", _kind(schema), default, _describe(field)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kind(schema: dict) -> str:
    """Return in words what a key takes, from its JSON schema."""
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "$ref" in schema:
        return "section"
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema["type"] == "array":
        return f"list of {_kind(schema['items'])}"
    if schema["type"] == "object":
        values = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        inner = next((_kind(v) for v in values if isinstance(v, dict) and ("type" in v or "$ref" in v)), "")
        return "name: " + inner if inner else "mapping"
    words = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`", "null": "`null`"}
    word = words.get(schema["type"], "name" if "pattern" in schema else "text")
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return word + ",".join(f" {sign} {schema[limit]:g}" for limit, sign in limits.items() if limit in schema)
