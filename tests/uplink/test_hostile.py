"""Whatever a device or a broker says, the publisher takes it or ends that connection: it never raises (T42)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.protocols.opcua.services.subscription import CreateSubscriptionRequest, CreateSubscriptionResponse
from proxy.uplink.publisher import Side
from tests.uplink.peers import Server
from tests.uplink.world import World

changes = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=3)


class Spoiler:
    """Changes bytes of what one side says for the ``turn``-th time. ``done``: it has."""

    def __init__(self, side: Side, turn: int, changed: list[tuple[float, int]], more: bytes = b"") -> None:
        self.done = False
        self._side, self._turn, self._changed, self._more = side, turn, changed, more

    def __call__(self, side: Side, data: bytes) -> bytes:
        if side is self._side:
            self._turn -= 1
            if self._turn == 0:
                self.done = True
                out = bytearray(data + self._more)
                for place, byte in self._changed:
                    out[int(place * len(out))] = byte
                return bytes(out)
        return data


@settings(max_examples=200)
@given(changes, st.booleans(), st.integers(1, 9))
def test_a_server_that_says_anything(changed: list[tuple[float, int]], json: bool, turn: int) -> None:
    """ACK, OPN, each answer and each notification in turn, with bytes changed."""
    spoiler = Spoiler(Side.DEVICE, turn, changed)
    world = World(json=json, spoil=spoiler)
    for number in range(5):
        if world.server.items and world.server._waiting:
            world.server.tell_numbers("Speed", number)
        world.settle()
    assert spoiler.done or turn > 7
    world.wait(40)
    assert world.publisher.figures.device.up, "it is begun anew"


@settings(max_examples=100)
@given(changes, st.binary(max_size=40), st.integers(1, 3))
def test_a_broker_that_says_anything(changed: list[tuple[float, int]], more: bytes, turn: int) -> None:
    spoiler = Spoiler(Side.BROKER, turn, changed, more)
    world = World(json=True, spoil=spoiler)
    for number in range(5):
        world.server.tell_numbers("Speed", number)
        world.settle()
    assert spoiler.done
    world.wait(90)
    assert world.publisher.figures.broker.up, "it is begun anew"


@pytest.mark.parametrize("interval", [math.nan, math.inf, -1.0, 0.0, 1e300])
def test_an_interval_that_is_none_gives_no_deadline_that_is_none(interval: float) -> None:
    class Odd(Server):
        def _made(self, request: object, header: object) -> object:
            made = super()._made(request, header)  # type: ignore[arg-type]
            if isinstance(request, CreateSubscriptionRequest):
                assert isinstance(made, CreateSubscriptionResponse)
                return CreateSubscriptionResponse(made.header, 1, interval, 60, (1 << 32) - 1)
            return made

    world = World(server=Odd())
    assert world.publisher.figures.device.up
    assert 0 < world.publisher.deadline() - world.now < 8000
