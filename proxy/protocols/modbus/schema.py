"""JSON Schema of what operators write about Modbus; `rules` and `service` are the judges, this helps editors."""

from __future__ import annotations

from proxy.protocols.modbus import pdu as p
from proxy.protocols.modbus.points import TYPES
from proxy.protocols.modbus.rules import LEVELS, OWN_DIAGNOSTICS

_SPAN = r"^(coil|discrete|input|holding) +[0-9]{1,5}(-[0-9]{1,5})?$"
_WRITABLE = r"^(coil|holding) +[0-9]{1,5}(-[0-9]{1,5})?$"
_FILE = r"^[0-9]{1,5} +[0-9]{1,4}(-[0-9]{1,4})?$"


def _one_or_more(item: dict[str, object]) -> dict[str, object]:
    return {"oneOf": [item, {"type": "array", "items": item, "minItems": 1}]}


_UNIT: dict[str, object] = {"type": "integer", "minimum": 0, "maximum": 255}
_SPANS = _one_or_more({"type": "string", "pattern": _SPAN})
_WRITE_SPANS = _one_or_more({"type": "string", "pattern": _WRITABLE})
_FILES = _one_or_more({"type": "string", "pattern": _FILE})

_WINDOW: dict[str, object] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "min": {"type": "number"},
        "max": {"type": "number"},
        "type": {"enum": list(TYPES)},
        "order": {"enum": ["big", "little"]},
        "scale": {"type": "number"},
        "bits": {"type": "integer", "minimum": 0, "maximum": 65535},
        "step": {"type": "number", "exclusiveMinimum": 0},
        "ramp": {"type": "number", "exclusiveMinimum": 0},
    },
}


def _codes(known: frozenset[int]) -> dict[str, object]:
    return _one_or_more({"enum": sorted(known)})


_VERBS: dict[str, object] = {
    "units": _one_or_more(_UNIT),
    "read": {"anyOf": [{"const": "all"}, _SPANS]},
    "write": {
        "anyOf": [
            {"const": "all"},
            _WRITE_SPANS,
            {
                "type": "object",
                "minProperties": 1,
                "patternProperties": {_WRITABLE: _WINDOW},
                "additionalProperties": False,
            },
        ]
    },
    "read-fifo": {"anyOf": [{"const": "all"}, _WRITE_SPANS]},
    "read-file": _FILES,
    "write-file": _FILES,
    "identify": {"enum": list(LEVELS)},
    "diagnose": _one_or_more({"enum": [*sorted(p.DIAGNOSE), *OWN_DIAGNOSTICS]}),
    "control": _codes(p.CONTROL),
    "program": _codes(p.PROGRAM),
    "vendor": _codes(p.VENDOR),
}

_NUMBER: dict[str, object] = {"type": "integer", "minimum": 1, "maximum": 127}

SCHEMA: dict[str, dict[str, object]] = {
    "rule": {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": _VERBS},
    "never": {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {**_VERBS, "function": _one_or_more(_NUMBER)},
    },
    "service": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "units": _one_or_more(_UNIT),
            "connections": {"type": "integer", "minimum": 1, "maximum": 16},
            "pipeline": {"type": "integer", "minimum": 1, "maximum": 64},
            "timeout": {"type": "string", "pattern": "^[0-9]+([.][0-9]+)?(ms|s)$"},
            "answers_other_unit": {"type": "boolean"},
        },
    },
}
