"""The client's end of a secure channel, towards a device (Part 6, 6.7 and 7.1; Part 4, 5.6).

The server is known beforehand: its certificate is pinned, so an OPN response is believed only if it shows exactly that
certificate and is signed with its key. Own requests of the channel (renewals) have ids from `OWN_IDS` on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.opcua import framing, status
from proxy.protocols.opcua.channel import (
    MESSAGE_SECONDS,
    Broke,
    Channel,
    Event,
    Halt,
    Opened,
    Renewed,
    halt_at,
    token_among,
)
from proxy.protocols.opcua.chunks import FROM_SERVER
from proxy.protocols.opcua.decode import decode, encode
from proxy.protocols.opcua.framing import Acknowledge, ErrorMessage, Hello, Limits
from proxy.protocols.opcua.opening import OpenBody, OpenChunk, plain_body, read_open, seal_open, unsealed_body
from proxy.protocols.opcua.security.policies import Mode, Policy
from proxy.protocols.opcua.services.channel import (
    ChannelSecurityToken,
    CloseSecureChannelRequest,
    OpenSecureChannelRequest,
    OpenSecureChannelResponse,
)
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import RequestHeader
from proxy.protocols.opcua.tokens import Token
from proxy.protocols.opcua.wire import Malformed, date_time

if TYPE_CHECKING:
    from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer

OPENING_SECONDS = 10.0
"""From the connection to the OPN response."""
RENEW_AT = 0.75
"""Of a token's lifetime (Part 4, 5.6.2.1)."""
OWN_IDS = 0xF000_0000
"""Request ids of the channel itself; the owner's are below."""
_ISSUE, _RENEW = 0, 1
_SHORTEST = 1.0
"""Seconds of a token's life, whatever the server says: it must not make us renew without end."""


@dataclass(frozen=True, slots=True)
class SouthSetting:
    """``own`` and ``server`` (pinned) are there if ``policy`` is secured. ``url`` goes into HEL, as the server calls
    itself. ``lifetime_ms``: of tokens, as we ask for it."""

    policy: Policy
    mode: Mode
    own: OwnCertificate | None
    server: Peer | None
    url: str
    lifetime_ms: int = 3_600_000


class SouthChannel(Channel):
    """``entropy(n)`` gives n random bytes, ``wall()`` seconds since 1970 (without it requests carry no time)."""

    def __init__(
        self, setting: SouthSetting, entropy: Callable[[int], bytes], wall: Callable[[], float] | None = None
    ) -> None:
        super().__init__()
        if setting.policy.secured and (setting.own is None or setting.server is None or setting.mode is Mode.NONE):
            raise ValueError("a secured channel wants our certificate, the server's and a mode")
        self._setting = setting
        self._entropy = entropy
        self._wall = wall
        self._bounds = FROM_SERVER
        self._started: float | None = None
        self._acknowledged = False
        self._nonce = b""
        self._asked: int | None = None
        self._own_id = OWN_IDS

    def start(self, now: float, out: bytearray) -> None:
        """HEL. Called once, when the connection is up."""
        self._started = now
        limits = Limits(framing.VERSION, framing.BUFFER, framing.BUFFER, framing.MAX_ANSWER, framing.MAX_ANSWER_CHUNKS)
        out += Hello(limits, self._setting.url).encode()

    def close(self, out: bytearray) -> None:
        """CLO, if there is a channel. Nothing is taken or sent after it."""
        if self._token is not None and not self.over:
            body = encode(CloseSecureChannelRequest(self._header()))
            self._seal(b"CLO", b"F", self._fresh_id(), body, out)
        self.over = True

    def deadline(self) -> float | None:
        """When `tick` is due, monotonic seconds."""
        if self.over or self._started is None:
            return None
        token = self._token
        if token is None:
            return self._started + OPENING_SECONDS
        due = token.expires - (1 - RENEW_AT) * token.life
        if self._asked is not None:
            due = token.ends
        return due if self._since is None else min(due, self._since + MESSAGE_SECONDS)

    def tick(self, now: float, out: bytearray) -> list[Event]:
        """Renews the token when it is time; ends the channel when something takes too long."""
        due = self.deadline()
        if due is None or now < due:
            return []
        if self._token is None:
            return self._end("the server opened no secure channel within 10 s", out)
        if self._since is not None and now >= self._since + MESSAGE_SECONDS:
            return self._end("a message of the server took longer than 10 s", out)
        if self._asked is not None:
            return self._end("the server did not renew the security token", out)
        self._ask(_RENEW, out)
        return []

    def _end(self, why: str, out: bytearray) -> list[Event]:
        broke = Broke(Reason.UPSTREAM_SILENT, status.BAD_TIMEOUT, why)
        self._break(broke, out)
        return [broke]

    def _frame(self, frame: bytes, now: float, out: bytearray, events: list[Event]) -> None:
        kind = frame[:3]
        if kind == b"MSG":
            said = self._chunk(frame, now)
            if said is not None:
                events.append(said)
        elif kind == b"OPN" and self._asked is not None:
            events.append(self._opened(frame, now))
        elif kind == b"ACK" and not self._acknowledged:
            self._acknowledge(frame, out)
        elif kind == b"ERR":
            error = ErrorMessage.decode(frame)
            raise (
                halt_at(error)
                if isinstance(error, Malformed)
                else Halt(
                    error.status, "the server ended the connection with an error message", Reason.UPSTREAM_REFUSED
                )
            )
        else:
            raise Halt(status.BAD_TCP_MESSAGE_TYPE_INVALID, "a frame of a type that is not due")

    def _acknowledge(self, frame: bytes, out: bytearray) -> None:
        acknowledge = Acknowledge.decode(frame)
        if isinstance(acknowledge, Malformed):
            raise halt_at(acknowledge)
        self._acknowledged = True
        theirs = acknowledge.limits
        send = min(framing.BUFFER, theirs.receive)
        self._limits = Limits(framing.VERSION, framing.BUFFER, send, theirs.message, theirs.chunks)
        self._ask(_ISSUE, out)

    def _ask(self, kind: int, out: bytearray) -> None:
        setting = self._setting
        self._nonce = self._entropy(setting.policy.nonce_length)
        self._asked = self._fresh_id()
        request = OpenSecureChannelRequest(
            self._header(), framing.VERSION, kind, setting.mode.value, self._nonce or None, setting.lifetime_ms
        )
        said = OpenBody(self._next(), self._asked, encode(request))
        out += seal_open(setting.policy, self.channel_id, setting.own, setting.server, said)

    def _header(self) -> RequestHeader:
        return RequestHeader.make(timestamp=0 if self._wall is None else date_time(self._wall()))

    def _fresh_id(self) -> int:
        self._own_id = OWN_IDS + (self._own_id - OWN_IDS + 1) % 0x0FFF_FFFF
        return self._own_id

    def _opened(self, frame: bytes, now: float) -> Event:
        chunk = read_open(frame)
        if isinstance(chunk, Malformed):
            raise halt_at(chunk)
        said = self._unseal(chunk)
        self._number(said.sequence)
        if said.request != self._asked:
            raise Halt(status.BAD_SECURITY_CHECKS_FAILED, "an OPN response to another request")
        answer = decode(said.body)
        if isinstance(answer, ServiceFault):
            code = answer.header.service_result
            raise Halt(code, "the server refused the secure channel", Reason.UPSTREAM_REFUSED)
        if not isinstance(answer, OpenSecureChannelResponse):
            raise Halt(status.BAD_DECODING_ERROR, "an OPN without an OpenSecureChannel response")
        if answer.header.service_result >> 31:
            raise Halt(answer.header.service_result, "the server refused the channel", Reason.UPSTREAM_REFUSED)
        return self._take(chunk.channel, answer, now)

    def _unseal(self, chunk: OpenChunk) -> OpenBody:
        """The response of the pinned server alone; certificate and thumbprint are compared before the key is used."""
        setting = self._setting
        if chunk.policy_uri != setting.policy.uri:
            raise Halt(status.BAD_SECURITY_CHECKS_FAILED, "an OPN response with another security policy")
        if setting.own is None or setting.server is None or not setting.policy.secured:
            said = plain_body(chunk)
        else:
            shown = (chunk.certificate or b"")[: len(setting.server.der)]
            if shown != setting.server.der or chunk.thumbprint != setting.own.thumbprint:
                why = "the server's certificate is not the pinned one"
                raise Halt(status.BAD_SECURITY_CHECKS_FAILED, why, Reason.DIFFERS_FROM_PIN)
            said = unsealed_body(chunk, setting.policy, setting.own.key, setting.server.public_key)
        if said is None:
            raise Halt(status.BAD_SECURITY_CHECKS_FAILED, "an OPN response that the pinned server did not sign")
        return said

    def _take(self, channel: int, answer: OpenSecureChannelResponse, now: float) -> Event:
        setting, issued, nonce = self._setting, answer.security_token, answer.server_nonce or b""
        if channel != issued.channel_id or not channel or (self._token is not None and channel != self.channel_id):
            raise Halt(status.BAD_SECURE_CHANNEL_ID_INVALID, "an OPN response for another channel")
        if self._token is not None and issued.token_id == self._token.id:
            raise Halt(status.BAD_SECURE_CHANNEL_TOKEN_UNKNOWN, "a renewal with the token that is in use")
        if setting.policy.secured and (len(nonce) != setting.policy.nonce_length or nonce == self._nonce):
            raise Halt(status.BAD_NONCE_INVALID, "a server nonce of another length, or our own")
        token = self._make(issued, nonce, now)
        first = self._token is None
        self._previous, self._asked = self._token, None
        self.channel_id, self.policy, self.mode, self.peer = channel, setting.policy, setting.mode, setting.server
        self._send_with(token)
        return Opened(self.policy.name, self.mode, self.peer) if first else Renewed()

    def _make(self, issued: ChannelSecurityToken, nonce: bytes, now: float) -> Token:
        life = max((issued.revised_lifetime or self._setting.lifetime_ms) / 1000, _SHORTEST)
        derive = self._setting.policy.derive
        ours, theirs = derive(nonce, self._nonce), derive(self._nonce, nonce)
        return Token(issued.token_id, self._setting.mode, ours, theirs, life, now)

    def _token_of(self, number: int, now: float) -> Token:
        return token_among((self._token, self._previous), number, now)

    def _used(self, token: Token) -> None:
        """The server's first message with the new token ends the old one."""
        if token is self._token:
            self._previous = None
