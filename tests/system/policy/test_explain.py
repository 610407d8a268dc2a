"""`bulkhead explain ID` on the records of a real gateway: the same question gets the same answer from the files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.demo_site import CELL, bulkhead, copy_demo, edit
from tests.support.master import read, refusal, write
from tests.support.mbaps import ask, connect, dial
from tests.support.process import read_audit, running

if TYPE_CHECKING:
    from tests.support.plant import Plant
    from tests.support.plc import RecordingPlc

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
CONDITIONS = """\
  standing:
    from: scada
    to: plc-3a
    modbus: { write: [holding 71] }
    while: [modbus holding 10 == 9999 within 30s]
  once:
    from: scada
    to: plc-3a
    modbus: { write: [holding 72] }
    when: opening
"""
WINDOW = 'window: opening\nzone: Europe/Berlin\nopen: "2026-02-01 06:00"\nclose: "2026-02-01 07:00"\n'


@pytest.fixture(scope="module")
def plant(recorder: RecordingPlc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """One refusal of each kind, and the gateway still runs."""
    made = copy_demo(tmp_path_factory.mktemp("demo") / "site", recorder.port)
    edit(made.folder / CELL, r"^  recipe: ", f"{CONDITIONS}\n  recipe: ")
    (made.folder / "policies" / "windows").mkdir()
    (made.folder / "policies" / "windows" / "opening.yaml").write_text(WINDOW)
    with running(made) as gateway:
        scada = made.keys.issue("scada").trusting(made.keys.ca)
        with connect(made.ports["cell-3-modbus"], scada) as link, dial(made.ports["cell-3-plain"]) as bench:
            for address, value in ((40, 1501), (71, 1), (72, 1), (900, 1), (61, 1)):
                assert ask(link, write(address, value)) == refusal(write(address, value))
            assert ask(link, read(10)) is not None
            assert ask(link, write(71, 2)) == refusal(write(71, 2))
            for value in range(700, 706):
                assert ask(link, write(40, value)) == write(40, value)
            assert ask(link, write(40, 706)) == refusal(write(40, 706))
            assert ask(bench, write(40, 1)) == refusal(write(40, 1))
        gateway.recorded(what="refuse", who="workbench")  # the last of them: all before it are on disk as well
        yield made


def records(plant: Plant, action: str, who: str = "scada") -> dict[str, Any]:
    (found,) = [
        one
        for one in read_audit(plant.audit)
        if one["what"] == "refuse" and one.get("who") == who and str(one.get("action", "")).startswith(action)
    ]
    return found


def explain(plant: Plant, record: dict[str, Any], *more: str) -> dict[str, Any]:
    told = bulkhead(plant, "explain", record["id"], "-o", "json", *more)
    found: dict[str, Any] = json.loads(told.stdout)
    assert told.returncode == (0 if found["allowed"] else 1), told.stderr
    assert found["agreed"]
    assert found["decision"]["record"] == record
    assert found["decision"]["policy"] == "which is in force"
    assert found["decision"]["same_policy"] is True
    return found


@pytest.mark.parametrize(
    ("action", "who", "code", "mend"),
    [
        ("write holding 40 [40041] = 1501", "scada", "BH-1205", "ask for a value inside the window"),
        ("write holding 72", "scada", "BH-1401", "its own never open again"),
        ("write holding 900", "scada", "BH-1202", "nothing can allow what a never rule forbids"),
        ("write holding 61", "scada", "BH-1201", "add this under rules"),
        ("write holding 40 [40041] = 1 ", "workbench", "BH-1201", "add this under rules"),
        ("write holding 71 [40072] = 1", "scada", "BH-1404", "have somebody read plc-3a modbus holding 10"),
    ],
)
def test_the_files_answer_as_the_gateway_did(plant: Plant, action: str, who: str, code: str, mend: str) -> None:
    record = records(plant, action, who)
    told = explain(plant, record)
    assert record["reason"] == told["code"] == code
    assert f"{told['rule']['surface']}/{told['rule']['name']}" == record["rule"]
    assert f"{told['rule']['file']}:{told['rule']['line']}" == record["at"]
    assert mend in told["change"]["say"]


def test_the_state_of_the_process_is_said_again(plant: Plant) -> None:
    """It is not on record what had been seen; the record's detail tells people."""
    record = records(plant, "write holding 71 [40072] = 2")
    assert record["reason"] == "BH-1403"
    seen = record["detail"].partition("it was ")[2].partition(",")[0]
    assert explain(plant, record, "--state", f"modbus holding 10 = {seen}")["code"] == "BH-1403"
    assert explain(plant, record, "--state", "modbus holding 10 = 9999")["allowed"]


def test_a_spent_rate_is_room_again_later(plant: Plant) -> None:
    record = records(plant, "write holding 40 [40041] = 706")
    assert record["reason"] == "BH-1206"
    told = explain(plant, record)
    assert told["allowed"]
    assert told["decision"]["mend"].startswith("wait, 60 s at most")


def test_the_text_for_people(plant: Plant) -> None:
    record = records(plant, "write holding 900")
    told = bulkhead(plant, "explain", record["id"])
    assert told.returncode == 1
    lines = told.stdout.splitlines()
    assert lines[0].startswith(f"decision  {record['id']}  {record['time']}  ")
    assert "  answered  refused BH-1202: a never rule forbids this" in lines
    assert f"  policy    {record['policy']}, which is in force; the files here say the same" in lines
    assert f"The files here answer, as at {record['time']}:" in lines
