"""A publisher between its scripted peers, in a time of its own. Bytes arrive in pieces, to try every cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from proxy.protocols.opcua.node import parse_node
from proxy.uplink.backlog import Ring
from proxy.uplink.edge import Edge
from proxy.uplink.form import Address, JsonForm
from proxy.uplink.opcua_session import Plan
from proxy.uplink.publisher import Publisher, Side
from proxy.uplink.sparkplug import Payload, decode
from tests.uplink.peers import Broker, Server

ADDRESS = Address("bottling/hall-1/cell-3", "robot-7", "line")
BASE = "bottling/hall-1/cell-3/robot-7"
EDGE = "spBv1.0/bottling:hall-1:cell-3"
NODES = {"speed": "nsu=urn:robot:7;s=Speed", "axis/1": "nsu=urn:robot:7;s=Axis1"}


class World:
    """``piece``: bytes that are handed over at once. ``spoil`` changes what the peers say."""

    def __init__(
        self,
        *,
        json: bool = False,
        nodes: Mapping[str, str] = NODES,
        backlog: int = 1000,
        piece: int = 1 << 20,
        server: Server | None = None,
        broker: Broker | None = None,
        spoil: Callable[[Side, bytes], bytes] = lambda side, data: data,
    ) -> None:
        self.now = 100.0
        self.server = server or Server()
        self.broker = broker or Broker()
        self.up = {Side.DEVICE: True, Side.BROKER: True}
        self.connected: set[Side] = set()
        self.notes: list[str] = []
        self.alive = True
        self._piece = piece
        self._spoil = spoil
        plan = Plan("line", "opc.tcp://robot-7", {name: parse_node(text) for name, text in nodes.items()}, 0.5)
        self.ring = Ring(backlog)
        self.publisher = Publisher(
            plan,
            JsonForm(ADDRESS) if json else Edge(ADDRESS),
            self.ring,
            entropy=bytes,
            wall=lambda: 1_795_000_000.0 + self.now,
        )
        self.publisher.start()
        self.settle()

    def settle(self) -> None:
        """Until nobody has anything left to say."""
        while self._step():
            pass
        self.notes += [note.text for note in self.publisher.notes]
        self.publisher.notes.clear()

    def wait(self, seconds: float) -> None:
        """Time goes on, with every deadline at its time, and a server that keeps its subscription alive."""
        while self.alive and seconds > 5:
            self._wait(5)
            seconds -= 5
            self.server.keep_alive()
            self.settle()
        self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        ends = self.now + seconds
        while (due := self.publisher.deadline()) <= ends:
            self.now = max(self.now, due)
            self.publisher.tick(self.now)
            self.settle()
        self.now = ends
        self.publisher.tick(self.now)
        self.settle()

    def cut(self, side: Side) -> None:
        """The connection breaks."""
        self.connected.discard(side)
        self.server.out.clear() if side is Side.DEVICE else self.broker.out.clear()
        self.publisher.lost(side, "it broke", self.now)
        self.settle()

    def births(self) -> list[str]:
        """The kinds of all Sparkplug messages."""
        return [one.topic.split("/")[2] for one in self.broker.published]

    def payloads(self, kind: str) -> list[Payload]:
        found = [decode(one.payload) for one in self.broker.messages(f"/{kind}/")]
        return [one for one in found if isinstance(one, Payload)]

    def _step(self) -> bool:
        publisher = self.publisher
        for side in list(publisher.hang_up):
            publisher.hang_up.discard(side)
            self.connected.discard(side)
        for side in list(publisher.dial):
            publisher.dial.discard(side)
            self._dial(side)
        moved = False
        for side in list(self.connected):
            moved |= self._to_peer(side)
            moved |= self._from_peer(side)
        return moved or bool(publisher.hang_up or publisher.dial)

    def _dial(self, side: Side) -> None:
        if not self.up[side]:
            self.publisher.lost(side, "nobody there", self.now)
            return
        self.connected.add(side)
        if side is Side.DEVICE:
            self.server.connect()
        else:
            self.broker.connect()
        self.publisher.dialled(side, self.now)

    def _to_peer(self, side: Side) -> bool:
        out = self.publisher.out(side)
        data = bytes(out)
        out.clear()
        for at in range(0, len(data), self._piece):
            part = data[at : at + self._piece]
            if side is Side.DEVICE:
                self.server.receive(part, self.now)
            else:
                self.broker.receive(part)
        if data:
            self.publisher.sent(side, self.now)
        return bool(data)

    def _from_peer(self, side: Side) -> bool:
        out = self.server.out if side is Side.DEVICE else self.broker.out
        data = self._spoil(side, bytes(out)) if out else b""
        out.clear()
        for at in range(0, len(data), self._piece):
            if side in self.connected:
                self.publisher.received(side, data[at : at + self._piece], self.now)
        return bool(data)
