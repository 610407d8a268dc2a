"""Many clients at once, allowed and refused messages mixed: what is allowed arrives once and in order, nothing else."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.support import mqtt
from tests.support.mqtt import PUBACK, PUBCOMP, PUBREC, PUBREL, V4, V5
from tests.support.mqtt_client import MqttClient, Witness
from tests.support.process import running
from tests.support.uns import PLAIN, TLS, UnsBuilder
from tests.system.mqtt.kit import LEVELS, MARK, nothing_refused, session

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.broker_tap import BrokerTap
    from tests.support.campaign import Campaigns
    from tests.support.plant import Plant
    from tests.support.process import GatewayProcess

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

CLIENTS = 12
WINDOW = 10


class Talker:
    """Publishes ``count`` messages, every third one forbidden, with all QoS, several in flight, and hears its own."""

    def __init__(self, client: MqttClient, number: int, count: int) -> None:
        self.client, self.count = client, count
        self.allowed = count - (count + 2) // 3
        self.topic = f"ok/talk/{number}"
        self.heard: list[int] = []
        self.refused = 0
        self._open = 0
        self._done = threading.Event()

    def run(self) -> None:
        client = self.client
        client.opened(f"talker-{self.topic[8:]}", keep_alive=300)
        assert client.subscribed((self.topic, 2)) == (2,)
        at = 0
        while at < self.count or self._open or len(self.heard) < self.allowed:
            while at < self.count and self._open < WINDOW:
                self._say(at)
                at += 1
            self._take()
        self._done.set()

    def _say(self, at: int) -> None:
        qos = at % 4 % 3
        topic, payload = (self.topic, b"%d" % at) if at % 3 else (f"no/{self.topic}", MARK)
        self.client.publish(topic, payload, qos=qos, pid=1 + at % 60000)
        self._open += qos > 0

    def _take(self) -> None:
        client = self.client
        found = client.next(15.0)
        assert found is not None, "closed"
        if found.kind == mqtt.PUBLISH:
            self.heard.append(int(found.payload))
            if found.qos:
                client.send(mqtt.ack(PUBACK if found.qos == 1 else PUBREC, found.pid))
        elif found.kind == PUBREL:
            client.send(mqtt.ack(PUBCOMP, found.pid))
        elif found.kind == PUBREC and found.code < 0x80:
            client.send(mqtt.ack(PUBREL, found.pid))
        else:
            self.refused += found.code >= 0x80
            self._open -= 1

    def ended(self) -> bool:
        return self._done.is_set()


@pytest.mark.grows("connections")
def test_everything_allowed_arrives_once(
    uns: Plant, tap: BrokerTap, gateway: GatewayProcess, witness: Witness, campaigns: Campaigns
) -> None:
    count = campaigns.count("connections", push=240, full=5000)
    tls = uns.keys.issue("sensor-1").trusting(uns.keys.ca)
    talkers = []
    for number in range(CLIENTS):
        secure, level = number % 2 == 0, V5 if number % 4 < 2 else V4
        client = MqttClient(uns.ports[TLS if secure else PLAIN], level, tls=tls if secure else None)
        talkers.append(Talker(client, number, count))
    threads = [threading.Thread(target=talker.run) for talker in talkers]
    for thread in threads:
        thread.start()
    received: dict[str, list[int]] = defaultdict(list)
    for _ in range(sum(talker.allowed for talker in talkers)):
        message = witness.heard_any(20.0)
        received[message.topic].append(int(message.payload))
    for thread in threads:
        thread.join(20)
    for talker in talkers:
        assert talker.ended(), f"{talker.topic} heard {len(talker.heard)} of {talker.allowed}"
        wanted = [at for at in range(count) if at % 3]
        assert sorted(talker.heard) == wanted and sorted(received[talker.topic]) == wanted
        # QoS 2 is delivered at its PUBREL, so it may be behind one of QoS 1 [MQTT-4.6.0-5 is about one QoS].
        for qos in (0, 1, 2):
            own = [at for at in talker.heard if at % 4 % 3 == qos]
            assert own == sorted(own)
        talker.client.sock.close()
    nothing_refused(tap, *(talker.client for talker in talkers))
    assert gateway.links() <= CLIENTS


@LEVELS
def test_drain(level: int, recorder: BrokerTap, tmp_path: Path) -> None:
    """SIGTERM: clients are told (v5 0x8B), the gateway ends in order, and no Will fires."""
    plant = UnsBuilder(tmp_path, recorder.port).build()
    with running(plant) as gateway, session(plant.ports[PLAIN], level, will=mqtt.Will("ok/last", b"")) as client:
        flow = recorder.flow("desk:machine")
        gateway.terminate()
        end = client.to_the_end()
        assert [(one.kind, one.code) for one in end] == ([(mqtt.DISCONNECT, 0x8B)] if level == V5 else [])
        assert gateway.wait() == 0
    assert flow.said_goodbye
