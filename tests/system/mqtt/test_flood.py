"""T47: one device floods, 20 honest ones are served. The flood is compared with as much CPU burnt beside Bulkhead."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support import mqtt
from tests.support.mqtt import V4, V5
from tests.support.mqtt_client import MqttClient
from tests.support.uns import OLD_AT, PLAIN, TLS

if TYPE_CHECKING:
    from tests.support.broker_tap import BrokerTap
    from tests.support.plant import Plant
    from tests.support.process import GatewayProcess

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

HONEST = 20
ROUNDS = 5
BURNER = "while True: pass"


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.fixture(scope="module")
def honest(uns: Plant, gateway: GatewayProcess) -> Iterator[list[MqttClient]]:
    """Half of them over TLS, half of them with MQTT 5; each has a topic of its own."""
    tls = uns.keys.issue("sensor-1").trusting(uns.keys.ca)
    with ExitStack() as stack:
        clients = []
        for at in range(HONEST):
            listener, level = (TLS if at % 2 else PLAIN), (V5 if at % 4 < 2 else V4)
            client = MqttClient(uns.ports[listener], level, tls=tls if at % 2 else None)
            clients.append(stack.enter_context(client))
            client.opened(f"honest-{at}", keep_alive=300)
            client.subscribed((f"ok/in/{at}", 1))
        yield clients


def measure(clients: list[MqttClient]) -> list[float]:
    """Seconds from a QoS 1 publish to its delivery to the same client, through gateway and broker; sorted."""
    times = []
    for turn in range(ROUNDS):
        for at, client in enumerate(clients):
            payload = b"%d" % turn
            began = time.monotonic()
            client.publish(f"ok/in/{at}", payload, qos=1, pid=1 + turn)
            got = {client.next(10.0), client.next(10.0)}
            times.append(time.monotonic() - began)
            (message,) = [one for one in got if one is not None and one.kind == mqtt.PUBLISH]
            assert message.payload == payload
            client.acknowledge(message)
            time.sleep(0.002)
    return sorted(times)


@pytest.mark.parametrize("what", ["refused", "allowed", "connects"])
def test_twenty_honest_are_served(
    what: str, honest: list[MqttClient], uns: Plant, gateway: GatewayProcess, tap: BrokerTap
) -> None:
    with running("-c", BURNER):
        time.sleep(0.2)
        burnt = measure(honest)
    before = gateway.metric("bulkhead_messages_refused_total")
    with running("-m", "tests.support.mqtt_flooder", str(uns.ports[PLAIN]), OLD_AT, what) as flooder:
        time.sleep(1.0)
        loud = measure(honest)
        assert flooder.poll() is None
    refused = gateway.metric("bulkhead_messages_refused_total") - before
    print(
        f"median {statistics.median(burnt) * 1000:.1f} ms beside a burner, {statistics.median(loud) * 1000:.1f} ms "
        f"beside the flood; worst {burnt[-1] * 1000:.0f} and {loud[-1] * 1000:.0f} ms; {refused:.0f} refused"
    )
    assert statistics.median(loud) < max(0.1, 10 * statistics.median(burnt))
    if what == "refused":
        records = [record for record in gateway.audit() if record["what"] == "refuse"]
        assert refused > 5000 and len(records) < 200, "denials are merged"
        assert b"no/x" not in tap.up
