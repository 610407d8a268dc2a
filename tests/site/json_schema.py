"""As much of JSON Schema (draft 2020-12) as our schemas use. An unknown keyword is an error, not a pass."""

from __future__ import annotations

import re
from typing import Any

Schema = dict[str, Any]

SILENT = {"$schema", "$defs", "description", "default", "examples"}
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def faults(schema: Schema, value: Any, root: Schema | None = None, path: str = "") -> list[str]:
    """What is wrong with `value`, as paths and keywords; empty if it is valid."""
    root = schema if root is None else root
    found: list[str] = []
    for keyword, argument in schema.items():
        if keyword not in SILENT:
            found += _CHECKS[keyword](argument, value, root, path, schema)
    return found


def _type(argument: str, value: Any, root: Schema, path: str, schema: Schema) -> list[str]:
    fits = isinstance(value, TYPES[argument]) and (argument == "boolean" or not isinstance(value, bool))
    return [] if fits else [f"{path}: type {argument}"]


def _ref(argument: str, value: Any, root: Schema, path: str, schema: Schema) -> list[str]:
    target: Any = root
    for step in argument.removeprefix("#/").split("/"):
        target = target[step]
    return faults(target, value, root, path)


def _properties(argument: dict[str, Schema], value: Any, root: Schema, path: str, schema: Schema) -> list[str]:
    known = [
        (argument[key], value[key], f"{path}.{key}") for key in argument if isinstance(value, dict) and key in value
    ]
    return [fault for part, item, where in known for fault in faults(part, item, root, where)]


def _patterns(argument: dict[str, Schema], value: Any, root: Schema, path: str, schema: Schema) -> list[str]:
    items = value.items() if isinstance(value, dict) else ()
    return [
        fault
        for pattern, part in argument.items()
        for key, item in items
        if re.search(pattern, key)
        for fault in faults(part, item, root, f"{path}.{key}")
    ]


def _additional(argument: bool | Schema, value: Any, root: Schema, path: str, schema: Schema) -> list[str]:
    if argument is True or not isinstance(value, dict):
        return []
    patterns = schema.get("patternProperties", {})
    known = schema.get("properties", {})
    more = [key for key in value if key not in known and not any(re.search(p, key) for p in patterns)]
    if argument is False:
        return [f"{path}.{key}: additional" for key in more]
    return [fault for key in more for fault in faults(argument, value[key], root, f"{path}.{key}")]


def _required(argument: list[str], value: Any, root: Schema, path: str, schema: Schema) -> list[str]:
    return [f"{path}.{key}: required" for key in argument if isinstance(value, dict) and key not in value]


def _items(argument: Schema, value: Any, root: Schema, path: str, schema: Schema) -> list[str]:
    items = enumerate(value) if isinstance(value, list) else ()
    return [fault for at, item in items for fault in faults(argument, item, root, f"{path}[{at}]")]


def _any_of(argument: list[Schema], value: Any, root: Schema, path: str, schema: Schema) -> list[str]:
    return [] if any(not faults(part, value, root, path) for part in argument) else [f"{path}: anyOf"]


def _one_of(argument: list[Schema], value: Any, root: Schema, path: str, schema: Schema) -> list[str]:
    return [] if sum(not faults(part, value, root, path) for part in argument) == 1 else [f"{path}: oneOf"]


def _simple(keyword: str, argument: Any, value: Any) -> bool:
    match keyword:
        case "enum":
            return any(value == one and type(value) is type(one) for one in argument)
        case "const":
            return bool(value == argument)
        case "pattern":
            return not isinstance(value, str) or re.search(argument, value) is not None
        case "minimum":
            return not isinstance(value, int | float) or value >= argument
        case "exclusiveMinimum":
            return not isinstance(value, int | float) or value > argument
        case "maximum":
            return not isinstance(value, int | float) or value <= argument
        case "minLength":
            return not isinstance(value, str) or len(value) >= argument
        case "maxLength":
            return not isinstance(value, str) or len(value) <= argument
        case "minItems":
            return not isinstance(value, list) or len(value) >= argument
        case "minProperties":
            return not isinstance(value, dict) or len(value) >= argument
    raise KeyError(keyword)


def _plain(keyword: str) -> Any:
    def check(argument: Any, value: Any, root: Schema, path: str, schema: Schema) -> list[str]:
        return [] if _simple(keyword, argument, value) else [f"{path}: {keyword}"]

    return check


_CHECKS: dict[str, Any] = {
    "type": _type,
    "$ref": _ref,
    "properties": _properties,
    "patternProperties": _patterns,
    "additionalProperties": _additional,
    "required": _required,
    "items": _items,
    "anyOf": _any_of,
    "oneOf": _one_of,
    **{
        word: _plain(word)
        for word in (
            "enum",
            "const",
            "pattern",
            "minimum",
            "exclusiveMinimum",
            "maximum",
            "minLength",
            "maxLength",
            "minItems",
            "minProperties",
        )
    },
}
