"""A client that has not said who it is yet, and says more than is judged in one turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.gateway.test_introduction import ShyProtocol, by_its_word
from tests.support.inside import Inside
from tests.support.raw import Raw
from tests.support.toy import ToyDevice

if TYPE_CHECKING:
    import pytest


async def test_it_is_read_again_after_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of certificates is longer than a piece; one slow moment, and the client would wait for its deadline."""
    monkeypatch.setattr("proxy.gateway.link.TURN", 0.0)
    async with ToyDevice() as device, Inside(ShyProtocol(), device.port, identify=by_its_word) as inside:
        async with await Raw.to(inside.port) as raw:
            await raw.send(b"where are you?\n" * 400)
            assert await raw.exactly(4 * 3) == b"who\n" * 3
            await raw.send(b"i am anna\nget 5\n")
            assert await raw.exactly(6 + 7) == b"hello\n5 is 0\n"
