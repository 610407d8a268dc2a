"""A channel that is signed from end to end: it can be read, and it can be cut, and nothing else (protocols.md 4.2).

`signed: cut` of a relay. The keys are the client's and the server's, so no byte can be changed, left out or put in. A
message is kept until it is whole, judged as on a channel of ours, and goes on as it came; what is refused ends both
connections. What cannot be read (SignAndEncrypt looks so) is not forwarded, and neither is policy None.

Who speaks is known by address alone: the certificate in OPN is seen and not proved to us. Namespaces are learnt when
the client reads i=2255, which clients do first; until then rules about other namespaces fit nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.base import UpstreamState
from proxy.protocols.opcua import status
from proxy.protocols.opcua.chunks import IN_SESSION, Assembly, Bounds, follows
from proxy.protocols.opcua.entry import pool_of
from proxy.protocols.opcua.framing import (
    BUFFER,
    FIRST_CHUNK,
    HEADER,
    MAX_ANSWER,
    MAX_ANSWER_CHUNKS,
    Acknowledge,
    ErrorMessage,
    Hello,
    frame_end,
)
from proxy.protocols.opcua.memory import Memory
from proxy.protocols.opcua.opening import read_open
from proxy.protocols.opcua.security.policies import POLICIES
from proxy.protocols.opcua.signed_sessions import Cut, SignedSessions
from proxy.protocols.opcua.tokens import HEADERS, PLACE
from proxy.protocols.opcua.wire import Malformed

if TYPE_CHECKING:
    from proxy.core.names import Names
    from proxy.protocols.base import Client, Decide, Effects, Setting

MAC = 32
"""Bytes of a signature: HMAC-SHA256 in every policy."""
OPENING = 5.0
PARTIAL = 10.0
ANSWERS = Bounds(BUFFER, MAX_ANSWER, MAX_ANSWER_CHUNKS)


class Side:
    """Frames of one direction in any cut. ``first`` bounds them until the channel is open."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.frames: list[bytes] = []
        self.since: float | None = None
        self._rest = bytearray()
        self._assembly = Assembly()
        self._last: int | None = None

    @property
    def partial(self) -> bool:
        return bool(self._rest) or self._assembly.started

    def split(self, data: bytes, limit: int) -> list[bytes]:
        """Whole frames. Raises Cut."""
        self._rest += data
        found, at = [], 0
        while (end := frame_end(self._rest, at, limit)) is not None:
            if isinstance(end, Malformed):
                raise Cut(end.status, Reason.MALFORMED, end.why)
            if end > len(self._rest):
                break
            found.append(bytes(self._rest[at:end]))
            at = end
        del self._rest[:at]
        return found

    def look(self, now: float) -> None:
        """Since when a message is under way. Its deadline is for the whole of it, and not for each chunk (T45)."""
        if not self.partial:
            self.since = None
        elif self.since is None:
            self.since = now

    def message(self, frame: bytes, channel: int) -> tuple[int, bytes] | None:
        """The request id and body of the message that this MSG completes; its frames are in ``frames``.

        None with nothing under way: it was the end of one that was given up, and `taken` has all of it.
        """
        number, _ = PLACE.unpack_from(frame, HEADER)
        sequence, request = PLACE.unpack_from(frame, 16)
        if number != channel or not follows(self._last, sequence) or len(frame) < HEADERS + MAC:
            raise Cut(status.BAD_SECURITY_CHECKS_FAILED, Reason.MALFORMED, "a chunk that does not follow the last one")
        self._last = sequence
        self.frames.append(frame)
        body = self._assembly.take(frame[3:4], request, frame[HEADERS:-MAC], self.bounds)
        if isinstance(body, Malformed):
            raise Cut(body.status, Reason.MALFORMED, body.why)
        if not self._assembly.started:
            self.since = None
        return None if body is None else (request, body)

    @property
    def unfinished(self) -> int:
        """Bytes that are kept of a message that is not whole: its frames, and what is in them."""
        return len(self._rest) + sum(map(len, self.frames)) + self._assembly.size

    def opened(self) -> None:
        """An OPN: its number is encrypted, so whatever comes next is taken."""
        self._last = None

    def given_up(self) -> list[bytes]:
        """The frames of a message that was aborted: the other side throws them away, and wants their numbers."""
        return [] if self._assembly.started else self.taken()

    def taken(self) -> list[bytes]:
        frames, self.frames = self.frames, []
        return frames


class SignedInspector:
    """See `proxy.protocols.base.Inspector`. Its upstream is the plain relay: messages are the client's own frames."""

    def __init__(self, decide: Decide, setting: Setting, client: Client) -> None:
        self._client = client
        self._up = Side(IN_SESSION)
        self._down = Side(ANSWERS)
        self._sessions = SignedSessions(decide, client)
        self._channel = 0
        self._greeted = False
        self._waiting: deque[bytes] = deque()
        self._held: tuple[set[int], list[bytes], Callable[[], None]] | None = None
        self._tokens = 0
        self._pool = pool_of(client.memory if isinstance(client.memory, Memory) else Memory(), setting.name)
        self._unfinished = 0
        self._over = False

    def identified(self, names: Names, now: float, out: Effects) -> None:
        """Never called: the address says who speaks."""

    def from_client(self, data: bytes, now: float, out: Effects) -> None:
        if self._over:
            return
        try:
            limit = BUFFER if self._channel else FIRST_CHUNK
            for frame in self._up.split(data, limit):
                if self._held is not None:
                    self._waiting.append(frame)
                else:
                    self._request(frame, now, out)
            self._keeps()
        except Cut as cut:
            self._cut(cut, out)
            return
        self._up.look(now)
        if self._up.since is not None and (due := self.deadline()) is not None:
            out.wake = due if out.wake is None else min(due, out.wake)

    def _keeps(self) -> None:
        """What a client has us keep is little, or there is room for it (T43)."""
        unfinished = self._up.unfinished + sum(map(len, self._waiting))
        if self._over:
            return
        if not self._pool.holds(self._unfinished, unfinished):
            why = "too much of messages that are not whole"
            raise Cut(status.BAD_TCP_NOT_ENOUGH_RESOURCES, Reason.OVERLOAD, why)
        self._unfinished = unfinished

    def _request(self, frame: bytes, now: float, out: Effects) -> None:
        kind = frame[:3]
        if kind == b"HEL" and not self._greeted:
            if isinstance(hello := Hello.decode(frame), Malformed):
                raise Cut(hello.status, Reason.MALFORMED, hello.why)
            self._greeted = True
            out.upstream.append(frame)
        elif kind == b"OPN" and self._greeted:
            self._open(frame)
            out.upstream.append(frame)
        elif kind == b"MSG" and self._channel:
            said = self._up.message(frame, self._channel)
            if said is not None:
                self._judge(*said, now, out)
            else:
                out.upstream += self._up.given_up()
        elif kind == b"CLO" and self._channel:
            out.upstream.append(frame)
            self._finish(None, out)
        else:
            raise Cut(status.BAD_TCP_MESSAGE_TYPE_INVALID, Reason.MALFORMED, "a frame of a type that is not due")

    def _open(self, frame: bytes) -> None:
        chunk = read_open(frame)
        if isinstance(chunk, Malformed):
            raise Cut(chunk.status, Reason.MALFORMED, chunk.why)
        policy = POLICIES.get(chunk.policy_uri or "")
        if policy is None or not policy.secured:
            raise Cut(status.BAD_SECURITY_POLICY_REJECTED, Reason.CHANNEL_REFUSED, "a channel that is not signed")
        self._up.opened()

    def _judge(self, request: int, body: bytes, now: float, out: Effects) -> None:
        frames = self._up.taken()
        go = self._sessions.request(request, body, now, out)
        if go is None:
            out.upstream += frames
            return
        events, again = go
        self._held = set(), frames, again
        for event in events:
            self._tokens += 1
            self._held[0].add(self._tokens)
            out.held.append((self._tokens, event))

    def from_upstream(self, message: bytes, now: float, out: Effects) -> None:
        if self._over:
            return
        try:
            for frame in self._down.split(message, BUFFER):
                self._answer(frame, now, out)
        except Cut as cut:
            self._cut(cut, out)

    def _answer(self, frame: bytes, now: float, out: Effects) -> None:
        kind = frame[:3]
        if kind == b"ACK":
            if isinstance(ack := Acknowledge.decode(frame), Malformed):
                raise Cut(ack.status, Reason.UPSTREAM_INVALID, ack.why)
            out.client.append(frame)
        elif kind == b"OPN":
            self._channel, _ = PLACE.unpack_from(frame, HEADER)
            self._down.opened()
            out.client.append(frame)
        elif kind == b"MSG":
            said = self._down.message(frame, self._channel)
            if said is not None:
                frames = self._down.taken()
                self._sessions.response(*said, now, out)
                out.client += frames
            else:
                out.client += self._down.given_up()
        elif kind == b"ERR":
            out.client.append(frame)
            self._finish(None, out)
        else:
            raise Cut(status.BAD_TCP_MESSAGE_TYPE_INVALID, Reason.UPSTREAM_INVALID, "a frame of a type that is not due")

    def upstream_is(self, state: UpstreamState, now: float, out: Effects) -> None:
        if state is not UpstreamState.OPEN and not self._over:
            self._cut(Cut(status.BAD_SERVER_NOT_CONNECTED, Reason.UPSTREAM_UNREACHABLE), out)

    def eof(self, now: float, out: Effects) -> None:
        self._finish(None, out)

    def decide_again(self, now: float, out: Effects) -> None:
        if not self._over:
            try:
                self._sessions.decide_again(now, out)
            except Cut as cut:
                self._cut(cut, out)

    def resume(self, token: int, recorded: bool, now: float, out: Effects) -> None:
        if self._held is None or token not in self._held[0] or self._over:
            return
        tokens, frames, again = self._held
        tokens.remove(token)
        if recorded and tokens:
            return
        self._held = None
        try:
            if not recorded:
                raise Cut(status.BAD_RESOURCE_UNAVAILABLE, Reason.AUDIT_NOT_WRITABLE)
            again()
            out.upstream += frames
            while self._waiting and self._held is None:
                self._request(self._waiting.popleft(), now, out)
        except Cut as cut:
            self._cut(cut, out)

    def end(self, reason: Reason, now: float, out: Effects) -> None:
        if not self._over:
            self._cut(Cut(status.BAD_SECURE_CHANNEL_CLOSED, reason), out)

    def _cut(self, cut: Cut, out: Effects) -> None:
        out.client.append(ErrorMessage(cut.code, None).encode())
        if cut.why:
            out.events.append(Event("malformed", reason=cut.reason, detail=cut.why))
        self._finish(cut.reason, out)

    def _finish(self, why: Reason | None, out: Effects) -> None:
        self._over = True
        self._pool.holds(self._unfinished, 0)
        self._unfinished = 0
        out.close(why)

    def deadline(self) -> float | None:
        if self._over or self._held is not None:
            return None
        if not self._channel:
            return self._client.opened + OPENING
        return None if self._up.since is None else self._up.since + PARTIAL

    def tick(self, now: float, out: Effects) -> None:
        due = self.deadline()
        if due is not None and now >= due:
            self._cut(Cut(status.BAD_TIMEOUT, Reason.TOO_SLOW, "a channel or message that was not whole in time"), out)

    def tally(self) -> Mapping[Hashable, int]:
        return self._sessions.tally()
