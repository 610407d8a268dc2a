"""JSON Schema of what rules say about OPC UA; `rules` is the judge, this helps editors."""

from __future__ import annotations

from proxy.protocols.opcua.actions import MODES
from proxy.protocols.opcua.rules import ATTRIBUTED, MOST_USER, NAMED, VERBS
from proxy.protocols.opcua.words import ATTRIBUTES

Json = dict[str, object]

_URI = "nsu=([^;%]|%25|%3[Bb])+"
_GUID = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_ONE = f"(i=[0-9]{{1,10}}|{_URI};(i=[0-9]{{1,10}}|g={_GUID}|b=[A-Za-z0-9+/]+=*|s=.+))"
_NODE = f"(under +{_ONE}|{_URI}|{_ONE})"
_AT = f"( +@ +({'|'.join(ATTRIBUTES)}|[0-9]{{1,10}}))"
_NUMBER: Json = {"type": "number"}
_ABOVE_ZERO: Json = {"type": "number", "exclusiveMinimum": 0}
_BOUNDS: Json = {"min": _NUMBER, "max": _NUMBER}
_LIMITS: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **_BOUNDS,
        "step": {**_ABOVE_ZERO, "description": "How far a number may lie from the last one seen."},
        "ramp": {**_ABOVE_ZERO, "description": "How far it may move within a minute."},
        "status": {"const": "any", "description": "Another StatusCode than Good may be written along."},
    },
}
_ARGUMENT: Json = {
    "oneOf": [
        {"const": "any"},
        {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": _BOUNDS},
    ]
}
_ARGS: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"args": {"type": "array", "items": _ARGUMENT}},
}
_NOTHING: Json = {"type": "object", "additionalProperties": False, "properties": {}}
_DOC = (
    "i=2258 in namespace 0, nsu=URI;s=NAME with * for any text, nsu=URI for a namespace, 'under' for a node and what "
    "lies below it."
)


def _section(*, never: bool) -> Json:
    properties = {verb: _verb(verb, never) for verb in VERBS}
    return {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {**properties, "users": _USERS, "security": _one_or_more({"enum": list(MODES)})},
        "anyOf": [{"required": [verb]} for verb in VERBS],
    }


def _verb(verb: str, never: bool) -> Json:
    everything = never or verb not in NAMED
    pattern = _pattern(verb, everything)
    item: Json = {"type": "string", "pattern": f"^{pattern}$", "description": _DOC, "examples": _examples(verb)}
    if verb not in ("write", "call"):
        return _one_or_more(item)
    said = _NOTHING if never else _LIMITS if verb == "write" else _ARGS
    lines: Json = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "patternProperties": {f"^{pattern}$": said},
    }
    return {"oneOf": [item, _list_of(item), lines]}


def _pattern(verb: str, everything: bool) -> str:
    node = f"(all|{_NODE})" if everything else _NODE
    if verb == "call":
        star = r"(all|\*)"
        pair = f"({star}|{_NODE}) +-> +({star}|{_URI}|{_ONE})" if everything else f"{_NODE} +-> +{_ONE}"
        return f"(all|{pair})" if everything else pair
    return f"{node}{_AT}?" if verb in ATTRIBUTED else node


def _examples(verb: str) -> list[str]:
    if verb == "call":
        return ["nsu=urn:robot:7;s=Robot -> nsu=urn:robot:7;s=Reset"]
    return ["nsu=urn:robot:7;s=Line1.Speed", "under nsu=urn:robot:7;s=Cell4"]


def _list_of(item: Json) -> Json:
    return {"type": "array", "items": item, "minItems": 1}


def _one_or_more(item: Json) -> Json:
    return {"oneOf": [item, _list_of(item)]}


_USERS = _one_or_more(
    {
        "type": "string",
        "pattern": f"^[^{{]{{1,{MOST_USER}}}$",
        "description": "User names, * for any text; the word anonymous for sessions without a user.",
        "examples": ["anonymous", "operator*"],
    }
)

RULE: Json = _section(never=False)
NEVER: Json = _section(never=True)
