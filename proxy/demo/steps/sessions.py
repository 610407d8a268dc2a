"""An intruder who plays with what MQTT sessions have besides topics: Wills, groups, names, aliases, QoS 2."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.demo.connection import CLOSED
from proxy.demo.mqtt_client import MqttClient
from proxy.demo.packets import PING, V5, Will, connect, publish, pubrel, subscribe
from proxy.demo.step import Seen
from proxy.demo.steps import common as c
from proxy.demo.steps import uns_common as u
from proxy.demo.steps.topics import COMMANDS, LINE, TELEMETRY

if TYPE_CHECKING:
    from proxy.demo.plant import Plant
    from proxy.demo.step import Step

WHO, CLIENT, SEEN_AS = "intruder as sensor", "sensor-3-2-x", "sensor-3-2:sensor-3-2-x"
ALARM, READING, FOREIGN = (
    u.own("sensor-3-2", "alarm"),
    u.own("sensor-3-2", "probe"),
    u.own("sensor-3-1", "temperature"),
)
ALIAS = 1


def steps() -> list[Step]:
    return [*_at_connect(), *_in_session()]


def _at_connect() -> list[Step]:
    offline = Will(u.own("sensor-3-1", "state"), b"offline", qos=1)
    return [
        u.step(
            WHO,
            "a Will on another's topic",
            u.talks(u.as_sensor_2, CLIENT, will=offline),
            u.turned_away(c.DEFAULT_DENY, "CONNACK 05"),
        ),
        u.step(
            "intruder as MES",
            "takes sensor-3-1's client id",
            u.talks(u.as_mes, "sensor-3-1"),
            u.turned_away(c.DEFAULT_DENY, "CONNACK 05"),
        ),
        u.step(
            "engineer's address",
            "sensor-3-1's id, kept apart",
            u.talks(u.station, "sensor-3-1", PING),
            u.session("engineer:sensor-3-1", u.ALIVE, allowed=[COMMANDS]),
        ),
        u.step(
            "intruder",
            "from an unknown address",
            u.talks(u.stranger, "sensor-3-1"),
            u.turned_away(c.UNKNOWN_DEVICE, CLOSED),
        ),
    ]


def _in_session() -> list[Step]:
    around = subscribe("$share/mes/#", "$share/x/bottling/hall-1/line-2/#", "$share/mes/bottling/+/+/#")
    twice = publish(ALARM, b"once more", qos=2, packet_id=7)
    forbidden = publish(FOREIGN, b"95", qos=2, packet_id=8)
    return [
        u.step(
            "intruder as MES",
            "$share around a filter",
            u.talks(u.as_mes, "mes-x", around),
            u.session("mes:mes-x", "SUBACK 80 80 80", allowed=[LINE], reason=c.DEFAULT_DENY),
        ),
        _alias_trick(),
        u.step(
            WHO,
            "QoS 2 refused, the next allowed",
            u.talks(u.as_sensor_2, CLIENT, forbidden, pubrel(8), twice, pubrel(7)),
            u.session(
                SEEN_AS,
                *("PUBREC", "PUBCOMP") * 2,
                allowed=[TELEMETRY],
                reason=c.DEFAULT_DENY,
                arrives=[twice, pubrel(7)],
                heard=[ALARM],
            ),
        ),
        u.step(
            WHO,
            "leaves QoS 2 half done",
            u.talks(u.as_sensor_2, CLIENT, twice, dies=True),
            u.session(SEEN_AS, "PUBREC", allowed=[TELEMETRY], arrives=[twice]),
        ),
        u.step(
            WHO,
            "a second CONNECT in the session",
            u.talks(u.as_sensor_2, CLIENT, connect("sensor-3-1")),
            u.session(SEEN_AS, CLOSED, allowed=[TELEMETRY], reason=c.MALFORMED),
        ),
        u.step(
            WHO,
            "a topic with a wildcard",
            u.talks(u.as_sensor_2, CLIENT, publish("bottling/hall-1/#", b"95", qos=1)),
            u.session(SEEN_AS, CLOSED, allowed=[TELEMETRY], reason=c.MALFORMED),
        ),
    ]


def _alias_trick() -> Step:
    """MQTT 5: a number for a topic. The intruder sets it on an own topic, moves it to another's, and uses it bare."""
    arrives = [publish(READING, b"4.2", qos=1, level=V5)]
    return u.step(
        WHO,
        "topic alias moved (MQTT 5)",
        _moves_alias,
        u.session(
            SEEN_AS,
            "PUBACK",
            "PUBACK 87",
            "PUBACK 87",
            allowed=[TELEMETRY],
            reason=c.DEFAULT_DENY,
            arrives=arrives,
            heard=[READING],
            level=V5,
        ),
        # A broker of 3.1.1 turns the session away only after the gateway has judged what came along.
        replace(
            u.session(SEEN_AS, CLOSED, allowed=[TELEMETRY], reason=c.DEFAULT_DENY, arrives=arrives, level=V5),
            answers=("CONNACK 84", CLOSED),
        ),
    )


def _moves_alias(plant: Plant) -> Seen:
    """All in one go, so that it is judged whatever the broker makes of the version."""
    first = publish(READING, b"4.2", qos=1, level=V5, alias=ALIAS)
    moved = publish(FOREIGN, b"95", qos=1, level=V5, alias=ALIAS, packet_id=2)
    bare = publish("", b"95", qos=1, level=V5, alias=ALIAS, packet_id=3)
    with MqttClient(u.as_sensor_2(plant), CLIENT, level=V5, along=first + moved + bare) as client:
        answers = [client.answer() for _ in range(3) if client.ended is None]
    # By packet id: the gateway's own answers do not wait for the broker's.
    return Seen.of([client], [client.opened, *sorted(answers, key=lambda answer: answer.data[2:4])])
