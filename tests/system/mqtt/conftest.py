"""Mosquitto, the tap in front of it, a site and its gateway, for each module of tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.broker_tap import BrokerTap, tapped
from tests.support.mosquitto import Mosquitto, running_mosquitto
from tests.support.mqtt_client import Witness
from tests.support.process import GatewayProcess, running
from tests.support.uns import UnsBuilder

if TYPE_CHECKING:
    from tests.support.plant import Plant


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with running_mosquitto(tmp_path_factory.mktemp("broker")) as mosquitto:
        yield mosquitto


@pytest.fixture(scope="module")
def recorder(broker: Mosquitto) -> Iterator[BrokerTap]:
    with tapped(broker.port) as tap:
        yield tap


@pytest.fixture(scope="module")
def uns(recorder: BrokerTap, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """A module with another site has a fixture of its own by this name."""
    return UnsBuilder(tmp_path_factory.mktemp("uns"), recorder.port).build()


@pytest.fixture(scope="module")
def gateway(uns: Plant) -> Iterator[GatewayProcess]:
    with running(uns) as process:
        yield process


@pytest.fixture
def tap(recorder: BrokerTap, gateway: GatewayProcess) -> BrokerTap:
    """What connections of tests before carried is forgotten."""
    recorder.forget()
    return recorder


@pytest.fixture
def witness(broker: Mosquitto) -> Iterator[Witness]:
    with Witness(broker.port) as client:
        yield client
