"""What the steps at the broker share: who can speak, topics, and the usual ways to speak."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.demo import packets
from proxy.demo.mqtt_client import ACCEPTED, MqttClient
from proxy.demo.plant import FIRST, INTRUDER, MASTER, OFFICE, SECOND, STATION
from proxy.demo.side import UNS
from proxy.demo.step import Expect, Seen, Step

if TYPE_CHECKING:
    from proxy.demo.connection import Speaker
    from proxy.demo.plant import Plant

Who = Callable[["Plant"], "Speaker"]
Play = Callable[["Plant"], Seen]

CELL = "bottling/hall-1/line-2/cell-3"
COMMAND = "spBv1.0/line-2/NCMD/sensor-3-3"
BIRTH = "spBv1.0/line-2/NBIRTH/sensor-3-3"
ALIVE = "PINGRESP"
"""After a QoS 0 publish, which nobody answers: the session goes on."""


def own(device: str, name: str) -> str:
    return f"{CELL}/{device}/{name}"


def sensor_1(plant: Plant) -> Speaker:
    """The old sensor, or whoever has taken its address."""
    return plant.speaker(FIRST, None, plant.doors.sensors)


def sensor_2(plant: Plant) -> Speaker:
    return plant.speaker(SECOND, plant.keys.of("sensor-3-2"), plant.doors.uns)


def as_sensor_2(plant: Plant) -> Speaker:
    """An intruder who has taken the sensor's key out of it."""
    return plant.speaker(INTRUDER, plant.keys.of("sensor-3-2"), plant.doors.uns)


def scada(plant: Plant) -> Speaker:
    return plant.speaker(MASTER, plant.keys.of("scada"), plant.doors.uns)


def mes(plant: Plant) -> Speaker:
    return plant.speaker(OFFICE, plant.keys.of("mes"), plant.doors.uns)


def as_mes(plant: Plant) -> Speaker:
    return plant.speaker(INTRUDER, plant.keys.of("mes"), plant.doors.uns)


def station(plant: Plant) -> Speaker:
    """The engineering station at the door without TLS: an address is all it has."""
    return plant.speaker(STATION, None, plant.doors.sensors)


def stranger(plant: Plant) -> Speaker:
    return plant.speaker(INTRUDER, None, plant.doors.sensors)


def talks(
    who: Who,
    client_id: str,
    *requests: bytes,
    level: int = packets.V311,
    will: packets.Will | None = None,
    dies: bool = False,
) -> Play:
    """One session; each request is sent when the one before was answered. ``dies``: it leaves without a farewell.
    Without any, what counts is how it is let in: its time is that of all of it."""

    def play(plant: Plant) -> Seen:
        began = time.perf_counter()
        with MqttClient(who(plant), client_id, level=level, will=will) as client:
            if not requests:
                return Seen.of([client], [replace(client.opened, seconds=time.perf_counter() - began)])
            answers = [client.opened, *client.ask(*requests)]
            if dies:
                client.drop()
        return Seen.of([client], answers)

    return play


def step(who: str, name: str, play: Play, expect: Expect, without5: Expect | None = None) -> Step:
    return Step(who, name, play, expect, UNS, without5)


def session(
    client: str,
    *answers: str,
    allowed: Iterable[str],
    reason: str = "",
    arrives: Iterable[bytes] = (),
    heard: Iterable[str] = (),
    level: int = packets.V311,
    will: packets.Will | None = None,
) -> Expect:
    """A session that the broker sees as ``client``; what arrives there of it besides its CONNECT."""
    opening = packets.content(packets.connect(client, level=level, will=will))
    return Expect((ACCEPTED, *answers), tuple(allowed), reason, (opening, *arrives), tuple(heard))


def turned_away(reason: str, how: str) -> Expect:
    """The broker does not get to know of it."""
    return Expect((how,), reason=reason)
