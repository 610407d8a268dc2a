"""Reads what the tap in front of the robot wrote down: UA-TCP without security, decoded by asyncua."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary

from proxy.demo.recording import Arrived, Lines

if TYPE_CHECKING:
    from pathlib import Path

HEAD, BODY = 8, 24
"""Bytes of a chunk in front of everything, and in front of a service's bytes where nothing is encrypted (OPC 10000-6,
6.7.2): type, size, channel, token, sequence number, request id."""
LEAST = {b"HEL": 32, b"OPN": 24, b"MSG": BODY, b"CLO": BODY}
MOST = 1 << 20
SUFFIX = "_Encoding_DefaultBinary"


@dataclass(slots=True)
class RobotLink:
    """One connection of the gateway to the robot. ``rest``: bytes that are no whole chunk yet; ``begun``: chunks of a
    message that is not whole yet. ``standing``: it is the panel's."""

    rest: bytes = b""
    begun: bytes = b""
    standing: bool = False
    said: Counter[bytes] = field(default_factory=Counter)


class RobotRecording:
    """``bystander``: ApplicationUri of the client that reads all the time. Only the first connection with a session of
    that name is its own: until it came, nothing is given. Raises as `Lines` does.

    ``said``: the bystander's requests so far, as `proxy.demo.robot_words` tells them.
    """

    def __init__(self, path: Path, bystander: str) -> None:
        self._lines = Lines(path)
        self.bystander = bystander
        self._awaited = True
        self._open: dict[int, RobotLink] = {}
        self._rest = b""
        self._fresh: Counter[bytes] = Counter()
        self.said: Counter[bytes] = Counter()

    def take(self) -> Arrived:
        """What came since the last time, on all connections but the bystander's."""
        self.refresh()
        arrived = Arrived(self._fresh, self._rest)
        self._fresh, self._rest = Counter(), b""
        arrived.rest += b"".join(link.rest + link.begun for link in self._open.values() if not link.standing)
        return arrived

    def open_links(self) -> int:
        """Connections that are up, but the bystander's."""
        self.refresh()
        return sum(not link.standing for link in self._open.values())

    def refresh(self) -> None:
        for line in self._lines.fresh():
            link = self._open.setdefault(line.link, RobotLink())
            self._note(link, line.data)
            if not line.data:
                self._settle(link)
                self._rest += link.rest + link.begun  # half a message that will never be whole
                del self._open[line.link]
        if not self._awaited:
            for link in self._open.values():
                self._settle(link)

    def _settle(self, link: RobotLink) -> None:
        (self.said if link.standing else self._fresh).update(link.said)
        link.said.clear()

    def _note(self, link: RobotLink, data: bytes) -> None:
        chunks, link.rest = cut(link.rest + data)
        for chunk in chunks:
            kind, final = chunk[:3], chunk[3:4]
            if kind == b"HEL":
                link.said[kind] += 1
            elif kind == b"MSG":
                link.begun += chunk[BODY:]
                if final == b"F":
                    self._request(link, link.begun)
                if final != b"C":
                    link.begun = b""

    def _request(self, link: RobotLink, body: bytes) -> None:
        name, asked = decode(body)
        if self._awaited and name == "CreateSession" and asked.ClientDescription.ApplicationUri == self.bystander:
            link.standing, self._awaited = True, False
        link.said.update(show(name, asked))


def cut(stream: bytes) -> tuple[list[bytes], bytes]:
    """Whole chunks, and the rest. What is no UA-TCP stays in the rest for ever."""
    chunks, at = [], 0
    while len(stream) - at >= HEAD:
        size = int.from_bytes(stream[at + 4 : at + HEAD], "little")
        if not LEAST.get(stream[at : at + 3], MOST) <= size <= MOST or len(stream) - at < size:
            break
        chunks.append(stream[at : at + size])
        at += size
    return chunks, stream[at:]


def decode(body: bytes) -> tuple[str, Any]:
    """The name of the service, and its parameters; None for one without any. Raises for what asyncua cannot read."""
    number = nodeid_from_binary(Buffer(body)).Identifier
    name = str(ua.ObjectIdNames.get(number, number)).removesuffix(SUFFIX)
    kind = getattr(ua, name, None)
    request: Any = struct_from_binary(kind, Buffer(body)) if kind is not None else None
    return name.removesuffix("Request"), getattr(request, "Parameters", None)


def show(name: str, asked: Any) -> list[bytes]:
    """One text for each node that a request is about."""
    if name == "Read":
        texts = [f"Read {_attribute(one)}" for one in asked.NodesToRead]
    elif name == "Write":
        texts = [f"Write {_attribute(one)} = {one.Value.Value.Value}" for one in asked.NodesToWrite]
    elif name == "Call":
        texts = [f"Call {one.ObjectId.to_string()} -> {one.MethodId.to_string()}" for one in asked.MethodsToCall]
    else:
        texts = [name]
    return [text.encode() for text in texts]


def _attribute(one: Any) -> str:
    text = str(one.NodeId.to_string())
    return text if one.AttributeId == ua.AttributeIds.Value else f"{text} @ {int(one.AttributeId)}"
