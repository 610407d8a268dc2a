"""What both ends of a secure channel have in common: frames in any cut, tokens, numbers, chunks (Part 6, 6.7 and 7.1).

`north_channel` is the server's end, `south_channel` the client's. Sans-IO: bytes and the time go in, bytes for the
peer are appended to ``out``, and what happened comes back as events, in order. Nothing raises because of input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.reason import Reason
from proxy.protocols.opcua import status
from proxy.protocols.opcua.chunks import Assembly, Bounds, after, count, follows, split
from proxy.protocols.opcua.framing import BUFFER, HEADER, MAX_MESSAGE, VERSION, Limits, frame_end
from proxy.protocols.opcua.security.policies import NONE, Mode, Policy
from proxy.protocols.opcua.tokens import HEADERS, PLACE, Token
from proxy.protocols.opcua.wire import Malformed

if TYPE_CHECKING:
    from proxy.protocols.opcua.security.certificates import Peer

MESSAGE_SECONDS = 10.0
"""From the first byte of a message to its last (T43)."""


class Said(NamedTuple):
    """A whole service body: type NodeId and struct, reassembled, verified, decrypted."""

    request_id: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """The channel stands. With ``mode`` other than NONE the peer has proved to hold the key of ``peer``."""

    policy: str
    mode: Mode
    peer: Peer | None


@dataclass(frozen=True, slots=True)
class Renewed:
    """The same peer, a new token."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer sent CLO. Nothing follows."""


@dataclass(frozen=True, slots=True)
class Broke:
    """The channel ended; nothing follows. ``why`` is for logs: printable ASCII, no text of the peer."""

    reason: Reason
    status: int
    why: str


Event = Said | Opened | Renewed | Closed | Broke


class Halt(Exception):
    """Ends the channel from wherever it is noticed. Raised and caught in the channel classes alone."""

    def __init__(self, status_code: int, why: str, reason: Reason = Reason.MALFORMED) -> None:
        super().__init__(why)
        self.broke = Broke(reason, status_code, why)


def halt_at(fault: Malformed) -> Halt:
    return Halt(fault.status, fault.why)


def token_among(tokens: tuple[Token | None, ...], number: int, now: float) -> Token:
    """The one with this id, if its time is not over; else raises Halt."""
    for token in tokens:
        if token is not None and token.id == number and now < token.ends:
            return token
    raise Halt(status.BAD_SECURE_CHANNEL_TOKEN_UNKNOWN, "a security token that was not issued here, or is over")


class Channel:
    """One end. ``policy``, ``mode`` and ``peer`` are those of the OPN; ``channel_id`` is 0 before it."""

    def __init__(self) -> None:
        self.policy: Policy = NONE
        self.mode = Mode.NONE
        self.peer: Peer | None = None
        self.channel_id = 0
        self.over = False
        self._bounds = Bounds(BUFFER, MAX_MESSAGE, 1)
        self._limits = Limits(VERSION, BUFFER, BUFFER, 0, 0)
        self._token: Token | None = None
        self._previous: Token | None = None
        self._room = 0
        self._rest = bytearray()
        self._assembly = Assembly()
        self._since: float | None = None
        self._heard: int | None = None
        self._sent = 0

    @property
    def partial(self) -> bool:
        """A message has begun that is not whole."""
        return self._since is not None

    @property
    def unfinished(self) -> int:
        """Bytes that are kept of a message that is not whole."""
        return self._assembly.size + len(self._rest)

    def receive(self, data: bytes, now: float, out: bytearray) -> list[Event]:
        """Bytes in any cut; what they completed. After `Broke` or `Closed` nothing is taken any more."""
        events: list[Event] = []
        if self.over:
            return events
        source: bytes | bytearray = data
        if self._rest:
            self._rest += data
            source = self._rest
        at = 0
        try:
            while not self.over:
                end = frame_end(source, at, self._bounds.frame)
                if isinstance(end, Malformed):
                    raise halt_at(end)
                if end is None or end > len(source):
                    break
                self._frame(bytes(source[at:end]), now, out, events)
                at = end
                if not self._assembly.started:
                    self._since = None
        except Halt as halt:
            self._break(halt.broke, out)
            events.append(halt.broke)
        if at < len(data) or source is not data or self._assembly.started or self.over:
            self._keep(source, at, now)  # else nothing is left, and nothing has begun
        return events

    def send(self, request_id: int, body: bytes, out: bytearray) -> bool:
        """As a message in as many chunks as it takes. False, and nothing sent, if the peer said it takes no such."""
        token, limits = self._token, self._limits
        if self.over or token is None or (limits.message and len(body) > limits.message):
            return False
        if len(body) <= self._room:
            self._sent = number = after(self._sent)
            out += token.seal(b"MSG", b"F", self.channel_id, number, request_id, body)
            return True
        if limits.chunks and count(len(body), self._room) > limits.chunks:
            return False
        for chunk, part in split(body, self._room):
            self._seal(b"MSG", chunk, request_id, part, out)
        return True

    def _keep(self, source: bytes | bytearray, at: int, now: float) -> None:
        """Keeps what is left of ``source`` after ``at``: less than a frame, whose size was checked."""
        if self.over:
            self._rest.clear()
            self._assembly.drop()
            self._since = None
            return
        if source is self._rest:
            del self._rest[:at]
        elif at < len(source):
            self._rest += source[at:]
        if self._since is None and (self._rest or self._assembly.started):
            self._since = now

    def _frame(self, frame: bytes, now: float, out: bytearray, events: list[Event]) -> None:
        raise NotImplementedError

    def _break(self, broke: Broke, out: bytearray) -> None:
        self.over = True

    def _token_of(self, number: int, now: float) -> Token:
        """The token that a chunk names; raises Halt if it is none of ours."""
        raise NotImplementedError

    def _used(self, token: Token) -> None:
        """A chunk was secured with ``token``, verified. Asked only while there is more than one."""
        raise NotImplementedError

    def _chunk(self, frame: bytes, now: float) -> Said | None:
        """MSG or CLO: the whole message, if this was its last chunk."""
        channel, number = PLACE.unpack_from(frame, HEADER)
        token = self._token
        if token is None or channel != self.channel_id:
            raise Halt(status.BAD_TCP_SECURE_CHANNEL_UNKNOWN, "a chunk of another channel")
        if number != token.id or now >= token.ends:
            token = self._token_of(number, now)
        plain = token.open(frame) if token.secures else frame
        if plain is None:
            raise Halt(status.BAD_SECURITY_CHECKS_FAILED, "a chunk that its token does not secure")
        sequence, request = PLACE.unpack_from(plain, 16)
        if sequence - 1 != self._heard:
            self._number(sequence)
        else:
            self._heard = sequence
        if token is not self._token or self._previous is not None:
            self._used(token)
        body = self._assembly.take(plain[3:4], request, plain[HEADERS:], self._bounds)
        if isinstance(body, Malformed):
            raise halt_at(body)
        return None if body is None else Said(request, body)

    def _number(self, sequence: int) -> None:
        if not follows(self._heard, sequence):
            raise Halt(status.BAD_SEQUENCE_NUMBER_INVALID, "a sequence number that does not follow the last one")
        self._heard = sequence

    def _next(self) -> int:
        self._sent = after(self._sent)
        return self._sent

    def _seal(self, kind: bytes, chunk: bytes, request_id: int, part: bytes, out: bytearray) -> None:
        token = self._token
        if token is not None:
            out += token.seal(kind, chunk, self.channel_id, self._next(), request_id, part)

    def _send_with(self, token: Token) -> None:
        self._token = token
        self._room = token.room(self._limits.send)
