"""The sensors, the edge and the MES at a real broker through the tap, without a gateway: they speak as they should, and
the record behind them says the same."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from proxy.demo import broker
from proxy.demo.connection import Door, Speaker
from proxy.demo.floor import EDGE, MES, VOICES, Floor, Setup
from proxy.demo.mqtt_client import MqttClient
from proxy.demo.packets import PING, Will, publish
from proxy.demo.processes import Child, python
from proxy.demo.sparkplug import BOOLEAN, REBIRTH, Metric, Payload, encode
from proxy.demo.uns_recording import UnsRecording
from tests.support.net import free_port, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]
PLACE = "hall/line-2/cell"
READING = f"{PLACE}/sensor-3-1/temperature"


class Hall:
    def __init__(self, folder: Path, children: list[Child]) -> None:
        own = broker.start(folder, children.append)
        self.record = folder / "record"
        here = ("127.0.0.1", free_port())
        tap = Child(
            "tap", python("proxy.demo.tap", *map(broker.text_of, (here, own.address)), str(self.record)), folder / "log"
        )
        children.append(tap)
        tap.wait_until(lambda: tap.says("tap on"))
        self.door = Door(*here)
        self.recording = UnsRecording(self.record, VOICES)

    def floor(self, interval: float = 30.0) -> Floor:
        """By default it speaks when it is asked to."""
        return Floor(Setup({name: Speaker(self.door, "127.0.0.1") for name in VOICES}, PLACE, interval))


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    children: list[Child] = []
    try:
        yield Hall(tmp_path, children)
    finally:
        for child in reversed(children):
            child.stop()


@pytest.fixture
def floor(hall: Hall) -> Iterator[Floor]:
    floor = hall.floor()
    floor.start()
    assert floor.heard_from_now()
    yield floor
    floor.stop()


def test_whatever_the_sensors_say_is_heard_and_on_record(hall: Hall, floor: Floor) -> None:
    for _ in range(3):
        assert floor.heard_from_now()
    health = floor.ledger.health()
    assert health.connections == dict.fromkeys(VOICES, 1)
    assert (health.failures, health.gaps) == (0, 0)
    assert health.heard == health.published >= 12
    assert floor.ledger.take_others() == ()
    hall.recording.refresh()
    published = Counter({said: n for said, n in hall.recording.said.items() if said.text.startswith("PUBLISH")})
    assert published == floor.ledger.all_said()
    assert not hall.recording.take().frames


def test_an_edge_is_born_again_when_it_is_commanded(hall: Hall, floor: Floor) -> None:
    command = encode(Payload(0, None, (Metric(BOOLEAN, True, REBIRTH),)))
    topics = Counter(["spBv1.0/line-2/NBIRTH/sensor-3-3"])
    with MqttClient(Speaker(hall.door, "127.0.0.1"), "host") as host:
        assert host.ask(publish(f"spBv1.0/line-2/NCMD/{EDGE}", b"no payload") + PING)[0].kind == "PINGRESP"
        host.ask(publish(f"spBv1.0/line-2/NCMD/{EDGE}", command) + PING)
        floor.ledger.wait_others(topics)
    assert Counter(floor.ledger.take_others()) == topics
    assert floor.heard_from_now()
    assert floor.ledger.health().gaps == 0


def test_a_strangers_word_is_heard_as_such(hall: Hall, floor: Floor) -> None:
    """Without a gateway, an intruder's reading is a gap, another's topic is something else, a stolen id is a loss."""
    with MqttClient(Speaker(hall.door, "127.0.0.1"), "intruder") as intruder:
        intruder.ask(publish(f"{PLACE}/news", b"1", qos=1), publish(READING, b"95", qos=1))
    floor.ledger.wait_others(wanted := Counter([f"{PLACE}/news", READING]))
    assert Counter(floor.ledger.take_others()) == wanted
    with MqttClient(Speaker(hall.door, "127.0.0.1"), "intruder") as intruder:
        intruder.ask(publish(READING, b'{"n": 1, "celsius": 95}', qos=1))
    wait_until(lambda: floor.ledger.health().gaps > 0, 5, "the false reading is noticed")


def test_a_will_is_heard(hall: Hall, floor: Floor) -> None:
    state = f"{PLACE}/sensor-3-2/state"
    with MqttClient(Speaker(hall.door, "127.0.0.1"), "twin", will=Will(state, b"offline")) as twin:
        assert twin.opened.kind == "CONNACK 00"
        twin.drop()
    floor.ledger.wait_others(Counter([state]))
    assert floor.ledger.take_others() == (state,)


def test_a_stolen_client_id_throws_its_owner_off(hall: Hall, floor: Floor) -> None:
    with MqttClient(Speaker(hall.door, "127.0.0.1"), "sensor-3-1") as thief:
        assert thief.opened.kind == "CONNACK 00"
        floor.heard_from_now()  # a sensor notices when it speaks
        assert floor.ledger.health().failures
    assert hall.recording.take().frames


def test_nothing_of_it_stays_on_the_broker(hall: Hall) -> None:
    floor = hall.floor(0.05)
    floor.start()
    assert floor.heard_from_now()
    began = time.monotonic()
    floor.stop()
    assert time.monotonic() - began < 4
    said = floor.ledger.all_said()
    assert {said.client for said in said} == VOICES - {MES}
    assert sum(n for said, n in said.items() if said.text.endswith("/state qos 1 retained")) == 4
    assert any("NDEATH" in said.text for said in said)
    later = hall.floor()
    later.start()
    assert later.heard_from_now()
    assert later.ledger.take_others() == ()
    later.stop()
