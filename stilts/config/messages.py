"""Say in a user's words what a typed model rejects: where, what is wrong, what to write instead."""

from __future__ import annotations

import types
import typing
from typing import Any

from pydantic import BaseModel, ValidationError

from stilts.errors import did_you_mean

NAME_RULE = 'must be a name: letters and digits, then also "_", ".", "+" and "-"; no space'


def explain(error: ValidationError, root: type[BaseModel], at: str = "") -> list[str]:
    """Return one line a mistake, `place: what to mend`, without double lines.

    root: the model that was validated; at: where it lies in the file, put before every place.
    """
    groups: dict[tuple, list[tuple[dict, bool]]] = {}
    for e in error.errors():
        place, known, union = _walk(root, e["loc"])
        # All members of a union complain: those about its parts are meant, the others only missed the type.
        key = place if union is None else place[:union]
        groups.setdefault(key, []).append(({**e, "place": place, "known": known}, union is not None))
    lines = []
    for key, found in groups.items():
        inner = [e for e, union in found if not union or len(e["place"]) > len(key)]
        if inner:
            lines += [(e["place"], _say(e)) for e in inner]
        else:
            lines.append((key, _say_union([e for e, _ in found])))
    return list(
        dict.fromkeys(f"{'.'.join([*filter(None, [at]), *place]) or 'config'}: {text}" for place, text in lines)
    )


def _walk(root: Any, loc: tuple) -> tuple[tuple[str, ...], list[str], int | None]:
    """Follow pydantic's location through the types.

    Returns the place as the user knows it (no names of union members), the keys known beside the last one, and how
    long the place was where a union began (None: there was none).
    """
    here, place, known, union = root, [], [], None
    for part in loc:
        members = _members(here)
        if len(members) > 1:
            union = len(place)
            tag = str(part).split("[", maxsplit=1)[0]
            here = next((m for m in members if tag in str(typing.get_origin(m) or m).lower()), None)
            continue
        here = members[0] if members else None
        if part == "[key]":
            continue
        place.append(str(part))
        known = []
        if isinstance(here, type) and issubclass(here, BaseModel):
            known = list(here.model_fields)
            field = here.model_fields.get(str(part))
            here = field.annotation if field else None
        elif typing.get_args(here):
            here = typing.get_args(here)[-1]
        else:
            here = None
    return tuple(place), known, union


def _members(annotation: Any) -> list:
    """Return what an annotation may be, without `Annotated` and without None."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [a for a in typing.get_args(annotation) if a is not type(None)]
    return [] if annotation is None else [annotation]


def _say_union(errors: list[dict]) -> str:
    trap = _trap(errors[0]["input"], {e["type"] for e in errors})
    wishes = dict.fromkeys(_plain(e["msg"]).removeprefix("must be ") for e in errors)
    return trap or f"must be {' or '.join(wishes)} (it is {errors[0]['input']!r})"


def _say(error: dict) -> str:
    kind, value = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return f"unknown key.{did_you_mean(error['place'][-1], error['known'])}"
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    trap = _trap(value, {kind})
    if trap:
        return trap
    if kind == "too_short" and not value:
        return "must name at least one"
    if kind == "string_pattern_mismatch":
        return f"{NAME_RULE} (it is {value!r})"
    if kind in ("model_type", "dict_type"):
        return f"must be a mapping of keys to values (it is {value!r})"
    return f"{_plain(error['msg'])} (it is {value!r})"


def _plain(message: str) -> str:
    message = message.replace("Input should be", "must be", 1)
    return message.replace("a valid integer", "an integer").replace("a valid ", "a ").replace("a string", "text")


def _trap(value: Any, kinds: set[str]) -> str:
    """Return what to say where YAML 1.1 has read something else than the user wrote, else the empty string."""
    numeric = {"float_type", "int_type", "float_parsing", "int_parsing"}
    if isinstance(value, str) and kinds & numeric and _is_number(value):
        if "int_type" in kinds and float(value).is_integer():
            return f'"{value}" is text, not a number. Write {int(float(value))}'
        return (
            f'"{value}" is text, not a number: YAML wants a dot in it and no quotes. Write {yaml_float(float(value))}'
        )
    if isinstance(value, bool) and kinds & {"string_type", "literal_error", *numeric}:
        bare = "no, off or false" if value is False else "yes, on or true"
        if kinds & {"string_type", "literal_error"}:
            return f'YAML reads a bare {bare} as {value}: put quotes around it ("no" is Norwegian)'
        return f"must be a number; YAML reads a bare {bare} as {value}"
    if isinstance(value, (int, float)) and "string_type" in kinds:
        return f'must be text, and {value} is a number: write "{value}" in quotes'
    return ""


def yaml_float(number: float) -> str:
    """Return a number as YAML 1.1 reads it back: `1.0e-5`, never `1e-05`, which is text there."""
    text = repr(number)
    if "e" in text and "." not in text:
        mantissa, exponent = text.split("e")
        return f"{mantissa}.0e{int(exponent):+d}"
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
