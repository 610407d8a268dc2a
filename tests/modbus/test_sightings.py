"""Vectors: points by name, and what answers tell of them."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.protocols.base import Watched
from proxy.protocols.modbus.points import parse_register
from proxy.protocols.modbus.spec import PROTOCOL
from tests.modbus.frames import frame, hexes
from tests.modbus.harness import Client, Policy
from tests.modbus.vectors import cases

TEXTS = (
    "holding 10", "holding 11", "holding 12 i16", "holding 10 f32", "holding 10 u32 little",
    "holding 20 u16 scale 0.5", "input 10", "coil 3", "discrete 8", "holding 10 unit 2",
)  # fmt: skip
POINTS = frozenset(PROTOCOL.parse_point(text) for text in TEXTS)


@pytest.mark.parametrize("vector", cases("points"))
def test_a_point(vector: dict[str, Any]) -> None:
    if "wrong" in vector:
        with pytest.raises(ValueError, match=vector["wrong"]):
            PROTOCOL.parse_point(vector["text"])
        return
    point = PROTOCOL.parse_point(vector["text"])
    assert (point.protocol, point.name) == ("modbus", vector["means"])
    assert PROTOCOL.parse_point(point.name) == point
    assert parse_register(point.name).point == point


def asked(client: Client, asks: str, gets: str, tid: int = 7) -> None:
    request, answer = hexes(asks), hexes(gets)
    client.send(frame(tid, request[0], request[1:]))
    client.reply(frame(tid, answer[0], answer[1:]))


@pytest.mark.parametrize("vector", cases("sightings"))
def test_an_answer(vector: dict[str, Any]) -> None:
    client = Client(Policy(), watched=Watched(POINTS))
    for tid in (7, 8):  # the second time the request is in the cache
        client.seen.clear()
        asked(client, vector["asks"], vector["gets"], tid)
        assert not client.closed
        assert len(client.seen) == len(vector["seen"])
        assert dict(client.seen) == {PROTOCOL.parse_point(text).name: value for text, value in vector["seen"].items()}


def test_what_is_written_and_read_at_once_is_last_what_was_read() -> None:
    client = Client(Policy(), watched=Watched(POINTS))
    asked(client, "01 17 000B 0001 000B 0001 02 0063", "01 17 02 0008")
    assert client.seen == [("holding 11 u16 (unit 1)", 99.0), ("holding 11 u16 (unit 1)", 8.0)]


def test_nothing_is_seen_where_nothing_is_watched_or_nobody_asked() -> None:
    watched = Watched()
    client = Client(Policy(), watched=watched)
    asked(client, "01 03 000A 0001", "01 03 02 0007")
    assert client.seen == []
    watched.points = POINTS
    asked(client, "01 03 000A 0001", "01 03 02 0007")
    assert client.seen == [("holding 10 u16 (unit 1)", 7.0)]
    client.reply(frame(99, 1, hexes("03 02 0007")))
    watched.points = frozenset()
    asked(client, "01 03 000A 0001", "01 03 02 0008")
    assert len(client.seen) == 1


def test_a_refused_request_tells_nothing() -> None:
    client = Client(Policy({"read": ["holding 0-9"]}), watched=Watched(POINTS))
    asked(client, "01 06 000A 0007", "01 06 000A 0007")
    assert client.look().device == []
    assert client.seen == []
