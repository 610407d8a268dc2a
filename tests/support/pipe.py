"""A protocol of bytes for the one-to-one upstream, and a broker that takes and says only what a test tells it to.

Nothing is judged: what is tested is that the data plane carries every byte, in time and in bounds.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Hashable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from proxy.protocols.base import UpstreamState
from proxy.protocols.relay import RelayUpstream
from tests.support.mbaps import reset

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.names import Names
    from proxy.core.process import Point
    from proxy.core.reason import Reason
    from proxy.protocols.base import (
        Client,
        Decide,
        Effects,
        Far,
        Inspector,
        Proposal,
        ProtocolSpec,
        Report,
        Setting,
        Upstream,
    )


SEGMENT = 1400
"""Bytes of a packet, as on a wire."""


class PipeInspector:
    """Passes on packets of ``packet`` bytes, whole; 0: what comes. ``echo`` answers by itself, and nothing goes up."""

    def __init__(self, packet: int, echo: bool) -> None:
        self._packet = packet
        self._echo = echo
        self._up = bytearray()
        self._down = bytearray()

    def identified(self, names: Names, now: float, out: Effects) -> None:
        pass

    def from_client(self, data: bytes, now: float, out: Effects) -> None:
        (out.client if self._echo else out.upstream).extend(self._whole(self._up, data))

    def from_upstream(self, message: bytes, now: float, out: Effects) -> None:
        out.client.extend(self._whole(self._down, message))

    def upstream_is(self, state: UpstreamState, now: float, out: Effects) -> None:
        if state is not UpstreamState.OPEN:
            out.close()

    def eof(self, now: float, out: Effects) -> None:
        out.upstream.append(b"the end")
        out.close()

    def decide_again(self, now: float, out: Effects) -> None: ...
    def resume(self, token: int, recorded: bool, now: float, out: Effects) -> None: ...

    def end(self, reason: Reason, now: float, out: Effects) -> None:
        out.upstream.append(b"the end")
        out.close(reason)

    def deadline(self) -> float | None:
        return None

    def tick(self, now: float, out: Effects) -> None: ...

    def tally(self) -> Mapping[Hashable, int]:
        return {}

    def _whole(self, parts: bytearray, data: bytes) -> list[bytes]:
        if not self._packet:
            return [data]
        parts += data
        found = []
        while len(parts) >= self._packet:
            found.append(bytes(memoryview(parts)[: self._packet]))
            del parts[: self._packet]
        return found


class PipeProtocol:
    """See `proxy.protocols.base.ProtocolSpec`."""

    name = "pipe"
    ports = frozenset({9})
    shareable = False

    def __init__(self, packet: int = 0, *, echo: bool = False) -> None:
        self._packet = packet
        self._echo = echo

    def deny_styles(self, *, secured: bool) -> tuple[str, ...]:
        return ("refuse",)

    def answers_strangers(self, *, secured: bool) -> bool:
        return False

    def parse_service(self, value: object, report: Report) -> object | None:
        return value

    def parse_listener(self, value: object, report: Report) -> object | None:
        if value is not None:
            report((), "pipe has no settings of a listener", "delete the section")
        return None

    def secrets(self, options: object) -> tuple[str, ...]:
        return ()

    def introduces(self, options: object) -> bool:
        return False

    def memory(self, options: object) -> object:
        return None

    def parse_rule(self, value: object, report: Report) -> tuple[Target, ...]:
        return ()

    def parse_never(self, value: object, report: Report) -> tuple[Target, ...]:
        return ()

    def parse_actions(self, text: str) -> tuple[Action, ...]:
        return ()

    def text_of(self, asked: Sequence[Action]) -> str:
        return ""

    def parse_point(self, text: str) -> Point:
        raise ValueError("shows no values that a rule may depend on; take it out")

    def beyond(self, targets: tuple[Target, ...], others: tuple[Target, ...]) -> tuple[Target, ...]:
        return targets

    def outright(self, asked: tuple[Action, ...], options: object) -> tuple[Reason, str] | None:
        return None

    def sections(self, text: str, refused: tuple[Action, ...]) -> Iterable[object]:
        return ()

    def learn(self, asked: Sequence[Action], names: Names) -> Iterable[Proposal]:
        return ()

    def pointless(self, target: Target, options: object) -> tuple[str, str] | None:
        return None

    def schema(self) -> Mapping[str, Mapping[str, object]]:
        return {}

    def inspector(self, decide: Decide, setting: Setting, options: object, client: Client) -> Inspector:
        return PipeInspector(self._packet, self._echo)

    def upstream(self, options: object, far: Far) -> Upstream:
        return RelayUpstream()


def _conforms() -> ProtocolSpec:
    return PipeProtocol()


class Broker:
    """Bare sockets: nothing is accepted or read that a test did not ask for."""

    def __init__(self, *, backlog: int = 16, host: str = "127.0.0.9") -> None:
        self.host = host
        self._loop = asyncio.get_running_loop()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        self._listener.bind((host, 0))
        self._listener.listen(backlog)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.lines: list[Line] = []

    async def __aenter__(self) -> Broker:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._listener.close()
        for line in self.lines:
            line.sock.close()

    async def accept(self) -> Line:
        sock, _ = await asyncio.wait_for(self._loop.sock_accept(self._listener), 5)
        sock.setblocking(False)
        line = Line(sock)
        self.lines.append(line)
        return line


class Line:
    """The broker's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()

    async def take(self, size: int = 65536, seconds: float = 5.0) -> bytes:
        return await asyncio.wait_for(self._loop.sock_recv(self.sock, size), seconds)

    async def exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size and (more := await self.take(min(size - len(data), 1 << 18))):
            data += more
        return bytes(data)

    async def to_the_end(self, *, size: int = 65536, pause: float = 0.0) -> bytes:
        """All that comes. Raises ConnectionResetError when it ends in a reset, for then something may be lost."""
        data = bytearray()
        while more := await self.take(size):
            data += more
            if pause:
                await asyncio.sleep(pause)
        return bytes(data)

    async def say(self, data: bytes, seconds: float = 10.0) -> None:
        await asyncio.wait_for(self._loop.sock_sendall(self.sock, data), seconds)

    def finish(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        reset(self.sock)
