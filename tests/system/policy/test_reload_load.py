"""Reloads under load: 500 live links and 50 new ones a second, and a policy that changes all the time (T72).

What was lost is judged by both ends: each master against its own questions, the PLC against what all of them asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.changing import Changing
from tests.support.crowd import Crowd, Poller
from tests.support.plant import PLAIN, Builder
from tests.support.process import running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.campaign import Campaigns
    from tests.support.plc import RecordingPlc

pytestmark = [pytest.mark.system, pytest.mark.timeout(1500)]

LINKS = 500
IDENTITIES = 20
LOSERS = tuple(f"127.0.7.{at}" for at in range(1, 4))
VISITORS = tuple(f"127.0.8.{at}" for at in range(1, 6))
RATE = 50.0
PAUSE = 0.6
"""Seconds between two questions of one master: 500 of them are a load that leaves room for the crowd on two cores."""
GONE = 1.0
"""Seconds in which a link that is no longer allowed is to be gone, from when the policy is in force."""


def _peers() -> dict[str, str]:
    places = [*(f"127.0.6.{at}" for at in range(1, IDENTITIES + 1)), *LOSERS, *VISITORS]
    return {
        _name(place): f"kind: server\naddress: {place}\nidentity: {{ unsafe_address_only: true }}" for place in places
    }


def _name(place: str) -> str:
    return "peer-" + "-".join(place.split(".")[2:])


def _surface(names: Sequence[str], at: int) -> str:
    return f"""\
surface: plc
members: [plc]
unsafe_writes_without_proof: true
rules:
  counters:
    from: [{", ".join(names)}]
    to: plc
    modbus: {{ units: [1], read: [holding 0-99] }}
  round:
    from: station
    to: plc
    modbus: {{ units: [1], read: [holding {100 + at}] }}
never:
  safety: {{ to: plc, modbus: {{ write: [holding 900-999] }} }}
"""


@dataclass
class Figures:
    """What the campaign writes down. Seconds."""

    attempts: list[float] = field(default_factory=list)
    deciding: list[float] = field(default_factory=list)
    gone: list[float] = field(default_factory=list)
    calm: list[float] = field(default_factory=list)
    during: list[float] = field(default_factory=list)


async def test_reloads_under_load(recorder: RecordingPlc, tmp_path: Path, campaigns: Campaigns) -> None:
    """0 dropped of those still allowed, 0 lost or doubled, and the others gone within a second (p99)."""
    reloads = campaigns.count("reloads", push=6, full=200)
    everybody = list(_peers())
    plant = Builder(
        tmp_path,
        recorder.port,
        listeners=(PLAIN,),
        service="units: [1], connections: 2, pipeline: 32, timeout: 10s",
        limits="links_per_source: 2000, links_per_identity: 2000",
        more_devices=_peers(),
    ).build()
    (plant.folder / "policies/surfaces/plc.yaml").write_text(_surface(everybody, 0))
    with plant.config.open("a") as config:
        config.write("policy: { require_ack: false, watch: false }\n")
    recorder.forget()
    figures = Figures()
    with running(plant) as gateway:
        changing = Changing(gateway)
        crowd = Crowd(plant.ports[PLAIN])
        stay = [Poller(f"127.0.6.{1 + at % IDENTITIES}", at % 90) for at in range(LINKS)]
        await crowd.gather(stay, PAUSE)
        crowd.visit(VISITORS, RATE, 95)
        began = time.monotonic()
        await asyncio.sleep(4.0)
        figures.calm = _took(stay, [(began + 1.0, time.monotonic())])
        windows: list[tuple[float, float]] = []
        losers: list[Poller] = []
        for at in range(1, reloads + 1):
            if at % 2:
                losers = await _come(crowd)
            names = [name for name in everybody if at % 2 == 0 or name not in {_name(place) for place in LOSERS}]
            changing.write("policies/surfaces/plc.yaml", _surface(names, at))
            since = time.monotonic()
            status = await asyncio.to_thread(changing.reload)
            windows.append((since, time.monotonic()))
            assert status["outcome"] == "taken", status
            figures.attempts.append(status["seconds"])
            figures.deciding.append(status["deciding"])
            if at % 2:
                figures.gone += await _gone(losers, status)
        figures.during = _took(stay, windows)
        await crowd.go()
        asked = sum(poller.asked for poller in crowd.keep) + crowd.visits
        assert [poller for poller in stay if poller.ended is not None] == [], "a link that is allowed was dropped"
        assert [poller.wrong for poller in stay if poller.wrong] == []
        assert all(poller.asked == poller.answered for poller in stay), "a transaction was lost"
        assert crowd.failed == [], f"{len(crowd.failed)} of {crowd.visits} new connections failed"
        cut = sum(poller.asked - poller.answered for poller in crowd.keep if poller not in stay)
        assert asked - cut - len(figures.gone) <= len(recorder.pdus) <= asked, "said twice, or never"
    _write_down(figures, crowd, asked, len(recorder.pdus))
    assert sorted(figures.gone)[int(len(figures.gone) * 0.99)] <= GONE, max(figures.gone)


async def _come(crowd: Crowd) -> list[Poller]:
    losers = [Poller(place, 91) for place in LOSERS]
    await crowd.gather(losers, 0.05)
    async with asyncio.timeout(20.0):
        for one in losers:
            await one.served.wait()
    return losers


async def _gone(losers: list[Poller], status: dict[str, object]) -> list[float]:
    """How long after the policy was in force each of these lost its link."""
    async with asyncio.timeout(20.0):
        for one in losers:
            await one.over.wait()
    began = datetime.fromisoformat(str(status["time"])).timestamp()
    in_force = began + float(str(status["seconds"])) - float(str(status["deciding"]))
    return [max(0.0, one.ended - in_force) for one in losers if one.ended is not None]


def _took(pollers: list[Poller], windows: list[tuple[float, float]]) -> list[float]:
    """How long answers took whose question was asked in one of the windows."""
    return [took for one in pollers for at, took in one.seconds if any(a <= at < b for a, b in windows)]


def _write_down(figures: Figures, crowd: Crowd, asked: int, heard: int) -> None:
    def spread(values: list[float]) -> dict[str, float]:
        ordered = sorted(values)
        at = int(len(ordered) * 0.99)
        return {"p50": round(statistics.median(ordered), 4), "p99": round(ordered[at], 4), "max": round(ordered[-1], 4)}

    told = {
        "reloads": len(figures.attempts),
        "links": LINKS,
        "new connections": crowd.visits,
        "asked": asked,
        "heard by the PLC": heard,
        "attempt s": spread(figures.attempts),
        "deciding again s": spread(figures.deciding),
        "gone after s": spread(figures.gone),
        "answer s, calm": spread(figures.calm),
        "answer s, while reloading": spread(figures.during),
    }
    print(json.dumps(told, indent=1))
    if name := os.environ.get("RELOADS_OUT"):
        Path(name).write_text(json.dumps(told, indent=1) + "\n")
