"""The MQTT checks bite: a proxy that only ends TLS fails each inspecting one, and no other."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from bench.mqtt.correctness import Judge, MqttSuite
from tests.bench.mqtt.terminator import Terminator

if TYPE_CHECKING:
    from bench.certificates import Certificates
    from bench.mqtt.broker import Broker


def failed(certificates: Certificates, broker: Broker, *, inspects: bool, clients: ssl.VerifyMode) -> set[str]:
    with Terminator(certificates, broker.plain, clients) as target, Judge(broker.plain) as judge:
        suite = MqttSuite("terminator", target.port, inspects, certificates, judge)
        return {check.name for check in suite.run() if not check.ok}


def test_a_terminator_passes_as_a_terminator(certificates: Certificates, mosquitto: Broker) -> None:
    assert failed(certificates, mosquitto, inspects=False, clients=ssl.CERT_REQUIRED) == set()


def test_a_terminator_fails_as_an_inspector(certificates: Certificates, mosquitto: Broker) -> None:
    """But for the malformed packets, which this broker refuses by itself."""
    assert failed(certificates, mosquitto, inspects=True, clients=ssl.CERT_REQUIRED) == {
        "refused QoS 0", "refused between allowed", "refused QoS 1, level 4", "refused QoS 1, level 5",
        "retained without the right", "subscribed without the right", "length not minimal",
    }  # fmt: skip


def test_a_target_that_wants_no_certificate_fails(certificates: Certificates, mosquitto: Broker) -> None:
    assert failed(certificates, mosquitto, inspects=False, clients=ssl.CERT_NONE) == {"no certificate"}
