"""The record of flows against the broker that saw them: also what the scanner passed unseen, and what was remembered as
refused."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from proxy.flows.store import read_flows
from proxy.protocols.mqtt.texts import parse_actions
from tests.support import mqtt
from tests.support.mqtt import PUBLISH, SUBSCRIBE, V5, Will
from tests.support.mqtt_client import MqttClient, Witness
from tests.support.process import running
from tests.support.uns import DESK, PLAIN, UnsBuilder
from tests.system.mqtt.kit import LEVELS

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.flows.row import FlowRow
    from tests.support.broker_tap import BrokerTap
    from tests.support.mosquitto import Mosquitto

pytestmark = pytest.mark.system


def sums(rows: list[FlowRow], verb: str, *, allowed: bool = True) -> Counter[str]:
    """Messages by the topic or filter of their first action."""
    found: Counter[str] = Counter()
    for row in rows:
        first = parse_actions(row.low)[0]
        if row.allowed == allowed and first.verb == verb:
            found[row.low.split()[1]] += row.count
    return found


@LEVELS
def test_every_message_that_the_broker_saw_is_in_a_flow(
    level: int, broker: Mosquitto, recorder: BrokerTap, tmp_path: Path
) -> None:
    plant = UnsBuilder(tmp_path, recorder.port).build()
    recorder.forget()
    with running(plant) as gateway, Witness(broker.port) as witness:
        with MqttClient(plant.ports[PLAIN], level) as client:
            client.opened("desk", will=Will("ok/will", b"gone"))
            client.subscribed("ok/in/#", "mute/#")
            run = [mqtt.publish("ok/run", b"%04d" % at, level=level) for at in range(300)]
            client.send(*run)
            for at, size in enumerate((5, 1, 40, 7), 1):
                client.published("ok/sizes", b"x" * size, pid=at)
            client.publish("ok/kept", b"state", retain=True)
            for _ in range(4):
                client.publish("no/x", b"secret")
            for at in range(3):
                witness.say("ok/in/a", b"%d" % at)
                client.takes()
            client.pinged()
            client.goodbye()
        assert gateway.stop() == 0
    rows = read_flows(plant.folder / "var" / "flows.sqlite")
    seen = Counter(one.topic for one in recorder.asked(PUBLISH))
    assert seen["ok/run"] == 300
    assert sums(rows, "publish") == seen
    assert sums(rows, "publish", allowed=False) == {"no/x": 4}
    assert sums(rows, "receive") == {"ok/in/a": 3}
    assert sums(rows, "subscribe") == {"ok/in/#": 1, "mute/#": 1} and len(recorder.asked(SUBSCRIBE)) == 1
    assert sums(rows, "connect").total() == 1 and sums(rows, "will") == {"ok/will": 1}
    (sizes,) = [row for row in rows if "ok/sizes" in row.low]
    assert (sizes.low, sizes.high) == ("publish ok/sizes qos 2 bytes 1", "publish ok/sizes qos 2 bytes 40")
    (kept,) = [row for row in rows if "ok/kept" in row.low]
    assert kept.low == "publish ok/kept qos 0 bytes 5 retained"
    assert {row.who for row in rows} == {DESK}
    assert all(row.code == "BH-1201" for row in rows if not row.allowed)


def test_a_response_topic_is_part_of_the_flow(broker: Mosquitto, recorder: BrokerTap, tmp_path: Path) -> None:
    plant = UnsBuilder(tmp_path, recorder.port).build()
    with running(plant) as gateway:
        with MqttClient(plant.ports[PLAIN], V5) as client:
            client.opened("desk")
            properties = mqtt.prop(0x08, "ok/answers")
            client.send(mqtt.publish("ok/ask", b"?", level=V5, properties=properties))
            client.pinged()
        assert gateway.stop() == 0
    (row,) = [row for row in read_flows(plant.folder / "var" / "flows.sqlite") if "ok/ask" in row.low]
    assert row.low == "publish ok/ask qos 0 bytes 1; reply-to ok/answers qos 0"
