"""A plant and its gateway for each module of tests; the recording PLC is emptied before each test. What conftest
files name here, their tests may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.plant import Builder, Plant
from tests.support.plc import RecordingPlc, plc_in_thread
from tests.support.process import GatewayProcess, running


@pytest.fixture(scope="module")
def recorder() -> Iterator[RecordingPlc]:
    with plc_in_thread() as plc:
        yield plc


@pytest.fixture(scope="module")
def plant(recorder: RecordingPlc, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    return Builder(tmp_path_factory.mktemp("plant"), recorder.port).build()


@pytest.fixture(scope="module")
def gateway(plant: Plant) -> Iterator[GatewayProcess]:
    with running(plant) as process:
        yield process


@pytest.fixture
def plc(recorder: RecordingPlc) -> RecordingPlc:
    """As new: nothing received, nothing written, no fault."""
    recorder.forget()
    return recorder
