"""Pydantic's errors in the words of whoever writes the file, with the nearest key and an example."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from proxy.site.problem import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]

_MUST_BE = {
    "string_type": ("text", "quote it"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "float_type": ("a number", "write a plain number, without quotes"),
    "int_type": ("a whole number", "write a plain number, without quotes"),
    "list_type": ("a list", "write [a, b], or one '- a' a line"),
    "dict_type": ("a section of 'key: value' lines", "put the keys under it, indented by two blanks"),
    "model_type": ("a section of 'key: value' lines", "put the keys under it, indented by two blanks"),
}


class Told:
    """One error: where, what is wrong, how to mend, and for names which known ones there are."""

    __slots__ = ("at_key", "finding", "known", "mend", "name", "path", "wrong")

    def __init__(self, finding: Finding, path: Path, wrong: str, mend: str) -> None:
        self.finding = finding
        self.path = path
        self.wrong = wrong
        self.mend = mend
        self.at_key = False
        self.name: str | None = None
        self.known: tuple[str, ...] = ()


def tell(shape: type[BaseModel], error: ErrorDetails) -> Told:
    path: Path = error["loc"]
    kind = error["type"]
    context: Mapping[str, Any] = error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(shape, path)
    if kind == "missing":
        return _missing(shape, path)
    if kind == "literal_error":
        return _no_choice(shape, path, error["input"])
    if path and path[-1] == "[key]":
        told = Told(Finding.BAD_VALUE, path[:-1], str(context.get("wrong", error["msg"])), str(context.get("mend", "")))
        told.at_key = True
        return told
    if kind == "site":
        return Told(Finding.BAD_VALUE, path, context["wrong"], context["mend"])
    if kind in _MUST_BE:
        return _wrong_type(path, kind, error["input"])
    if kind in ("greater_than_equal", "less_than_equal"):
        low = kind == "greater_than_equal"
        limit = context["ge" if low else "le"]
        return Told(Finding.BAD_VALUE, path, f"must be at {'least' if low else 'most'} {limit}", "write another number")
    if kind == "too_short":
        return Told(Finding.BAD_VALUE, path, "the list is empty", "name at least one")
    return Told(Finding.BAD_VALUE, path, error["msg"].lower(), "see docs/schema")


def _unknown_key(shape: type[BaseModel], path: Path) -> Told:
    known = keys_at(shape, path[:-1])
    told = Told(Finding.UNKNOWN_KEY, path, f"unknown key {str(path[-1])[:60]!r}", f"known here: {', '.join(known)}")
    told.at_key, told.name, told.known = True, str(path[-1]), known
    return told


def _missing(shape: type[BaseModel], path: Path) -> Told:
    field = _field_at(shape, path)
    example = _as_written(field.examples[0]) if field is not None and field.examples else "..."
    return Told(Finding.MISSING, path, f"{path[-1]} is missing", f"add for example '{path[-1]}: {example}'")


def _as_written(value: object) -> str:
    """As a line of a site file: plain where that is safe, else in the notation that JSON and YAML share."""
    plain = isinstance(value, str) and not set(value) & set(':*"')
    return str(value) if plain else json.dumps(value)


def _no_choice(shape: type[BaseModel], path: Path, given: object) -> Told:
    field = _field_at(shape, path)
    known = _choices(field.annotation) if field is not None else ()
    if given is None:
        return Told(Finding.BAD_VALUE, path, "the value is empty", f"one of {', '.join(known)}")
    told = Told(Finding.BAD_VALUE, path, f"{quoted(given)} is not known here", f"one of {', '.join(known)}")
    told.name, told.known = str(given), known
    if not isinstance(given, str):
        told.mend = f"one of {', '.join(known)}, quoted" if str(given) in known else told.mend
        told.name = None
    return told


def _wrong_type(path: Path, kind: str, given: object) -> Told:
    must, mend = _MUST_BE[kind]
    if given is None:
        return Told(Finding.BAD_VALUE, path, "the value is empty", f"write {must}")
    if kind == "string_type" and isinstance(given, dict | list):
        mend = "write one word or line of text"
    return Told(Finding.BAD_VALUE, path, f"must be {must}, and {quoted(given)} is not", mend)


def quoted(value: object) -> str:
    """A value from a site file as a report shows it: as written, and never long."""
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "..."


def keys_at(shape: type[BaseModel], path: Path) -> tuple[str, ...]:
    """The keys that the mapping at `path` may have; none where keys are free."""
    kind = kind_at(shape, path)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return tuple(field.alias or name for name, field in kind.model_fields.items())
    return ()


def _field_at(shape: type[BaseModel], path: Path) -> FieldInfo | None:
    while path and isinstance(path[-1], int):
        path = path[:-1]
    owner = kind_at(shape, path[:-1])
    if not (isinstance(owner, type) and issubclass(owner, BaseModel)):
        return None
    return next((f for name, f in owner.model_fields.items() if path and (f.alias or name) == path[-1]), None)


def is_section(kind: Any) -> bool:
    """A mapping of keys, not a value or a list."""
    return get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, BaseModel))


def kind_at(kind: Any, path: Path) -> Any:
    """The type of the value at `path`, through models, dict values and list items."""
    for step in path:
        kind = _bare(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            fields = {field.alias or name: field for name, field in kind.model_fields.items()}
            kind = fields[step].annotation if step in fields else None
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif get_origin(kind) is list:
            kind = get_args(kind)[0]
    return _bare(kind)


def _bare(kind: Any) -> Any:
    """Without Annotated and without ``| None``."""
    while get_origin(kind) is Annotated or type(None) in get_args(kind):
        kind = next(part for part in get_args(kind) if part is not type(None))
    return kind


def _choices(kind: Any) -> tuple[str, ...]:
    kind = _bare(kind)
    if get_origin(kind) is list:
        return _choices(get_args(kind)[0])
    return tuple(str(choice) for choice in get_args(kind))
