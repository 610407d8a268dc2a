"""Questions and answers on one channel to the server: the client's, and our own beside them.

Every request gets a request id of ours, and its answer goes back under the id of the message. Nothing is decoded: a
request that goes on and its answer are a look-up and a header. A request is sent once; what is not answered in time
gets a Bad_Timeout fault, and its late answer is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.opcua import status, type_ids
from proxy.protocols.opcua.decode import encode
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import ResponseHeader
from proxy.protocols.opcua.south_channel import OWN_IDS, SouthChannel
from proxy.protocols.opcua.wire import Broken, Reader, date_time

if TYPE_CHECKING:
    from proxy.protocols.base import UpstreamEffects
    from proxy.protocols.opcua.channel import Said

CONNECTION = 0
UNDER_WAY = 1024
"""Requests without an answer, Publish among them. The inspector allows a client far fewer."""
PATIENCE = 600.0
"""Seconds that a timeoutHint may ask for."""
HEAD = 1024
"""Bytes of a message that are kept while it waits: its request header, to make a fault of."""
ID = 4

Done = Callable[[bytes | None, float, "UpstreamEffects"], None]
"""Takes the answer to a request, or None if there was none in time; ``now`` in monotonic seconds."""
_Pending = tuple[float, bytes, Done | None]
"""When it is overdue, the head of the message, and who wants the answer instead of the client."""


PUBLISH = type_ids.prefix(type_ids.PUBLISH_REQUEST)


class SouthLine:
    """``timeout`` in seconds. Lives as long as the channel."""

    def __init__(self, channel: SouthChannel, client: int, timeout: float, wall: Callable[[], float]) -> None:
        self._channel = channel
        self._client = client
        self._timeout = timeout
        self._wall = wall
        self._request_id = 0
        self._pending: dict[int, _Pending] = {}
        self._apart: dict[int, _Pending] = {}

    def forward(self, message: bytes, now: float, out: UpstreamEffects) -> None:
        """A message of the client, as it is; its answer goes to the client as it is."""
        if message[ID : ID + 4] == PUBLISH:  # waits until there is something to tell
            self._send(message, None, math.inf, self._apart, out)
            return
        due = now + self._timeout
        if not self._pending:  # else an older one is due before it
            wake(out, due)
        self._send(message, None, due, self._pending, out)

    def ask(self, message: bytes, done: Done, now: float, out: UpstreamEffects, due: float | None = None) -> None:
        """``message`` is our own, behind the id of that of the client for which it is asked (any, if none is).
        ``done`` may be called at once."""
        if due is None:
            due = now + self._timeout
        wake(out, due)
        if not self._send(message, done, due, self._apart, out):
            done(None, now, out)

    def answer(self, said: Said, now: float, out: UpstreamEffects) -> bool:
        """False if nobody ever asked that."""
        request_id = said.request_id
        entry = self._pending.pop(request_id, None) or self._apart.pop(request_id, None)
        if entry is None:
            return 0 < request_id <= self._request_id  # too late
        _, head, done = entry
        if done is None:
            out.clients.append((self._client, head[:ID] + said.body))
        else:
            done(said.body, now, out)
        return True

    def fault(self, message: bytes, code: int, out: UpstreamEffects) -> None:
        """Answers a message that is not sent, or not answered."""
        out.clients.append((self._client, fault_to(message, code, self._wall())))

    def unanswered(self) -> int:
        return len(self._pending) + len(self._apart)

    def deadline(self) -> float:
        first = next((due for due, _, _ in self._pending.values()), math.inf)  # oldest first: one timeout for all
        return min(first, min((due for due, _, _ in self._apart.values()), default=math.inf))

    def expire(self, now: float, out: UpstreamEffects) -> None:
        late = []
        for request_id, (due, _, _) in self._pending.items():
            if due > now:
                break
            late.append(request_id)
        for request_id in late:
            due, head, done = self._pending.pop(request_id)
            patient = due - self._timeout + min(_head(head)[1], PATIENCE)
            if patient > now:  # its client said that it takes longer
                self._apart[request_id] = (patient, head, done)
            else:
                self._expired(head, done, now, out)
        for request_id in [number for number, (due, _, _) in self._apart.items() if due <= now]:
            _, head, done = self._apart.pop(request_id)
            self._expired(head, done, now, out)

    def _expired(self, head: bytes, done: Done | None, now: float, out: UpstreamEffects) -> None:
        what = int.from_bytes(head[ID + 2 : ID + 4], "little")
        detail = f"a request of type {what} was not answered in time"
        out.events.append((self._client, Event("device", reason=Reason.UPSTREAM_SILENT, detail=detail)))
        if done is None:
            self.fault(head, status.BAD_TIMEOUT, out)
        else:
            done(None, now, out)

    def _send(
        self, message: bytes, done: Done | None, due: float, where: dict[int, _Pending], out: UpstreamEffects
    ) -> bool:
        if len(self._pending) + len(self._apart) >= UNDER_WAY:
            return self._turned_down(message, done, status.BAD_TOO_MANY_OPERATIONS, out)
        request_id = self._request_id = self._request_id % (OWN_IDS - 1) + 1
        data = bytearray()
        if not self._channel.send(request_id, message[ID:], data):
            return self._turned_down(message, done, status.BAD_REQUEST_TOO_LARGE, out)
        if (sends := out.device.get(CONNECTION)) is None:
            sends = out.device[CONNECTION] = []
        sends.append(bytes(data))
        where[request_id] = (due, message[:HEAD], done)
        return True

    def _turned_down(self, message: bytes, done: Done | None, code: int, out: UpstreamEffects) -> bool:
        if done is None:
            self.fault(message, code, out)
        return False


def fault_to(message: bytes, code: int, wall: float) -> bytes:
    """The ServiceFault that answers ``message``, under its id and with its requestHandle."""
    header = ResponseHeader.make(_head(message)[0], result=code, timestamp=date_time(wall))
    return message[:ID] + encode(ServiceFault(header))


def wake(out: UpstreamEffects, at: float) -> None:
    if out.wake is None or at < out.wake:
        out.wake = at


def _head(message: bytes) -> tuple[int, float]:
    """requestHandle and timeoutHint (seconds) of a request, whose end may be cut off; 0 where it is not there."""
    reader = Reader(message, ID)
    handle = hint = 0
    try:
        NodeId.read(reader)
        NodeId.read(reader)
        reader.time()
        handle = reader.u32()
        reader.u32()
        reader.string()
        hint = reader.u32()
    except Broken:
        pass  # the inspector accounted for it: what is missing was cut off here
    return handle, hint / 1000
