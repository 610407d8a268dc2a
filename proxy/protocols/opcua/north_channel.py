"""The server's end of a secure channel, towards clients (Part 6, 6.7 and 7.1; Part 4, 5.6).

    HEL -> ACK -> OPN issue -> OPN -> MSG ... -> OPN renew -> OPN -> MSG ... -> CLO
                                       `Opened` of a secured channel

A first OPN holds nothing of ours that is fresh, so whoever recorded one can send it again. Only what is secured with
keys made from our nonce, or names our channel, proves who speaks: `Opened` comes with the first such chunk.

Order of checks on a secured OPN: policy, the certificate's form, trust and dates, and only then the private key; then
decryption, signature, numbers, content. Up to the signature every fault gets the one constant answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.opcua import framing, status
from proxy.protocols.opcua.channel import (
    MESSAGE_SECONDS,
    Broke,
    Channel,
    Closed,
    Event,
    Halt,
    Opened,
    Renewed,
    halt_at,
    token_among,
)
from proxy.protocols.opcua.chunks import BEFORE_SESSION, IN_SESSION
from proxy.protocols.opcua.decode import decode, encode
from proxy.protocols.opcua.framing import ErrorMessage, Hello, Limits
from proxy.protocols.opcua.north_opening import NorthSetting, body_of, mode_of, policy_of, sender_of
from proxy.protocols.opcua.opening import OpenBody, OpenChunk, read_open, seal_open
from proxy.protocols.opcua.security.policies import Mode, Policy
from proxy.protocols.opcua.services.channel import (
    ChannelSecurityToken,
    OpenSecureChannelRequest,
    OpenSecureChannelResponse,
)
from proxy.protocols.opcua.services.messages import ResponseHeader
from proxy.protocols.opcua.tokens import Token
from proxy.protocols.opcua.wire import Malformed, date_time

if TYPE_CHECKING:
    from proxy.protocols.opcua.security.certificates import Peer
    from proxy.protocols.opcua.services.messages import RequestHeader

__all__ = ["NorthChannel", "NorthSetting"]

OPENING_SECONDS = 5.0
"""From the connection to the first OPN, and on a secured channel to the first message (T45)."""
SHORTEST, LONGEST = 2_000, 3_600_000
"""Lifetime of a token, milliseconds."""
RENEWALS = 8
"""OPN renewals at once, and one more each second: a proved peer must not keep us at RSA all the time (CVE-2023-32787).
"""
ISSUE, RENEW = 0, 1


class NorthChannel(Channel):
    """``entropy(n)`` gives n random bytes, ``wall()`` seconds since 1970; ``opened`` is monotonic seconds.

    ``in_session`` is set by the owner once the client has a session: then messages may be larger.
    ``discovery_only``: the channel was let in for discovery alone.
    """

    def __init__(
        self, setting: NorthSetting, entropy: Callable[[int], bytes], opened: float, wall: Callable[[], float]
    ) -> None:
        super().__init__()
        self.hello: Hello | None = None
        self.discovery_only = False
        self._setting = setting
        self._entropy = entropy
        self._wall = wall
        self._opened = opened
        self._bounds = BEFORE_SESSION
        self._next_token: Token | None = None
        self._unproved: Opened | None = None
        self._client_nonce = b""
        self._renewals = float(RENEWALS)
        self._renewed = opened

    @property
    def in_session(self) -> bool:
        return self._bounds is IN_SESSION

    @in_session.setter
    def in_session(self, yes: bool) -> None:
        self._bounds = IN_SESSION if yes else BEFORE_SESSION

    def fail(self, status_code: int, out: bytearray, why: str = "") -> None:
        """ERR. The channel takes and sends nothing after it."""
        self.over = True
        self._keep(b"", 0, 0.0)
        out += ErrorMessage(status_code, why or None).encode()

    def deadline(self) -> float | None:
        """When `overdue` is to be asked, monotonic seconds."""
        token = self._token
        if self.over:
            return None
        if token is None or self._unproved is not None:
            return self._opened + OPENING_SECONDS
        ends = token.ends if self._next_token is None else token.expires
        return ends if self._since is None else min(ends, self._since + MESSAGE_SECONDS)

    def overdue(self, now: float, out: bytearray | None = None) -> Broke | None:
        """Why the link is to end at ``now``; None also when all that was due is that a renewed token takes over.

        ERR goes to ``out`` if it is given.
        """
        due = self.deadline()
        if due is None or now < due:
            return None
        if self._token is None or self._unproved is not None:
            why, code = "no secure channel and first message within 5 s", status.BAD_TIMEOUT
        elif self._since is not None and now >= self._since + MESSAGE_SECONDS:
            why, code = "a message took longer than 10 s", status.BAD_TIMEOUT
        elif self._next_token is not None:
            self._take_over(self._token, self._next_token)
            return None
        else:
            why, code = "the security token was not renewed", status.BAD_SECURE_CHANNEL_CLOSED
        broke = Broke(Reason.TOO_SLOW, code, why)
        self._break(broke, bytearray() if out is None else out)
        return broke

    def _take_over(self, old: Token, new: Token) -> None:
        """The old token's life is over and the client, silent since it renewed, is not known to use the new one."""
        self._send_with(new)
        self._previous, self._next_token = old, None

    def _break(self, broke: Broke, out: bytearray) -> None:
        """What a client is told of a fault is its StatusCode, and of security faults not even which."""
        self.fail(broke.status, out)

    def _frame(self, frame: bytes, now: float, out: bytearray, events: list[Event]) -> None:
        kind = frame[:3]
        if kind == b"MSG" and self._token is not None:
            said = self._chunk(frame, now)
            if self._unproved is not None:
                self._prove(events)
            if said is not None:
                events.append(said)
        elif kind == b"HEL" and self.hello is None:
            self._greet(frame, out)
        elif kind == b"OPN" and self.hello is not None:
            self._open(frame, now, out, events)
        elif kind == b"CLO" and self._token is not None:
            self._chunk(frame, now)
            self._prove(events)
            self.over = True
            events.append(Closed())
        else:
            raise Halt(status.BAD_TCP_MESSAGE_TYPE_INVALID, "a frame of a type that is not due")

    def _greet(self, frame: bytes, out: bytearray) -> None:
        hello = Hello.decode(frame)
        if isinstance(hello, Malformed):
            raise halt_at(hello)
        self.hello = hello
        theirs = hello.limits
        send = min(framing.BUFFER, theirs.receive)
        self._limits = Limits(framing.VERSION, framing.BUFFER, send, theirs.message, theirs.chunks)
        receive = min(framing.BUFFER, theirs.send)
        ours = Limits(framing.VERSION, receive, send, framing.MAX_MESSAGE, framing.MAX_CHUNKS)
        out += framing.Acknowledge(ours).encode()

    def _prove(self, events: list[Event]) -> None:
        if self._unproved is not None:
            events.append(self._unproved)
            self._unproved = None

    def _open(self, frame: bytes, now: float, out: bytearray, events: list[Event]) -> None:
        chunk = read_open(frame)
        if isinstance(chunk, Malformed):
            raise halt_at(chunk)
        if chunk.channel != self.channel_id:
            raise Halt(status.BAD_TCP_SECURE_CHANNEL_UNKNOWN, "an OPN for another channel")
        policy, peer = self._first(chunk, now) if self._token is None else self._again(chunk, now)
        said = body_of(self._setting, chunk, policy, peer)
        self._number(said.sequence)
        asked = decode(said.body)
        if not isinstance(asked, OpenSecureChannelRequest):
            raise Halt(status.BAD_DECODING_ERROR, "an OPN without an OpenSecureChannel request")
        mode = self._mode(policy, asked)
        nonce = self._nonce(policy, asked)
        first = self._token is None
        self.policy, self.mode, self.peer = policy, mode, peer
        self._answer(said.request, asked, nonce, now, out)
        if first:
            self._unproved = Opened(policy.name, mode, peer)
        if mode is Mode.NONE or not first:
            self._prove(events)
        if not first:
            events.append(Renewed())

    def _first(self, chunk: OpenChunk, now: float) -> tuple[Policy, Peer | None]:
        setting = self._setting
        policy, self.discovery_only = policy_of(setting, chunk)
        if not policy.secured:
            return policy, None
        peer = sender_of(setting, chunk, self._wall())
        if not setting.openings.take(peer.thumbprint, now):
            raise Halt(status.BAD_TCP_SERVER_TOO_BUSY, "too many OPNs with one certificate", Reason.OVERLOAD)
        return policy, peer

    def _again(self, chunk: OpenChunk, now: float) -> tuple[Policy, Peer | None]:
        """A renewal is the same peer's, with the same policy; trust and dates are looked at again."""
        if chunk.policy_uri != self.policy.uri:
            raise Halt(status.BAD_SECURITY_CHECKS_FAILED, "a renewal with another security policy")
        peer = sender_of(self._setting, chunk, self._wall()) if self.policy.secured else None
        if peer != self.peer:
            raise Halt(status.BAD_SECURITY_CHECKS_FAILED, "a renewal with another certificate", Reason.DIFFERS_FROM_PIN)
        self._spend_renewal(now)
        return self.policy, peer

    def _mode(self, policy: Policy, asked: OpenSecureChannelRequest) -> Mode:
        if asked.request_type != (ISSUE if self._token is None else RENEW):
            raise Halt(status.BAD_REQUEST_TYPE_INVALID, "an OPN that issues twice, or renews what was not issued")
        mode = mode_of(self._setting, policy, asked)
        if self._token is not None and mode is not self.mode:
            raise Halt(status.BAD_SECURITY_MODE_REJECTED, "a renewal with another security mode")
        return mode

    def _nonce(self, policy: Policy, asked: OpenSecureChannelRequest) -> bytes:
        nonce = asked.client_nonce or b""
        if policy.secured and (len(nonce) != policy.nonce_length or nonce == self._client_nonce):
            raise Halt(status.BAD_NONCE_INVALID, "a client nonce of another length, or used before")
        self._client_nonce = nonce
        return nonce

    def _answer(self, request: int, asked: OpenSecureChannelRequest, nonce: bytes, now: float, out: bytearray) -> None:
        ours = self._entropy(self.policy.nonce_length)
        life = min(max(asked.requested_lifetime or LONGEST, SHORTEST), LONGEST)
        latest = self._next_token or self._token
        number = self._fresh() if latest is None else latest.id % 0xFFFF_FFFF + 1
        derive = self.policy.derive
        token = Token(number, self.mode, derive(nonce, ours), derive(ours, nonce), life / 1000, now)
        self.channel_id = self.channel_id or self._fresh()
        if self._token is None:
            self._send_with(token)
        else:
            self._next_token = token
        body = self._response(asked.header, token, ours)
        said = OpenBody(self._next(), request, body)
        out += seal_open(self.policy, self.channel_id, self._setting.own, self.peer, said)

    def _response(self, header: RequestHeader, token: Token, nonce: bytes) -> bytes:
        time = date_time(self._wall())
        issued = ChannelSecurityToken(self.channel_id, token.id, time, round(token.life * 1000))
        answer = ResponseHeader.make(header.request_handle, timestamp=time)
        return encode(OpenSecureChannelResponse(answer, framing.VERSION, issued, nonce or None))

    def _fresh(self) -> int:
        """An id that nobody can guess, and not 0."""
        return int.from_bytes(self._entropy(4), "little") or 1

    def _spend_renewal(self, now: float) -> None:
        self._renewals = min(self._renewals + now - self._renewed, float(RENEWALS)) - 1
        self._renewed = now
        if self._renewals < 0:
            raise Halt(status.BAD_TCP_NOT_ENOUGH_RESOURCES, "too many renewals", Reason.OVERLOAD)

    def _token_of(self, number: int, now: float) -> Token:
        return token_among((self._token, self._next_token, self._previous), number, now)

    def _used(self, token: Token) -> None:
        """The client's first message with a renewed token ends the old one, for us too (Part 4, 5.6.2)."""
        if token is self._next_token:
            self._send_with(token)
            self._next_token = None
        if token is self._token:
            self._previous = None
