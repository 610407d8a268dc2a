"""JSON Schema of what operators write about MQTT; `rules` and `service` are the judges, this helps editors."""

from __future__ import annotations

from proxy.protocols.mqtt.actions import VERSIONS
from proxy.protocols.mqtt.rules import OF_TOPICS
from proxy.protocols.mqtt.service import ON_LOST_SUBSCRIPTION, WILL

_LEVEL = "(([^+#/{}]|[{]device[}])*|[{]place[}]|[+])"
_WHOLE = f"(?=.)({_LEVEL}(/{_LEVEL})*(/#)?|#)$"
_FILTER = r"(?!\$share(/|$))" + _WHOLE
_SHARED = r"^\$share/([^/+#{}]|[{]device[}])+/" + _FILTER
_PLAIN_FILTER = r"^(?!\$share(/|$))(?=.)(([^+#/{}]*|[+])(/([^+#/{}]*|[+]))*(/#)?|#)$"
_TIME = "^[0-9]{1,6}(ms|s|min|h)$"


def _one_or_more(item: dict[str, object]) -> dict[str, object]:
    return {"oneOf": [item, {"type": "array", "items": item, "minItems": 1}]}


def _text(pattern: str, doc: str, *examples: str) -> dict[str, object]:
    return {"type": "string", "pattern": pattern, "description": doc, "examples": list(examples)}


_SIZE: dict[str, object] = {
    "oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{1,9}(B|KiB|MiB)?$"}]
}
_NAMES = _one_or_more({"type": "string", "pattern": "^([^{}]|[{]device[}]){1,128}$"})
_TOPICS = _one_or_more(
    _text(
        f"^{_FILTER}",
        "A topic filter: + is one level, # the rest; {device} and {place} are the proved names of the speaker.",
        "{place}/{device}/#",
    )
)
_CONNECT: dict[str, object] = {
    "oneOf": [
        {"const": "all"},
        {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {
                "client_id": _NAMES,
                "user": _NAMES,
                "versions": _one_or_more({"enum": list(VERSIONS)}),
            },
        },
    ]
}
_VERBS: dict[str, object] = {
    "connect": _CONNECT,
    **dict.fromkeys(OF_TOPICS, _TOPICS),
    "subscribe": _TOPICS,
    "share": _one_or_more(
        _text(_SHARED, "$share/GROUP/FILTER; * in the group is any text.", "$share/workers/{place}/#")
    ),
}

SCHEMA: dict[str, dict[str, object]] = {
    "rule": {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {**_VERBS, "qos": {"enum": [0, 1, 2]}, "max_bytes": _SIZE},
    },
    "never": {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": _VERBS},
    "service": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "commands": {
                "oneOf": [
                    _text(_PLAIN_FILTER, "Filters of the topics where a publish is a command.", "spBv1.0/+/NCMD/#"),
                    {"type": "array", "items": {"type": "string", "pattern": _PLAIN_FILTER}},
                ]
            },
            "max_packet": _SIZE,
            "keep_alive": {"type": "string", "pattern": _TIME},
            "session_expiry": {"type": "string", "pattern": _TIME},
            "will_delay": {"type": "string", "pattern": _TIME},
            "receive_maximum": {"type": "integer", "minimum": 1, "maximum": 65535},
            "login": {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"},
            "will": {"enum": list(WILL)},
            "on_lost_subscription": {"enum": list(ON_LOST_SUBSCRIPTION)},
        },
    },
}
