"""Unchanged asyncua clients do through the gateway what they do without it: every policy, mode and user, every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.opcua.clients import WAYS, Way
from tests.support.opcua.site import FRONT, RELAY, TWIN
from tests.support.opcua.tour import STEPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.opcua.robot_process import Robot
    from tests.system.opcua.conftest import Tours

pytestmark = pytest.mark.system
EACH_STEP = pytest.mark.parametrize("step", STEPS)
OPEN = [way for way in WAYS if not way.secured]
SOME = [WAYS[0], WAYS[1], WAYS[4], WAYS[9], WAYS[12]]


@pytest.mark.parametrize("way", OPEN, ids=str)
@EACH_STEP
def test_relay(tours: Tours, url: Callable[[str], str], old: Robot, way: Way, step: str) -> None:
    assert tours(url(RELAY), way).get(step, tours(url(RELAY), way)) == tours(old.url, Way())[step]


@pytest.mark.parametrize("way", WAYS, ids=str)
@EACH_STEP
def test_terminate(tours: Tours, url: Callable[[str], str], old: Robot, way: Way, step: str) -> None:
    """In front of a robot that speaks None."""
    assert tours(url(FRONT), way).get(step, tours(url(FRONT), way)) == tours(old.url, Way())[step]


@pytest.mark.parametrize("way", SOME, ids=str)
@EACH_STEP
def test_terminate_towards_a_secured_robot(
    tours: Tours, url: Callable[[str], str], old: Robot, way: Way, step: str
) -> None:
    assert tours(url(TWIN), way).get(step, tours(url(TWIN), way)) == tours(old.url, Way())[step]
