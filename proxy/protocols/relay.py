"""One client, one connection: the upstream of protocols that need neither sharing nor translation towards the device.

The first message dials. What is submitted before the connection is up waits. Bytes of the device go to the client's
inspector as they come: a message is a chunk here, in any cut, and it is the inspector that accounts for it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.base import UpstreamState

if TYPE_CHECKING:
    from proxy.protocols.base import UpstreamEffects

CONNECTION = 0
WAITING = 1 << 20
"""Bytes that wait for the connection, above which no further message is taken. The driver reads no more from the
client long before; one message of any size that its inspector allows may go over it."""


class _Stage(Enum):
    IDLE = "idle"
    DIALLING = "dialling"
    OPEN = "open"
    OVER = "over"


class RelayUpstream:
    """See `proxy.protocols.base.Upstream`. It is over with its connection: there is no second dial."""

    def __init__(self) -> None:
        self._stage = _Stage.IDLE
        self._client = 0
        self._here = True
        self._waiting: list[bytes] = []
        self._waiting_size = 0

    def submit(self, client: int, message: bytes, now: float, out: UpstreamEffects) -> None:
        if self._stage is _Stage.OPEN:
            out.device.setdefault(CONNECTION, []).append(message)
        elif self._stage is _Stage.IDLE:
            self._stage = _Stage.DIALLING
            self._client = client
            out.dial.append(CONNECTION)
            self._wait(message, out)
        elif self._stage is _Stage.DIALLING:
            self._wait(message, out)

    def opened(self, connection: int, now: float, out: UpstreamEffects) -> None:
        if self._stage is not _Stage.DIALLING:
            return
        self._stage = _Stage.OPEN
        out.device.setdefault(CONNECTION, []).extend(self._waiting)
        self._forget()
        if self._here:
            out.states.append((self._client, UpstreamState.OPEN))
        else:
            self._hang_up(out)

    def from_device(self, connection: int, data: bytes, now: float, out: UpstreamEffects) -> None:
        if self._here and self._stage is _Stage.OPEN:
            out.clients.append((self._client, data))

    def lost(self, connection: int, now: float, out: UpstreamEffects) -> None:
        if self._stage not in (_Stage.DIALLING, _Stage.OPEN):
            return
        state = UpstreamState.LOST if self._stage is _Stage.OPEN else UpstreamState.REFUSED
        self._stage = _Stage.OVER
        self._forget()
        if self._here:
            out.states.append((self._client, state))

    def leave(self, client: int, now: float, out: UpstreamEffects) -> None:
        """What was submitted still goes to the device, after the dial if need be: a client may send and go."""
        self._here = False
        if self._stage is _Stage.OPEN or (self._stage is _Stage.DIALLING and not self._waiting):
            self._hang_up(out)

    def deadline(self) -> float | None:
        return None

    def tick(self, now: float, out: UpstreamEffects) -> None:
        """Nothing is due by itself."""

    def _wait(self, message: bytes, out: UpstreamEffects) -> None:
        if self._waiting_size <= WAITING:
            self._waiting.append(message)
            self._waiting_size += len(message)
            return
        detail = f"more than {WAITING} bytes waited for the connection"
        out.events.append((self._client, Event("device", reason=Reason.OVERLOAD, detail=detail)))
        out.states.append((self._client, UpstreamState.REFUSED))
        self._hang_up(out)

    def _hang_up(self, out: UpstreamEffects) -> None:
        self._stage = _Stage.OVER
        self._forget()
        out.hang_up.append(CONNECTION)

    def _forget(self) -> None:
        self._waiting = []
        self._waiting_size = 0
