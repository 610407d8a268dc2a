"""Those who may speak at the broker, and where their topics end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.demo import sparkplug
from proxy.demo.connection import CLOSED
from proxy.demo.packets import PING, Will, publish, pubrel, subscribe
from proxy.demo.sparkplug import BOOLEAN, REBIRTH, Metric, Payload
from proxy.demo.steps import common as c
from proxy.demo.steps import uns_common as u

if TYPE_CHECKING:
    from proxy.demo.step import Step

TELEMETRY, LINE, COMMANDS = "uns/telemetry", "uns/line", "uns/rebirth"
COMMAND = sparkplug.encode(Payload(0, None, (Metric(BOOLEAN, True, REBIRTH),)))
"""What a host says to have an edge tell again all that it has."""
TOO_LARGE = 1025


def steps() -> list[Step]:
    return [*_allowed(), *_refused()]


def _allowed() -> list[Step]:
    probe, alarm, state = u.own("sensor-3-1", "probe"), u.own("sensor-3-2", "alarm"), u.own("sensor-3-2", "state")
    reading, warning = publish(probe, b"4.2", qos=1), publish(alarm, b"too warm", qos=2)
    rebirth, will = publish(u.COMMAND, COMMAND), Will(state, b"offline", qos=1)
    return [
        u.step(
            "sensor-3-1",
            "publishes, plain door",
            u.talks(u.sensor_1, "sensor-3-1-b", reading),
            u.session("sensor-3-1:sensor-3-1-b", "PUBACK", allowed=[TELEMETRY], arrives=[reading], heard=[probe]),
        ),
        u.step(
            "sensor-3-2",
            "raises an alarm, QoS 2",
            u.talks(u.sensor_2, "sensor-3-2-b", warning, pubrel()),
            u.session(
                "sensor-3-2:sensor-3-2-b",
                "PUBREC",
                "PUBCOMP",
                allowed=[TELEMETRY],
                arrives=[warning, pubrel()],
                heard=[alarm],
            ),
        ),
        u.step(
            "sensor-3-2",
            "dies: its Will is heard",
            u.talks(u.sensor_2, "sensor-3-2-b", PING, will=will, dies=True),
            u.session("sensor-3-2:sensor-3-2-b", u.ALIVE, allowed=[TELEMETRY], heard=[state], will=will),
        ),
        u.step(
            "SCADA",
            "commands a rebirth (NCMD)",
            u.talks(u.scada, "scada", rebirth + PING),
            u.session("scada", u.ALIVE, allowed=[COMMANDS], arrives=[rebirth], heard=[u.BIRTH]),
        ),
        u.step(
            "MES",
            "subscribes to its line and to #",
            u.talks(u.mes, "mes-b", subscribe(*LINE_AND_ALL)),
            u.session(
                "mes:mes-b",
                "SUBACK 01 80",
                allowed=[LINE],
                reason=c.DEFAULT_DENY,
                arrives=[subscribe(*LINE_AND_ALL[:1])],
            ),
        ),
    ]


LINE_AND_ALL = ("bottling/hall-1/line-2/+/+/alarm", "#")


def _refused() -> list[Step]:
    foreign = publish(u.own("sensor-3-1", "temperature"), b'{"celsius": 95}', qos=1)
    poison = publish(u.own("sensor-3-2", "temperature"), b'{"celsius": 95}', qos=1, retain=True)
    large = publish(u.own("sensor-3-2", "temperature"), bytes(TOO_LARGE), qos=1)
    birth = publish(u.BIRTH, b"", qos=0)
    internals = publish("$SYS/broker/uptime", b"0", qos=1)
    command = publish(u.COMMAND, COMMAND)
    tried = (
        ("another sensor's topic", foreign, "PUBACK", c.DEFAULT_DENY),
        ("retained poison", poison, "PUBACK", c.PART_REFUSED),
        ("more bytes than a reading has", large, "PUBACK", c.VALUE_OUTSIDE),
        ("a birth in the edge's name", birth + PING, u.ALIVE, c.DEFAULT_DENY),
        ("into the broker's own $SYS", internals, "PUBACK", c.NEVER),
        ("a command to the edge (NCMD)", command, CLOSED, c.DEFAULT_DENY),
    )
    return [
        *(
            u.step(
                "intruder as sensor",
                name,
                u.talks(u.as_sensor_2, "sensor-3-2-x", request),
                u.session("sensor-3-2:sensor-3-2-x", answer, allowed=[TELEMETRY], reason=reason),
            )
            for name, request, answer, reason in tried
        ),
        u.step(
            "engineer's address",
            "the same command, no proof",
            u.talks(u.station, "engineer", command),
            u.session("engineer", CLOSED, allowed=[COMMANDS], reason=c.NO_PROOF),
        ),
    ]
