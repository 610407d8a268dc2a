"""What the bystanders at the broker notice, and what a record of it must add up to."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.demo.connection import Door, Speaker
from proxy.demo.floor import VOICES, Floor, Setup
from proxy.demo.grounds import Namespace
from proxy.demo.packets import connect, content, publish
from proxy.demo.side import UNS
from proxy.demo.step import Expect, Seen, Step
from proxy.demo.uns_recording import UnsRecording

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.demo.plant import Plant

GOOD, BAD = publish("a/b", b"1", qos=1), publish("a/c", b"1", qos=1)
OWN = connect("mes:x")


def never_played(plant: Plant) -> Seen:
    raise AssertionError


STEP = Step("MES", "says something", never_played, Expect((), arrives=(content(OWN), GOOD)), UNS)
SEEN = Seen((), (), (connect("x") + GOOD + BAD,))


class Still(Floor):
    """Nobody runs; ``heard`` is what the round comes to."""

    heard = True

    def heard_from_now(self) -> bool:
        return self.heard


class Scene:
    def __init__(self, folder: Path, *, alone: bool) -> None:
        self.alone = alone
        self.record = folder / "record"
        self.record.touch()
        self.floor = Still(Setup({name: Speaker(Door("", 0), "") for name in VOICES}, "", 1.0))
        self.ground = Namespace(self.record, UnsRecording(self.record, VOICES), self.floor, alone=alone, patience=0.05)
        self.ground.before()
        self.ground.note(STEP, SEEN)

    def passes(self, link: int, *packets: bytes, ends: bool = True) -> None:
        with self.record.open("a") as file:
            file.writelines(json.dumps({"link": link, "bytes": packet.hex()}) + "\n" for packet in packets)
            if ends:
                file.write(json.dumps({"link": link, "end": True}) + "\n")


@pytest.fixture(params=[True, False], ids=["alone", "in company"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    return Scene(tmp_path, alone=request.param)


def test_a_quiet_step(scene: Scene) -> None:
    scene.passes(1, OWN, GOOD)
    arrived, bystanders = scene.ground.after(STEP)
    assert arrived.frames == {content(OWN): 1, GOOD: 1}
    assert not arrived.left_open
    assert bystanders.ok


def test_what_bystanders_notice(scene: Scene) -> None:
    scene.floor.ledger.connected("sensor-3-1")
    assert "connect again" in scene.ground.after(STEP)[1].observed
    scene.ground.before()
    assert scene.ground.after(STEP)[1].ok
    scene.floor.ledger.heard_reading("sensor-3-1", 1, 4.0)
    scene.floor.ledger.heard_reading("sensor-3-1", 3, 4.0)
    assert "readings are missing" in scene.ground.after(STEP)[1].observed
    scene.floor.heard = False
    assert not scene.ground.after(STEP)[1].ok


def test_a_connection_that_outlives_its_client(scene: Scene) -> None:
    scene.passes(1, OWN, GOOD, ends=False)
    assert scene.ground.after(STEP)[0].left_open == 1


def test_somebody_elses_connection_is_nobodys_fault(tmp_path: Path) -> None:
    scene = Scene(tmp_path, alone=False)
    scene.passes(1, connect("workbench:y"), ends=False)
    assert scene.ground.after(STEP)[0].left_open == 0


def test_what_the_mes_hears_is_told(scene: Scene) -> None:
    scene.floor.ledger.heard_other("a/b")
    step = replace(STEP, expect=replace(STEP.expect, heard=("a/b",)))
    assert scene.ground.after(step)[0].heard == ("a/b",)


def test_the_record_adds_up(scene: Scene) -> None:
    reading = publish("cell/temperature", b"1", qos=1)
    scene.passes(1, connect("sensor-3-1"), reading, ends=False)
    scene.floor.ledger.said("sensor-3-1", "PUBLISH cell/temperature qos 1")
    scene.passes(2, OWN, GOOD)
    assert scene.ground.account(alone=scene.alone).ok


def test_a_forbidden_packet_in_the_record(scene: Scene) -> None:
    scene.passes(2, OWN, GOOD, BAD)
    result = scene.ground.account(alone=scene.alone)
    assert not result.ok
    assert "PUBLISH a/c qos 1" in result.observed


def test_a_packet_in_a_sensors_name_that_it_never_sent(tmp_path: Path) -> None:
    scene = Scene(tmp_path, alone=True)
    reading = publish("cell/temperature", b"1", qos=1)
    scene.passes(2, OWN, GOOD)
    scene.passes(1, connect("sensor-3-1"), reading, reading, reading, ends=False)
    scene.floor.ledger.said("sensor-3-1", "PUBLISH cell/temperature qos 1")
    assert not scene.ground.account(alone=True).ok
