"""The reader of the record in front of the broker: whose connection it is, what came, what is still open."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from proxy.demo.ledger import Said
from proxy.demo.packets import PING, connect, content, publish
from proxy.demo.uns_recording import UnsRecording

if TYPE_CHECKING:
    from pathlib import Path

READING, POISON = publish("a/b", b"1", qos=1), publish("a/c", b"1", qos=1)
SENSOR = frozenset(("sensor",))


class Tap:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def passes(self, link: int, data: bytes) -> None:
        self._write(link, bytes=data.hex())

    def ends(self, link: int) -> None:
        self._write(link, end=True)

    def _write(self, link: int, **what: object) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"time": 1.5, "link": link, **what}) + "\n")


@pytest.fixture
def tap(tmp_path: Path) -> Tap:
    return Tap(tmp_path / "record")


def test_the_floor_is_told_apart_from_everybody_else(tap: Tap) -> None:
    recording = UnsRecording(tap.path, SENSOR)
    tap.passes(1, connect("sensor") + READING)
    tap.passes(2, connect("mes:x") + POISON + PING)
    tap.passes(1, READING)
    arrived = recording.take()
    assert arrived.frames == {content(connect("mes:x")): 1, POISON: 1}
    assert recording.said == {Said("sensor", "CONNECT sensor"): 1, Said("sensor", "PUBLISH a/b qos 1"): 2}
    assert not recording.take().frames


def test_whoever_takes_a_sensors_client_id_is_not_the_sensor(tap: Tap) -> None:
    recording = UnsRecording(tap.path, SENSOR)
    tap.passes(1, connect("sensor") + READING)
    tap.passes(2, connect("sensor") + READING)
    assert recording.take().frames == {content(connect("sensor")): 1, READING: 1}
    assert recording.open_clients() == ["sensor"]


def test_a_connection_is_open_until_its_end(tap: Tap) -> None:
    recording = UnsRecording(tap.path, SENSOR)
    tap.passes(1, connect("sensor"))
    tap.passes(2, connect("mes:x"))
    assert recording.open_clients() == ["mes:x"]
    tap.ends(2)
    assert recording.open_clients() == []
    assert recording.take().frames == {content(connect("mes:x")): 1}


def test_bytes_that_are_no_packet_are_told_of(tap: Tap) -> None:
    recording = UnsRecording(tap.path, SENSOR)
    tap.passes(2, connect("mes:x") + POISON[:-3])
    assert recording.take().rest == POISON[:-3]
    tap.passes(2, POISON[-3:])
    arrived = recording.take()
    assert arrived.frames == {POISON: 1}
    assert not arrived.rest
    tap.passes(2, POISON[:4])
    tap.ends(2)
    assert recording.take().rest == POISON[:4]
    assert not recording.take().rest


def test_what_comes_before_a_connect_counts(tap: Tap) -> None:
    recording = UnsRecording(tap.path, SENSOR)
    tap.passes(1, POISON)
    assert recording.take().frames == {POISON: 1}
