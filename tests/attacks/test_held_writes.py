"""Writes that wait for their record (`audit: before`): a rate counts each of them once, when it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.master import Master, refusal, write
from tests.support.plant import PLAIN, Builder
from tests.support.process import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.plc import RecordingPlc

pytestmark = pytest.mark.system

RULES = """\
  rated:
    from: station
    to: plc
    modbus: { write: [holding 40-49] }
    rate: 2/min
"""


async def test_a_held_write_is_charged_once(plc: RecordingPlc, tmp_path: Path) -> None:
    """It was charged when it was held and again when its record was on disk: half of the rate, or none of 1/min."""
    plant = Builder(tmp_path, plc.port, audit="before", rules=RULES, listeners=(PLAIN,)).build()
    with running(plant) as gateway:
        async with await Master.open(plant.ports[PLAIN]) as master:
            answers = [await master.ask(write(40, value)) for value in range(3)]
            assert answers == [write(40, 0), write(40, 1), refusal(write(40, 2))]
        gateway.recorded(what="refuse", reason="BH-1206")
        acts = [record for record in gateway.audit() if record["what"] == "act"]
    assert plc.writes == [write(40, 0), write(40, 1)]
    assert len(acts) == 2, "an act on record is one that went on"


async def test_two_links_cannot_share_one_token(plc: RecordingPlc, tmp_path: Path) -> None:
    rules = RULES.replace("2/min", "1/min")
    plant = Builder(tmp_path, plc.port, audit="before", rules=rules, listeners=(PLAIN,)).build()
    with running(plant):
        async with await Master.open(plant.ports[PLAIN]) as one, await Master.open(plant.ports[PLAIN]) as other:
            for master in (one, other):
                master.send(b"\0\x07\0\0\0\x06\x01" + write(40, 1))
            answers = {(await one.frame())[7:], (await other.frame())[7:]}
    assert answers == {write(40, 1), refusal(write(40, 1))}
    assert plc.writes == [write(40, 1)]
