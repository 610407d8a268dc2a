"""The load generator against a real broker: all is counted, and whatever goes wrong on the way ends the run."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from bench.generator import WrongAnswers
from bench.mqtt.flow import Flooding
from bench.mqtt.plan import SCENARIOS
from tests.bench.mqtt.terminator import Terminator

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.certificates import Certificates
    from bench.mqtt.broker import Broker
    from bench.mqtt.flow import MqttGenerator
    from bench.mqtt.plan import Scenario


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_all_that_was_published_arrives(generator: MqttGenerator, scenario: Scenario) -> None:
    found = generator.flood(None, scenario, 0.2, 0.05)
    assert found.rate > 100
    assert found.broker_us > 0
    assert 0 < found.busy <= 1.01
    assert found.proxy_us is None


def test_paced_devices_keep_their_pace(generator: MqttGenerator) -> None:
    options = ["--connections", "5", "--hertz", "20", "--seconds", "0.5", "--warmup", "0.1"]
    result = generator.run(generator.command("paced", None, options), None)
    assert 40 <= result["count"] <= 60
    assert result["acknowledged"] == result["delivered"] == result["allowed"]
    assert 0 < result["latency_us"]["p50"] <= result["latency_us"]["p99"]


def spoilt(
    generator: MqttGenerator, certificates: Certificates, broker: Broker, spoil: Callable[[bytes], bytes]
) -> None:
    with Terminator(certificates, broker.plain, spoil=spoil) as target:
        options = ["--batch", "1", "--seconds", "0.2", "--warmup", "0.05", "--lag", "64"]
        generator.run(generator.command("flood", target, options), target)


def lose_the_tenth(count: list[int]) -> Callable[[bytes], bytes]:
    """Leaves out the tenth message of those whose payload is marked with letters."""

    def spoil(data: bytes) -> bytes:
        count[0] += 1
        found = re.search(rb"\x30.\0.bench/line-0/tag-0.{12}j{52}", data, re.DOTALL)
        return data if found is None else data.replace(found[0], b"", 1)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data, None),
        (lambda data: data.replace(b"j" * 52, b"j" * 51 + b"k"), "was changed"),
        (lambda data: data.replace(b"tag-0", b"tag-1"), "arrived on"),
        (lose_the_tenth([0]), "arrived in place of 9"),
    ],
    ids=["whole", "changed", "renamed", "lost"],
)
def test_a_target_that_spoils_messages_ends_the_run(
    generator: MqttGenerator, certificates: Certificates, mosquitto: Broker,
    spoil: Callable[[bytes], bytes], message: str | None,
) -> None:  # fmt: skip
    if message is None:
        spoilt(generator, certificates, mosquitto, spoil)
        return
    with pytest.raises(WrongAnswers, match=message):
        spoilt(generator, certificates, mosquitto, spoil)


def test_what_must_not_arrive_ends_the_run(
    generator: MqttGenerator, certificates: Certificates, mosquitto: Broker
) -> None:
    with Terminator(certificates, mosquitto.plain) as target, pytest.raises(WrongAnswers, match="a refused message"):
        options = ["--refused", "10", "--seconds", "0.2", "--warmup", "0"]
        generator.run(generator.command("flood", target, options), target)


def test_a_flood_ends_when_it_is_told(generator: MqttGenerator) -> None:
    with Flooding(generator.command("flood", None, ["--until-term"]), generator.prepare) as flood:
        time.sleep(0.3)
    assert flood.result["delivered"] == flood.result["allowed"] > 100


def test_a_flood_that_leaks_is_told(generator: MqttGenerator) -> None:
    command = generator.command("flood", None, ["--until-term", "--refused", "1"])
    with pytest.raises(WrongAnswers, match="a refused message arrived"), Flooding(command, generator.prepare):
        time.sleep(0.3)
