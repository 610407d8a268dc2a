from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bench import native_tools
from bench.certificates import Certificates, make_certificates
from bench.environment import Unmeasurable
from bench.mqtt import broker
from bench.mqtt.broker import Broker
from bench.mqtt.flow import MqttGenerator
from bench.processes import pinned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CORE = min(os.sched_getaffinity(0))


def give_up(why: str) -> None:
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> native_tools.Tools:
    try:
        return native_tools.build(tmp_path_factory.mktemp("native"))
    except Unmeasurable as error:
        give_up(str(error))
        raise


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certs"))


@pytest.fixture
def mosquitto(tmp_path: Path, certificates: Certificates) -> Iterator[Broker]:
    """One for each test: what an aborted generator left on its way must not reach the next test's judge."""
    if lacking := broker.missing():
        give_up(lacking)
    running = Broker.start(tmp_path / "broker", certificates, CORE)
    yield running
    running.stop()


@pytest.fixture
def generator(tools: native_tools.Tools, certificates: Certificates, mosquitto: Broker) -> MqttGenerator:
    return MqttGenerator(tools.mqttgen, pinned(CORE), certificates, mosquitto)
