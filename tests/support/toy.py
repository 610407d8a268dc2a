"""A protocol of one page that has nothing in common with Modbus: it proves that the data plane knows the seam alone.

Lines of ASCII, at most 40 characters. ``get CELL`` and ``put CELL VALUE`` are asked of the device, which answers in
order; ``bye`` ends. Lines that begin with ``note`` come from the device unasked and go to every client. A refusal is
``no BH-1201``, a goodbye ``bye BH-1608``. ``break METHOD`` plants a bug into the inspector that reads it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter, deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.base import UpstreamState
from tests.support.net import free_port, until

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.names import Names
    from proxy.core.process import Point
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
        UpstreamEffects,
    )

LONGEST = 40
PARTIAL = 0.3
"""Seconds for a line to become whole, unless a test says otherwise."""


class Planted(Exception):
    """A bug that a test asked for."""


@dataclass(frozen=True)
class ToyAction:
    verb: str
    cell: str
    protocol: str = "toy"
    atoms: int = 1
    extent: None = None

    @property
    def changes(self) -> bool:
        return self.verb == "put"

    @property
    def shape(self) -> tuple[object, ...]:
        return self.verb, self.cell

    @property
    def size(self) -> float:
        return 0

    def describe(self) -> str:
        return f"{self.verb} {self.cell}"


class ToyInspector:
    """See `proxy.protocols.base.Inspector`. ``eofs`` and ``epochs`` count calls, for tests."""

    def __init__(self, decide: Decide, partial: float) -> None:
        self.eofs = self.epochs = 0
        self._decide = decide
        self._partial = partial
        self._rest = b""
        self._until: float | None = None
        self._held: dict[int, bytes] = {}
        self._behind: deque[bytes] = deque()
        self._tokens = 0
        self._owed = 0
        self._eof = False
        self._tally: Counter[Hashable] = Counter()
        self._broken = ""

    def identified(self, names: Names, now: float, out: Effects) -> None:
        pass

    def from_client(self, data: bytes, now: float, out: Effects) -> None:
        self._maybe_break("from_client")
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if out.closing:
                return
            self._line(line, now, out)
        if len(self._rest) > LONGEST:
            self._malformed(out)
        if not self._rest:
            self._until = None
        elif self._until is None or lines:
            self._until = out.wake = now + self._partial

    def from_upstream(self, message: bytes, now: float, out: Effects) -> None:
        self._maybe_break("from_upstream")
        out.client.append(message)
        if not message.startswith(b"note"):
            self._owed -= 1
        self._finish(out)

    def upstream_is(self, state: UpstreamState, now: float, out: Effects) -> None:
        self._maybe_break("upstream_is")
        out.client.append(f"device {state.value}\n".encode())
        if state is not UpstreamState.OPEN:
            self._owed = 0
        self._finish(out)

    def eof(self, now: float, out: Effects) -> None:
        self._maybe_break("eof")
        self.eofs += 1
        self._eof = True
        self._finish(out)

    def decide_again(self, now: float, out: Effects) -> None:
        self._maybe_break("decide_again")
        self.epochs += 1

    def resume(self, token: int, recorded: bool, now: float, out: Effects) -> None:
        self._maybe_break("resume")
        line = self._held.pop(token)
        if recorded:
            self._judge(line, now, out, recorded=True)
        else:
            self._refuse(Reason.AUDIT_NOT_WRITABLE, line, out)
        while self._behind and not self._held and not out.closing:
            self._line(self._behind.popleft(), now, out)
        self._finish(out)

    def end(self, reason: Reason, now: float, out: Effects) -> None:
        self._maybe_break("end")
        out.client.append(f"bye {reason.code}\n".encode())
        out.close(reason)

    def deadline(self) -> float | None:
        self._maybe_break("deadline")
        return self._until

    def tick(self, now: float, out: Effects) -> None:
        self._maybe_break("tick")
        if self._until is not None and now >= self._until:
            self._until = None
            out.client.append(b"slow\n")
            out.close(Reason.TOO_SLOW)

    def tally(self) -> Mapping[Hashable, int]:
        self._maybe_break("tally")
        return self._tally

    def _line(self, line: bytes, now: float, out: Effects) -> None:
        if self._held:
            self._behind.append(line)
        elif line.startswith(b"break "):
            self._broken = line[6:].decode()
        elif line == b"bye":
            out.close()
        elif len(line) > LONGEST or line.split(b" ")[0] not in (b"get", b"put"):
            self._malformed(out)
        else:
            self._judge(line, now, out)

    def _judge(self, line: bytes, now: float, out: Effects, *, recorded: bool = False) -> None:
        verb, cell, *_ = line.decode().split(" ")
        verdict = self._decide((ToyAction(verb, cell),), now)
        if verdict.reason is not None:
            self._refuse(verdict.reason, line, out)
        elif verdict.record_first and not recorded:
            self._tokens += 1
            self._held[self._tokens] = line
            out.held.append((self._tokens, Event("act", action=line.decode(), verdict=verdict)))
        else:
            self._tally[verdict.tag] += 1
            self._owed += 1
            out.upstream.append(line + b"\n")

    def _refuse(self, reason: Reason, line: bytes, out: Effects) -> None:
        out.client.append(f"no {reason.code}\n".encode())
        out.events.append(Event("refuse", reason=reason, action=line.decode()))

    def _malformed(self, out: Effects) -> None:
        out.events.append(Event("malformed", reason=Reason.MALFORMED))
        out.close(Reason.MALFORMED)

    def _finish(self, out: Effects) -> None:
        if self._eof and not self._owed and not self._held and not self._behind:
            out.close()

    def _maybe_break(self, method: str) -> None:
        if method == self._broken:
            raise Planted(method)


class ToyUpstream:
    """One connection to the device for all clients. See `proxy.protocols.base.Upstream`."""

    def __init__(self, broken: set[str]) -> None:
        self._broken = broken
        self._clients: set[int] = set()
        self._owed: deque[int] = deque()
        self._unsent: list[tuple[int, bytes]] = []
        self._rest = b""
        self._state = "closed"

    def submit(self, client: int, message: bytes, now: float, out: UpstreamEffects) -> None:
        self._maybe_break("submit")
        self._clients.add(client)
        if self._state == "open":
            self._send(client, message, out)
            return
        self._unsent.append((client, message))
        if self._state == "closed":
            self._state = "dialled"
            out.dial.append(7)

    def opened(self, connection: int, now: float, out: UpstreamEffects) -> None:
        self._maybe_break("opened")
        self._state = "open"
        for client, message in self._unsent:
            self._send(client, message, out)
        self._unsent.clear()

    def from_device(self, connection: int, data: bytes, now: float, out: UpstreamEffects) -> None:
        self._maybe_break("from_device")
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"note"):
                out.clients += [(client, line + b"\n") for client in sorted(self._clients)]
            elif self._owed:
                out.clients.append((self._owed.popleft(), line + b"\n"))

    def lost(self, connection: int, now: float, out: UpstreamEffects) -> None:
        self._maybe_break("lost")
        state = UpstreamState.LOST if self._state == "open" else UpstreamState.REFUSED
        waiting = {*self._owed, *(client for client, _ in self._unsent)}
        out.states += [(client, state) for client in sorted(waiting)]
        self._state, self._rest = "closed", b""
        self._owed.clear()
        self._unsent.clear()

    def leave(self, client: int, now: float, out: UpstreamEffects) -> None:
        self._maybe_break("leave")
        self._clients.discard(client)
        self._unsent = [entry for entry in self._unsent if entry[0] != client]
        if not self._clients and self._state == "open":
            self._state = "closed"
            self._owed.clear()
            out.hang_up.append(7)

    def deadline(self) -> float | None:
        return None

    def tick(self, now: float, out: UpstreamEffects) -> None:
        """Nothing is due by itself."""

    def _send(self, client: int, message: bytes, out: UpstreamEffects) -> None:
        self._owed.append(client)
        out.device.setdefault(7, []).append(message)

    def _maybe_break(self, method: str) -> None:
        if method in self._broken:
            raise Planted(method)


class ToyProtocol:
    """See `proxy.protocols.base.ProtocolSpec`. ``broken`` names methods of its upstreams that raise."""

    name = "toy"
    ports = frozenset({7})
    shareable = True

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.partial = PARTIAL
        self.inspectors: list[ToyInspector] = []

    def deny_styles(self, *, secured: bool) -> tuple[str, ...]:
        return ("refuse",)

    def answers_strangers(self, *, secured: bool) -> bool:
        return False

    def parse_service(self, value: object, report: Report) -> object | None:
        return value

    def parse_listener(self, value: object, report: Report) -> object | None:
        if value is not None:
            report((), "toy has no settings of a listener", "delete the section")
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
        verb, cell, *_ = text.split(" ")
        return (ToyAction(verb, cell),)

    def text_of(self, asked: Sequence[Action]) -> str:
        return "".join(action.describe() for action in asked)

    def parse_point(self, text: str) -> Point:
        raise ValueError("shows no values that a rule may depend on; take it out")

    def beyond(self, targets: tuple[Target, ...], others: tuple[Target, ...]) -> tuple[Target, ...]:
        return tuple(target for target in targets if not any(target.within(other) for other in others))

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
        if "inspector" in self.broken:
            raise Planted("inspector")
        self.inspectors.append(ToyInspector(decide, self.partial))
        return self.inspectors[-1]

    def upstream(self, options: object, far: Far) -> Upstream:
        return ToyUpstream(self.broken)


def _conforms() -> ProtocolSpec:
    return ToyProtocol()


class ToyDevice:
    """Answers ``get 5`` with ``5 is 0`` or what was put there; keeps every line it received."""

    def __init__(self, host: str = "127.0.0.9", tls: ssl.SSLContext | None = None) -> None:
        self.host = host
        self._tls = tls
        self.port = free_port(host)
        self.received: list[str] = []
        self.accepted = 0
        self.cells: dict[str, str] = {}
        self.silent = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> ToyDevice:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self._tls)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.hang_up()
        await until(lambda: not self._writers, what="the device's connections are gone")

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    @property
    def open(self) -> int:
        return len(self._writers)

    def say(self, line: str) -> None:
        """Unasked, on every connection."""
        for writer in self._writers:
            writer.write(line.encode() + b"\n")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        try:
            while line := (await reader.readline()).decode().rstrip("\n"):
                self.received.append(line)
                verb, cell, *value = line.split(" ")
                if verb == "put":
                    self.cells[cell] = value[0]
                if not self.silent:
                    writer.write(f"{cell} is {self.cells.get(cell, '0')}\n".encode())
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
