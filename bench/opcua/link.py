"""One client of the generator: connection, channel, session, and frames that are made once and patched.

With policy None a request is a template whose sequence number, request id and handle are written over, and its answer
is compared with bytes. On a secured channel the body is patched and our own channel seals it and opens the answer.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, TypeVar

from bench.generator import WrongAnswers
from proxy.protocols.opcua.channel import Opened, Said
from proxy.protocols.opcua.decode import decode, encode, make_extension
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer
from proxy.protocols.opcua.security.policies import NONE, POLICIES, Mode
from proxy.protocols.opcua.services.discovery import ApplicationDescription
from proxy.protocols.opcua.services.messages import Request, RequestHeader
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    AnonymousIdentityToken,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
)
from proxy.protocols.opcua.south_channel import SouthChannel, SouthSetting
from proxy.protocols.opcua.values import LocalizedText
from proxy.protocols.opcua.wire import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.protocols.opcua.structures import Struct as Structure

R = TypeVar("R", bound="Structure")
SECONDS = 20.0
LIFETIME_MS = 3_600_000
NUMBER = Struct("<I")
PLACE = Struct("<II")
HEAD = 24
"""Of a chunk with policy None: sequence and request id are its last eight bytes."""
_HANDLE = 12
"""Where an answer has it, behind its type and time."""
_UNSIGNED = SignatureData(None, None)


@dataclass(frozen=True, slots=True)
class Door:
    """Where to connect, and how. ``server``: its certificate, DER. ``watch``: the first of its `WATCH_NAMES`."""

    port: int
    mode: Mode = Mode.NONE
    own: OwnCertificate | None = None
    server: bytes = b""
    uri: str = "urn:bench:client"
    watch: int = 0

    @classmethod
    def of(cls, said: Mapping[str, str | int]) -> Door:
        """From the words of a command: port, and for a secured one mode, certificate, key, server (files), uri."""
        port, watch = int(said["port"]), int(said.get("watch", 0))
        if said.get("mode", "none") == "none":
            return cls(port, watch=watch)
        certificate, key, server = (Path(str(said[name])).read_bytes() for name in ("certificate", "key", "server"))
        own = OwnCertificate.load(certificate, key)
        return cls(port, Mode[str(said["mode"]).upper()], own, server, str(said["uri"]), watch)


class Link:
    """Blocking until it is opened. ``frame`` and what it is made of belong to one kind of request at a time."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.policy = (
            NONE if door.own is None else POLICIES["http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256"]
        )
        peer = Peer.read(door.server) if door.own is not None else None
        if peer is not None and not isinstance(peer, Peer):
            raise WrongAnswers(f"the server's certificate: {peer.why}")
        self.url = f"opc.tcp://127.0.0.1:{door.port}"
        setting = SouthSetting(self.policy, door.mode, door.own, peer, self.url, LIFETIME_MS)
        self.channel = SouthChannel(setting, os.urandom, time.time)
        self.socket = socket.create_connection(("127.0.0.1", door.port), SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.token = NodeId.NULL
        self.request = 0
        self._said: list[Said] = []
        self._handle = 0
        data = bytearray()
        self.channel.start(time.monotonic(), data)
        self.socket.sendall(data)
        while not self.channel.channel_id:
            self.receive()

    def close(self) -> None:
        self.socket.close()

    def receive(self) -> None:
        """Whatever comes next. WrongAnswers when the connection or the channel ends."""
        data = self.socket.recv(65536)
        if not data:
            raise WrongAnswers("the connection was ended")
        self.heard(data)

    def heard(self, data: bytes) -> None:
        out = bytearray()
        for event in self.channel.receive(data, time.monotonic(), out):
            if isinstance(event, Said):
                self._said.append(event)
            elif not isinstance(event, Opened):
                raise WrongAnswers(f"the channel ended: {event}")
        if out:
            self.socket.sendall(out)

    def answers(self) -> list[Said]:
        """What came since the last call."""
        found, self._said = self._said, []
        return found

    # One request after the other.

    def header(self) -> RequestHeader:
        """A handle that no answer was given for. No time, so that its form never changes."""
        self._handle += 1
        return RequestHeader.make(self.token, self._handle)

    def say(self, message: Request) -> int:
        """Its request id."""
        self.request += 1
        data = bytearray()
        self.channel.send(self.request, encode(message), data)
        self.socket.sendall(data)
        return self.request

    def ask(self, message: Request, kind: type[R]) -> R:
        """WrongAnswers unless the answer is of that kind."""
        answer = self.asked(message)
        if not isinstance(answer, kind):
            raise WrongAnswers(f"{type(message).__name__}: answered {answer}")
        return answer

    def asked(self, message: Request) -> object:
        return decode(self.body_of(message))

    def body_of(self, message: Request) -> bytes:
        """Of the answer. What comes in between is dropped."""
        request = self.say(message)
        while True:
            for said in self.answers():
                if said.request_id == request:
                    return said.body
            self.receive()

    def session(self) -> None:
        """Created and activated, anonymous."""
        text = LocalizedText(None, "bench")
        application = ApplicationDescription(self.door.uri, "urn:bench", text, 1, None, None, None)
        own = self.door.own
        created = self.ask(
            CreateSessionRequest(
                self.header(), application, None, self.url, "bench", os.urandom(32),
                own.der if own is not None else None, float(LIFETIME_MS), 0,
            ),
            CreateSessionResponse,
        )  # fmt: skip
        self.token = created.authentication_token
        signature = _UNSIGNED
        if own is not None:
            told = (created.server_certificate or b"") + (created.server_nonce or b"")
            signature = SignatureData(self.policy.signature_uri, self.policy.asym_sign(own.key, told))
        user = make_extension(AnonymousIdentityToken(self._anonymous(created)))
        self.ask(ActivateSessionRequest(self.header(), signature, None, None, user, _UNSIGNED), ActivateSessionResponse)

    def _anonymous(self, created: CreateSessionResponse) -> str | None:
        for endpoint in created.server_endpoints or ():
            if (endpoint.security_policy_uri, endpoint.security_mode) == (self.policy.uri, self.door.mode.value):
                for one in endpoint.user_identity_tokens or ():
                    if one.token_type == 0:
                        return one.policy_id
        raise WrongAnswers("no endpoint takes anonymous users")

    # Many requests.

    def template(self, message: Request) -> Template:
        """``message`` must have been made with `header` of this link."""
        body = encode(message)
        handle = body.index(self.token_bytes(), 4) + len(self.token_bytes()) + 8
        return PlainTemplate(self, body, handle) if self.door.own is None else SealedTemplate(self, body, handle)

    def token_bytes(self) -> bytes:
        writer = Writer()
        self.token.write(writer)
        return writer.bytes()


class Template:
    """A request that is sent again and again. ``patch``: other bytes at a place in its body."""

    def __init__(self, link: Link, body: bytes, handle: int) -> None:
        self.link = link
        self.handle = handle
        self.number = 0

    def patch(self, at: int, data: bytes) -> None:
        raise NotImplementedError

    def frame(self) -> bytes | bytearray:
        """The next one, under a request id and handle of its own; ``number`` is both."""
        raise NotImplementedError


class PlainTemplate(Template):
    def __init__(self, link: Link, body: bytes, handle: int) -> None:
        super().__init__(link, body, handle + HEAD)
        data = bytearray()
        link.channel.send(1, body, data)  # the number that it takes is given back below
        link.channel._sent -= 1
        self.data = data

    def patch(self, at: int, data: bytes) -> None:
        self.data[HEAD + at : HEAD + at + len(data)] = data

    def frame(self) -> bytearray:
        link, data = self.link, self.data
        link.request = self.number = number = link.request + 1
        PLACE.pack_into(data, 16, link.channel._next(), number)
        NUMBER.pack_into(data, self.handle, number)
        return data


class SealedTemplate(Template):
    def __init__(self, link: Link, body: bytes, handle: int) -> None:
        super().__init__(link, body, handle)
        self.data = bytearray(body)

    def patch(self, at: int, data: bytes) -> None:
        self.data[at : at + len(data)] = data

    def frame(self) -> bytearray:
        link = self.link
        link.request = self.number = number = link.request + 1
        NUMBER.pack_into(self.data, self.handle, number)
        out = bytearray()
        link.channel.send(number, bytes(self.data), out)
        return out


def handle_of(body: bytes) -> int:
    (handle,) = NUMBER.unpack_from(body, _HANDLE)
    return int(handle)


def rest_of(body: bytes) -> bytes:
    """An answer without its time and handle, which differ each time."""
    return body[:4] + body[_HANDLE + 4 :]
