"""The upstream of one client: our own channel to the server, and our own session layer on it (protocols.md 4.3).

    message = id of the inspector (u32 LE) + service body in the clear

The first message dials; messages wait until the channel is open. The session services are made anew on the way
(`south_session`), everything else goes on as it is (`south_line`). A session is handed to the client only after its
namespaces were read and the watched subtrees browsed (`survey`).
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.base import UpstreamState
from proxy.protocols.opcua import channel, status
from proxy.protocols.opcua.channel import Said
from proxy.protocols.opcua.memory import Memory
from proxy.protocols.opcua.south_channel import SouthChannel, SouthSetting
from proxy.protocols.opcua.south_line import CONNECTION, ID, SouthLine, fault_to, wake
from proxy.protocols.opcua.south_services import SouthServices

if TYPE_CHECKING:
    from proxy.protocols.base import Far, UpstreamEffects
    from proxy.protocols.opcua.service import OpcUaService

WAITING = 64
WAITING_BYTES = 1 << 20
"""Messages, and bytes of them, that may wait for the channel."""
LIFETIME_MS = 3_600_000
"""Asked for a token of the channel."""


class _Stage(Enum):
    IDLE = "idle"
    DIALLING = "dialling"
    OPENING = "opening"
    OPEN = "open"
    OVER = "over"


class OpcUaDevice:
    """See `proxy.protocols.base.Upstream`. It is over with its connection: there is no second dial."""

    def __init__(self, service: OpcUaService, far: Far) -> None:
        self._service = service
        self._far = far
        self._memory = far.memory if isinstance(far.memory, Memory) else Memory()
        self._timeout = service.timeout_ms / 1000
        self._stage = _Stage.IDLE
        self._client = 0
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._open_by = math.inf

    def submit(self, client: int, message: bytes, now: float, out: UpstreamEffects) -> None:
        """Raises ValueError for a session service that cannot be decoded: an inspector that forwards it has a bug."""
        if self._stage is _Stage.OPEN:
            self._services.take(message, now, out)
        elif self._stage is _Stage.OVER:
            self._turn_down(message, status.BAD_SERVER_NOT_CONNECTED, out)
        elif self._stage is not _Stage.IDLE or self._begin(client, out):
            self._wait(message, out)

    def opened(self, connection: int, now: float, out: UpstreamEffects) -> None:
        if self._stage is not _Stage.DIALLING:
            return
        self._stage = _Stage.OPENING
        self._open_by = now + self._timeout
        wake(out, self._open_by)
        data = bytearray()
        self._channel.start(now, data)
        out.device.setdefault(CONNECTION, []).append(bytes(data))

    def from_device(self, connection: int, data: bytes, now: float, out: UpstreamEffects) -> None:
        if self._stage not in (_Stage.OPENING, _Stage.OPEN):
            return
        reply = bytearray()
        events = self._channel.receive(data, now, reply)
        if reply:  # numbered before whatever the events make us send
            out.device.setdefault(CONNECTION, []).append(bytes(reply))
        if not events and (due := self._channel.deadline()) is not None:
            wake(out, due)  # a message has begun, and must end
        for event in events:
            if type(event) is Said:
                if not self._line.answer(event, now, out):
                    self._tell(Reason.UPSTREAM_INVALID, "an answer to no question", out)
            else:
                self._happened(event, now, out)

    def lost(self, connection: int, now: float, out: UpstreamEffects) -> None:
        if self._stage in (_Stage.IDLE, _Stage.OVER):
            return
        if count := self._line.unanswered():
            detail = f"connection lost with {count} requests unanswered; their outcome is unknown"
            self._tell(Reason.UPSTREAM_SILENT, detail, out)
        self._over(now, out, hang_up=False)

    def leave(self, client: int, now: float, out: UpstreamEffects) -> None:
        """Sessions stay in memory: the client may come back on another link and activate them again."""
        if self._stage is _Stage.IDLE or self._stage is _Stage.OVER:
            return
        if self._stage is _Stage.OPEN:
            data = bytearray()
            self._channel.close(data)
            out.device.setdefault(CONNECTION, []).append(bytes(data))
        self._end(now)
        out.hang_up.append(CONNECTION)

    def deadline(self) -> float | None:
        earliest = self._open_by
        if self._stage is _Stage.OPEN:
            earliest = min(self._line.deadline(), self._services.deadline())
        if self._stage in (_Stage.OPENING, _Stage.OPEN):
            due = self._channel.deadline()
            earliest = earliest if due is None else min(earliest, due)
        return None if earliest == math.inf else earliest

    def tick(self, now: float, out: UpstreamEffects) -> None:
        if self._stage is _Stage.OPENING and now >= self._open_by:
            detail = f"the server opened no channel within {self._timeout:g} s"
            self._tell(Reason.UPSTREAM_SILENT, detail, out)
            self._over(now, out, hang_up=True)
        if self._stage not in (_Stage.OPENING, _Stage.OPEN):
            return
        data = bytearray()
        events = self._channel.tick(now, data)
        if data:
            out.device.setdefault(CONNECTION, []).append(bytes(data))
        for event in events:
            self._happened(event, now, out)
        if self._is_open():
            self._line.expire(now, out)
            self._services.tick(now, out)

    def _happened(self, event: channel.Event, now: float, out: UpstreamEffects) -> None:
        """On the channel. After its end nothing else comes."""
        if isinstance(event, channel.Opened):
            self._ready(now, out)
        elif isinstance(event, channel.Broke):
            reason = Reason.UPSTREAM_INVALID if event.reason is Reason.MALFORMED else event.reason
            self._tell(reason, f"{event.why} ({status.name_of(event.status)})", out)
            self._over(now, out, hang_up=True)
        elif (due := self._channel.deadline()) is not None:
            wake(out, due)  # a new token has a new end

    def _begin(self, client: int, out: UpstreamEffects) -> bool:
        """False if what the service is known by cannot be used."""
        self._client = client
        try:
            identity = self._memory.identities.of(self._service, self._far)
        except ValueError as fault:
            self._stage = _Stage.OVER
            self._tell(Reason.UPSTREAM_UNREACHABLE, str(fault), out)
            out.states.append((client, UpstreamState.REFUSED))
            return False
        setting = SouthSetting(
            policy=identity.policy,
            mode=identity.mode,
            own=identity.own,
            server=identity.server,
            url=identity.url,
            lifetime_ms=LIFETIME_MS,
        )
        self._channel = SouthChannel(setting, self._far.entropy, self._far.wall)
        self._line = SouthLine(self._channel, client, self._timeout, self._far.wall)
        self._services = SouthServices(self._line, identity, self._memory, self._far, client)
        self._stage = _Stage.DIALLING
        out.dial.append(CONNECTION)
        return True

    def _is_open(self) -> bool:
        return self._stage is _Stage.OPEN

    def _ready(self, now: float, out: UpstreamEffects) -> None:
        self._stage = _Stage.OPEN
        self._open_by = math.inf
        out.states.append((self._client, UpstreamState.OPEN))
        if (due := self._channel.deadline()) is not None:
            wake(out, due)
        waiting, self._waiting = self._waiting, []
        self._waiting_size = 0
        for message in waiting:
            self._services.take(message, now, out)

    def _wait(self, message: bytes, out: UpstreamEffects) -> None:
        if len(self._waiting) < WAITING and self._waiting_size + len(message) <= WAITING_BYTES:
            self._waiting.append(message)
            self._waiting_size += len(message)
            return
        self._tell(Reason.OVERLOAD, "too much waits for the channel to the server", out)
        self._turn_down(message, status.BAD_TOO_MANY_OPERATIONS, out)

    def _turn_down(self, message: bytes, code: int, out: UpstreamEffects) -> None:
        if len(message) > ID:  # else it is for us, and has no answer
            out.clients.append((self._client, fault_to(message, code, self._far.wall())))

    def _over(self, now: float, out: UpstreamEffects, *, hang_up: bool) -> None:
        was_open = self._stage is _Stage.OPEN
        self._end(now)
        if hang_up:
            out.hang_up.append(CONNECTION)
        out.states.append((self._client, UpstreamState.LOST if was_open else UpstreamState.REFUSED))

    def _end(self, now: float) -> None:
        self._stage = _Stage.OVER
        self._waiting = []
        self._waiting_size = 0
        self._open_by = math.inf
        self._memory.release(self._services, now)

    def _tell(self, reason: Reason, detail: str, out: UpstreamEffects) -> None:
        out.events.append((self._client, Event("device", reason=reason, detail=detail)))
