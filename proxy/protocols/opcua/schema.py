"""JSON Schema of what operators write about OPC UA; the parsers are the judges, this helps editors."""

from __future__ import annotations

from proxy.protocols.opcua.listener import STANCES, TOKENS, URL
from proxy.protocols.opcua.reading import MODES, NAME, POLICIES
from proxy.protocols.opcua.schema_rule import NEVER, RULE
from proxy.protocols.opcua.service import NO_SECURITY, PATH


def _one_or_more(item: dict[str, object]) -> dict[str, object]:
    return {"oneOf": [item, {"type": "array", "items": item, "minItems": 1}]}


def _text(pattern: str, doc: str) -> dict[str, object]:
    return {"type": "string", "pattern": f"^{pattern}$", "description": doc}


_PAIR = _text(rf"(?!.*\.(crt|der|pem)$){NAME}", "certs/NAME.crt and certs/NAME.key.")
_CERTIFICATE = "certs/NAME.crt; a name with .crt, .der or .pem is the file itself."

_LISTENER: dict[str, object] = {
    "mode": {"enum": list(STANCES), "description": "How the gateway stands in the path."},
    "policies": _one_or_more({"enum": list(POLICIES)}),
    "modes": _one_or_more({"enum": list(MODES)}),
    "users": _one_or_more({"enum": list(TOKENS)}),
    "certificate": _PAIR,
    "trust": _one_or_more(_text(NAME, _CERTIFICATE)),
    "unsafe_none": {"type": "boolean", "description": "Channels without security are taken."},
    "signed": {
        "enum": ["cut"],
        "description": "A relay lets signed channels pass: read, and cut at the first refusal.",
    },
    "url": _text(URL, "What endpoints say; without it what the client dialled."),
}
_SERVICE: dict[str, object] = {
    "security": {"enum": [NO_SECURITY, *POLICIES]},
    "mode": {"enum": list(MODES)},
    "server": _text(NAME, f"The certificate that the server must show: {_CERTIFICATE}"),
    "certificate": _PAIR,
    "login": _text(NAME, "File in certs/: first line user name, second line password."),
    "path": _text(PATH, "The path of the server's URL."),
    "timeout": _text("[0-9]{1,6}(ms|s|min)", "Until a request without an answer is overdue."),
}

SCHEMA: dict[str, dict[str, object]] = {
    "rule": RULE,
    "never": NEVER,
    "service": {"type": "object", "additionalProperties": False, "properties": _SERVICE},
    "listener": {"type": "object", "additionalProperties": False, "properties": _LISTENER},
}
