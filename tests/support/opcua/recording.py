"""Writes down each service request that reached an asyncua server, decoded by asyncua: one JSON object a line.

The line is on disk before the server acts on the request, so whoever has the answer finds the line.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.server import uaprocessor
from asyncua.ua.ua_binary import struct_from_binary

_QUIET = {"Publish"}
"""Written down by name alone."""
_SUFFIX = "Request_Encoding_DefaultBinary"


@dataclass
class Recorder:
    """``uris`` is the server's NamespaceArray, filled in when it is known."""

    path: Path
    uris: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._file = self.path.open("a", encoding="utf-8", buffering=1)

    def write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")

    def request(self, processor: Any, type_id: ua.NodeId, header: Any, body: Any) -> None:
        name = ua.ObjectIdNames.get(type_id.Identifier, str(type_id)).removesuffix(_SUFFIX)
        session = processor.session
        line: dict[str, Any] = {"service": name, "peer": processor.name[1], **_channel(processor)}
        line["token"] = header.AuthenticationToken.to_string()
        line["user"] = getattr(session.user, "name", None) if session is not None else None
        describe = _DESCRIBE.get(name)
        if describe is not None and name not in _QUIET:
            line |= describe(struct_from_binary(getattr(ua, f"{name}Parameters"), body.copy()), self.node)
        self.write(line)

    def node(self, node: ua.NodeId) -> str:
        """As policy writes it."""
        if node.NamespaceIndex == 0:
            return f"i={node.Identifier}" if isinstance(node.Identifier, int) else node.to_string()
        uri = self.uris[node.NamespaceIndex] if node.NamespaceIndex < len(self.uris) else f"?{node.NamespaceIndex}"
        kind, identifier = "i" if isinstance(node.Identifier, int) else "s", node.Identifier
        if isinstance(identifier, bytes):
            kind, identifier = "b", base64.b64encode(identifier).decode()
        elif not isinstance(identifier, (int, str)):
            kind = "g"
        return f"nsu={uri};{kind}={identifier}"


def install(recorder: Recorder) -> None:
    """From now on every connection of this process is written down."""
    inner: Callable[..., Awaitable[bool]] = uaprocessor.UaProcessor._process_message
    outer: Callable[..., Awaitable[bool]] = uaprocessor.UaProcessor.process

    async def message(self: Any, type_id: Any, header: Any, sequence: Any, body: Any) -> bool:
        recorder.request(self, type_id, header, body)
        return await inner(self, type_id, header, sequence, body)

    async def process(self: Any, header: Any, body: Any) -> bool:
        if header.MessageType == ua.MessageType.Hello:
            hello = struct_from_binary(ua.Hello, body.copy())
            recorder.write({"service": "HEL", "peer": self.name[1], "url": hello.EndpointUrl})
        return await outer(self, header, body)

    # The names are looked up on the class for each message, so this is all it takes.
    uaprocessor.UaProcessor._process_message = message
    uaprocessor.UaProcessor.process = process


def _channel(processor: Any) -> dict[str, str]:
    policy = processor._connection.security_policy
    return {"policy": policy.URI.rpartition("#")[2], "mode": ua.MessageSecurityMode(policy.Mode).name.rstrip("_")}


def plain(value: Any) -> Any:
    """A value as JSON has it, a long one cut."""
    if isinstance(value, ua.Variant):
        return plain(value.Value)
    if isinstance(value, bytes):
        return value[:64].hex()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(one) for one in value]
    return value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)


Name = Callable[[ua.NodeId], str]


def _values(items: Any, node: Name) -> list[dict[str, Any]]:
    return [
        {"node": node(one.NodeId), "attribute": int(one.AttributeId), "range": one.IndexRange or None} for one in items
    ]


def _read(asked: Any, node: Name) -> dict[str, Any]:
    return {"items": _values(asked.NodesToRead, node)}


def _write(asked: Any, node: Name) -> dict[str, Any]:
    items = _values(asked.NodesToWrite, node)
    for item, one in zip(items, asked.NodesToWrite, strict=True):
        item["value"] = plain(one.Value.Value)
        item["status"] = one.Value.StatusCode.value if one.Value.StatusCode is not None else None
    return {"items": items}


def _call(asked: Any, node: Name) -> dict[str, Any]:
    return {
        "items": [
            {"node": node(one.ObjectId), "method": node(one.MethodId), "args": plain(one.InputArguments)}
            for one in asked.MethodsToCall
        ]
    }


def _browse(asked: Any, node: Name) -> dict[str, Any]:
    return {"items": [{"node": node(one.NodeId)} for one in asked.NodesToBrowse]}


def _monitor(asked: Any, node: Name) -> dict[str, Any]:
    return {
        "subscription": asked.SubscriptionId,
        "items": _values([one.ItemToMonitor for one in asked.ItemsToCreate], node),
    }


def _modes(asked: Any, node: Name) -> dict[str, Any]:
    return {"subscription": asked.SubscriptionId, "ids": list(asked.MonitoredItemIds), "to": asked.MonitoringMode.name}


def _dropped(asked: Any, node: Name) -> dict[str, Any]:
    return {"subscription": asked.SubscriptionId, "ids": list(asked.MonitoredItemIds)}


def _history(asked: Any, node: Name) -> dict[str, Any]:
    return {"items": [{"node": node(one.NodeId)} for one in asked.NodesToRead]}


def _create(asked: Any, node: Name) -> dict[str, Any]:
    return {
        "url": asked.EndpointUrl,
        "server": asked.ServerUri,
        "application": asked.ClientDescription.ApplicationUri,
        "certificate": asked.ClientCertificate.hex() if asked.ClientCertificate else None,
    }


def _activate(asked: Any, node: Name) -> dict[str, Any]:
    token = asked.UserIdentityToken
    said = {"kind": type(token).__name__, "policy_id": getattr(token, "PolicyId", None)}
    said["name"] = getattr(token, "UserName", None)
    said["encryption"] = getattr(token, "EncryptionAlgorithm", None)
    return {"said": said}


def _endpoints(asked: Any, node: Name) -> dict[str, Any]:
    return {"url": asked.EndpointUrl}


_DESCRIBE: dict[str, Callable[[Any, Name], dict[str, Any]]] = {
    "Read": _read,
    "Write": _write,
    "Call": _call,
    "Browse": _browse,
    "CreateMonitoredItems": _monitor,
    "SetMonitoringMode": _modes,
    "DeleteMonitoredItems": _dropped,
    "HistoryRead": _history,
    "CreateSession": _create,
    "ActivateSession": _activate,
    "GetEndpoints": _endpoints,
    "FindServers": _endpoints,
}
