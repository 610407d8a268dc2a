"""JSON Schemas of the site files, for editors. `proxy.site.shapes` is the judge; these are made from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from proxy.site.shapes import Shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from proxy.protocols.base import ProtocolSpec

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schemas(protocols: Mapping[str, ProtocolSpec]) -> dict[str, str]:
    """File name -> text. The same registry gives the same bytes."""
    shapes = Shapes.of(protocols)
    models: dict[str, type[BaseModel]] = {
        "bulkhead": shapes.site,
        "device": shapes.device,
        "role": shapes.role,
        "shift": shapes.shift,
        "surface": shapes.surface,
        "test": shapes.cases,
        "window": shapes.window,
    }
    return {
        f"{name}.schema.json": _text({"$schema": DRAFT, **_tidy(model.model_json_schema())})
        for name, model in models.items()
    }


def _text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2) + "\n"


def _tidy(value: Any) -> Any:
    """Without what only says something about the program: titles made from names, defaults of absent sections."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: item for key, item in value.items() if not _is_noise(key, item)}
    if "patternProperties" in kept:
        kept.setdefault("additionalProperties", False)
    return {key: _tidy(item) for key, item in kept.items()}


def _is_noise(key: str, item: Any) -> bool:
    return (key == "title" and isinstance(item, str)) or (key == "default" and (item is None or isinstance(item, dict)))
