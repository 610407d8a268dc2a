"""Several publishers on a loop, with sockets: a reload exchanges what changed, and a bug stops one of them alone."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from proxy.core.inventory import Device
from proxy.core.origin import Origin
from proxy.site.publishers import Publisher as Setting
from proxy.uplink.backlog import Backlog, Ring
from proxy.uplink.driver import STOPPED
from proxy.uplink.publishers import Around, Publishers

ORIGIN = Origin("bulkhead.yaml", 1)
ROBOT = Device("robot-7", "robot", "bottling/cell-3", "10.3.0.7", ORIGIN)
UNS = Device("uns", "broker", None, "10.3.0.1", ORIGIN)
GATEWAY = Device("gateway-1", "gateway", None, None, ORIGIN)


def setting(name: str = "line") -> Setting:
    nodes = {"speed": "nsu=urn:robot:7;s=Speed"}
    return Setting(name, ROBOT, UNS, GATEWAY, "sparkplug", 0.5, nodes, 1000, ORIGIN)


class Ends:
    """The gateway's ends of what was attached: (entrance, speaker) to sockets, the newest last."""

    def __init__(self) -> None:
        self.sockets: dict[tuple[str, str], list[socket.socket]] = {}
        self.refuses = False

    def attach(self, name: str, speaker: str) -> socket.socket:
        if self.refuses:
            raise OSError("too many files")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self.sockets.setdefault((name, speaker), []).append(ours)
        return theirs

    def __getitem__(self, name: str) -> list[socket.socket]:
        return self.sockets[name, "gateway-1"]

    def close(self) -> None:
        for ends in self.sockets.values():
            for end in ends:
                end.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.close()


def publishers(ends: Ends, backlog: type[Ring] = Ring) -> Publishers:
    def entrance(name: str, protocol: str) -> str:
        return f"{name}/{protocol}"

    def waiting(name: str, most: int) -> Backlog:
        return backlog(most)

    loop = asyncio.get_running_loop()
    return Publishers(Around(loop, ends.attach, entrance, time.monotonic, time.time, os.urandom, waiting))


async def test_both_sides_are_entered_as_the_speaker_and_spoken_to(ends: Ends) -> None:
    run = publishers(ends)
    run.exchange([setting()])
    assert sorted(ends.sockets) == [("line/mqtt", "gateway-1"), ("line/opcua", "gateway-1")]
    assert ends["line/opcua"][0].recv(4096).startswith(b"HELF")
    assert ends["line/mqtt"][0].recv(4096)[:1] == b"\x10"
    assert list(run.figures) == ["line"]
    assert run.stop()
    assert not run.stop()


async def test_a_reload_touches_only_what_changed(ends: Ends) -> None:
    run = publishers(ends)
    run.exchange([setting("same"), setting("other"), setting("gone")])
    moved = replace(setting("same"), origin=Origin("bulkhead.yaml", 99))
    run.exchange([moved, replace(setting("other"), every=2.0), setting("new")])
    assert [len(ends[f"{name}/opcua"]) for name in ("same", "other", "gone", "new")] == [1, 2, 1, 1]
    assert sorted(run.figures) == ["new", "other", "same"]
    for name in ("other", "gone"):
        old = ends[f"{name}/mqtt"][0]
        assert old.recv(4096)[-2:] == b"\xe0\x00", "CONNECT, and a clean DISCONNECT"
        assert old.recv(4096) == b""
    run.stop()


async def test_what_cannot_be_entered_is_tried_again(ends: Ends) -> None:
    run = publishers(ends)
    ends.refuses = True
    run.exchange([setting()])
    assert run.figures["line"].device.why == "no way in: too many files"
    ends.refuses = False
    async with asyncio.timeout(3):
        while len(ends.sockets) < 2:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0.02)
    run.stop()


class Broken(Ring):
    def after(self, number: int, most: int) -> list[object]:  # type: ignore[override]
        raise RuntimeError("a bug")


async def test_a_bug_stops_one_publisher_and_no_other(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    run = publishers(ends, Broken)
    run.exchange([setting("one"), setting("two")])
    ends["one/mqtt"][0].send(bytes.fromhex("2003000000"))  # CONNACK of MQTT 5
    async with asyncio.timeout(3):
        while run.figures["one"].device.why != STOPPED:  # noqa: ASYNC110 - the log has no event
            await asyncio.sleep(0.01)
    assert "publisher one failed; it stops" in caplog.text
    assert run.figures["two"].device.why == ""
    run.stop()
