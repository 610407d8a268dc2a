from __future__ import annotations

import asyncio
import time

import pytest

from proxy.telemetry.heartbeat import PERIOD, STALL, WINDOW, Heartbeat
from tests.telemetry.kit import Clock


def test_a_loop_on_time_has_no_lag() -> None:
    clock = Clock()
    heart = Heartbeat(clock)
    for _ in range(10):
        clock.now += PERIOD
        heart.beat()
    assert heart.lag == pytest.approx(0.0)
    assert heart.age == 0.0


def test_the_worst_delay_is_kept_for_a_while_and_then_forgotten() -> None:
    clock = Clock()
    heart = Heartbeat(clock)
    clock.now += PERIOD + 0.3
    heart.beat()
    for _ in range(int(WINDOW / PERIOD)):
        clock.now += PERIOD
        heart.beat()
    assert heart.lag == pytest.approx(0.3)
    for _ in range(int(2 * WINDOW / PERIOD) + 2):
        clock.now += PERIOD
        heart.beat()
    assert heart.lag == pytest.approx(0.0)


def test_t78_a_stall_is_seen_while_it_lasts_and_counted_afterwards() -> None:
    clock = Clock()
    heart = Heartbeat(clock)
    clock.now += STALL + 2.0
    assert heart.age >= STALL
    assert heart.lag == pytest.approx(STALL + 2.0 - PERIOD)
    heart.beat()
    assert heart.stalls == 1
    assert heart.age == 0.0


async def test_it_beats_on_a_real_loop() -> None:
    heart = Heartbeat(time.monotonic)
    heart.start(asyncio.get_running_loop())
    try:
        await asyncio.sleep(10 * PERIOD)
        assert heart.age < 5 * PERIOD
        time.sleep(0.5)  # noqa: ASYNC251 - the blocked loop is the test
        await asyncio.sleep(0.01)
        assert heart.lag > 0.3
    finally:
        heart.stop()
    await asyncio.sleep(2 * PERIOD)
    assert heart.age > PERIOD
