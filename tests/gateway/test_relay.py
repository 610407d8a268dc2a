"""The one-to-one upstream by itself: bytes and calls in, effects out."""

from __future__ import annotations

import pytest

from proxy.protocols.base import Upstream, UpstreamEffects, UpstreamState
from proxy.protocols.relay import WAITING, RelayUpstream

CLIENT = 5
NOW = 100.0


def conforms() -> Upstream:
    return RelayUpstream()


class Relay:
    """One upstream and what it wanted since it was last asked."""

    def __init__(self) -> None:
        self.it = RelayUpstream()
        self.out = UpstreamEffects()

    def submit(self, *messages: bytes) -> Relay:
        for message in messages:
            self.it.submit(CLIENT, message, NOW, self.out)
        return self

    def opened(self) -> Relay:
        self.it.opened(0, NOW, self.out)
        return self

    def take(self) -> UpstreamEffects:
        out, self.out = self.out, UpstreamEffects()
        return out


def opened() -> Relay:
    relay = Relay().submit(b"hello").opened()
    relay.take()
    return relay


def test_the_first_message_dials_once_and_waits() -> None:
    relay = Relay().submit(b"a", b"b")
    out = relay.take()
    assert out.dial == [0] and not out.device
    out = relay.opened().take()
    assert out.device == {0: [b"a", b"b"]} and out.states == [(CLIENT, UpstreamState.OPEN)] and not out.dial


def test_nothing_submitted_is_nothing_dialled() -> None:
    relay = Relay()
    relay.it.leave(CLIENT, NOW, relay.out)
    out = relay.take()
    assert not out.dial and not out.hang_up


def test_bytes_pass_in_order_and_unchanged() -> None:
    relay = opened().submit(b"one", b"two")
    relay.it.from_device(0, b"half of ", NOW, relay.out)
    relay.it.from_device(0, b"an answer", NOW, relay.out)
    out = relay.take()
    assert out.device == {0: [b"one", b"two"]}
    assert out.clients == [(CLIENT, b"half of "), (CLIENT, b"an answer")]


@pytest.mark.parametrize(("up", "state"), [(False, UpstreamState.REFUSED), (True, UpstreamState.LOST)])
def test_lost(up: bool, state: UpstreamState) -> None:
    relay = opened() if up else Relay().submit(b"a")
    relay.take()
    relay.it.lost(0, NOW, relay.out)
    assert relay.take().states == [(CLIENT, state)]
    out = relay.submit(b"more").take()
    assert not out.dial and not out.device


def test_leaving_hangs_up_behind_what_was_submitted() -> None:
    relay = opened().submit(b"last")
    relay.it.leave(CLIENT, NOW, relay.out)
    out = relay.take()
    assert out.device == {0: [b"last"]} and out.hang_up == [0]
    relay.it.from_device(0, b"too late", NOW, relay.out)
    assert not relay.take().clients


def test_leaving_while_it_dials_waits_for_the_connection() -> None:
    relay = Relay().submit(b"a", b"b")
    relay.it.leave(CLIENT, NOW, relay.out)
    assert not relay.take().hang_up
    out = relay.opened().take()
    assert out.device == {0: [b"a", b"b"]} and out.hang_up == [0] and not out.states


def test_leaving_while_it_dials_in_vain() -> None:
    relay = Relay().submit(b"a")
    relay.it.leave(CLIENT, NOW, relay.out)
    relay.take()
    relay.it.lost(0, NOW, relay.out)
    out = relay.take()
    assert not out.states and not out.hang_up


def test_what_waits_is_bounded() -> None:
    """One message may be as large as its inspector allows; beyond the bound there is no second one."""
    relay = Relay().submit(b"a", b"x" * (16 * WAITING))
    assert not relay.take().states
    out = relay.submit(b"b").take()
    assert out.states == [(CLIENT, UpstreamState.REFUSED)] and out.hang_up == [0]
    assert [event.reason.code for _, event in out.events if event.reason is not None]
    out = relay.submit(b"c").take()
    assert not out.states and not out.hang_up and not out.dial


def test_what_it_did_not_dial_says_nothing() -> None:
    relay = Relay().opened()
    relay.it.from_device(0, b"hello", NOW, relay.out)
    relay.it.lost(0, NOW, relay.out)
    out = relay.take()
    assert not out.device and not out.clients and not out.states
