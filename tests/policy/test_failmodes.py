"""The table of fail modes says what is so: each cell that claims to be there names tests, and those exist."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proxy.cli.main import run
from proxy.core.reason import Reason
from proxy.policy.compile import compile_policy
from proxy.policy.failmodes import FLOWS, NOW, PLANNED, table
from proxy.protocols.base import Effects
from proxy.protocols.modbus.inspector import ModbusInspector
from proxy.protocols.modbus.service import ModbusService
from proxy.protocols.modbus.targets import Spans
from tests.modbus.frames import frame
from tests.policy.toy import devices, rule, surface, who
from tests.support.master import read, refusal, write
from tests.support.setting import FakeSetting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.action import Action

ROOT = Path(__file__).resolve().parents[2]
LINES = ROOT / "tests/policy/lines"
GENERAL = table(None, 0.0)


@pytest.mark.parametrize("failure", GENERAL, ids=lambda one: one.name)
def test_every_cell_says_where_it_comes_from(failure: Any) -> None:
    assert [*failure.cells] == [*FLOWS]
    for flow, cell in failure.cells.items():
        assert cell.source in (NOW, PLANNED), flow
        assert bool(cell.tests) == (cell.source == NOW), f"{flow}: what is there is driven by a test"
        assert cell.source == NOW or "today" in cell.text or "no portal" in cell.text, "and what is not, says so"


def named() -> Iterator[str]:
    """All tests that the table names, those about a site in monitor included."""
    watched = table([monitored()], 0.0)
    yield from dict.fromkeys(test for one in (*GENERAL, *watched) for cell in one.cells.values() for test in cell.tests)


def monitored() -> Any:
    from dataclasses import replace

    from proxy.core.origin import Origin
    from proxy.core.surface import Monitor

    return replace(surface(name="pilot"), monitor=Monitor(1e12, "trial", "enforce", Origin("a.yaml", 1)))


@pytest.mark.parametrize("test", [*named()])
def test_the_tests_that_it_names_exist(test: str) -> None:
    file, *names = test.split("::")
    body: list[ast.stmt] = ast.parse((ROOT / file).read_text("utf-8")).body
    for name in names:
        found = [
            one
            for one in body
            if isinstance(one, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and one.name == name
        ]
        assert found, f"{name} is not in {file}"
        body = found[0].body
    assert names[-1].startswith("test_")


def test_the_reasons_that_it_names_are_those_of_the_list() -> None:
    codes = {reason.code for reason in Reason}
    words = [word.strip("(),;") for one in GENERAL for cell in one.cells.values() for word in cell.text.split()]
    told = {word for word in words if word.startswith("BH-")}
    assert told and told <= codes


# ---- what a site says ----


def ask(capsys: pytest.CaptureFixture[str], config: Path, noun: str = "failmodes") -> dict[str, Any]:
    words = ["policy", noun] if noun == "failmodes" else [noun]
    assert run([*words, "--config", str(config), "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def cell(found: dict[str, Any], failure: str, flow: str) -> str:
    (one,) = (one for one in found["failures"] if one["name"] == failure)
    return str(one["cells"][flow]["text"])


def test_surfaces_that_record_first_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(capsys, LINES / "bulkhead.yaml")
    text = cell(found, "audit-full", "control")
    assert text.startswith("cell-a (audit: before): changes are refused (BH-1601), reads go on; ")
    assert "(audit: after): goes on" in text
    assert found["surfaces"]["cell-a"] == {"audit": "before", "mode": "enforce"}


def test_a_site_of_one_kind(capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(capsys, ROOT / "bulkhead.yaml")
    assert cell(found, "audit-full", "control").startswith("cell-3, robot, uns (audit: after): goes on")


def test_what_is_in_monitor_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site"
    shutil.copytree(LINES, site)
    assert "in-monitor" not in [one["name"] for one in ask(capsys, site / "bulkhead.yaml")["failures"]]
    file = site / "policies/surfaces/cell-b.yaml"
    monitor = '{ until: "2026-01-01T00:00:00+00:00", why: "new cell", then: alarm }'
    file.write_text(file.read_text().replace("mode: enforce", f"mode: monitor\nmonitor: {monitor}"))
    found = ask(capsys, site / "bulkhead.yaml")
    assert cell(found, "in-monitor", "control").startswith("cell-b: whatever no never forbids passes")


def test_the_noun_and_the_verb_are_one(capsys: pytest.CaptureFixture[str]) -> None:
    config = ROOT / "bulkhead.yaml"
    assert run(["failmodes", "--config", str(config), "--tests"]) == 0
    noun = capsys.readouterr().out
    assert run(["policy", "failmodes", "--config", str(config), "--tests"]) == 0
    assert capsys.readouterr().out == noun
    assert "driven by tests/" in noun


def test_without_a_site_the_table_is_the_general_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BULKHEAD_CONFIG", raising=False)
    assert run(["failmodes"]) == 0
    told = capsys.readouterr()
    assert "with audit: before changes are refused" in told.out
    assert "no site here" in told.err
    assert run(["failmodes", "--config", "nowhere.yaml"]) == 1


# ---- one of the cells ----


class Broken(Spans):
    """A target with a bug."""

    def admits(self, action: Action) -> int:
        raise ZeroDivisionError("a bug in a target")


def test_an_engine_that_raises_refuses_the_message_and_keeps_the_link() -> None:
    """T78: the read is refused as Modbus refuses, the next one on the same link is answered, and it is counted."""
    zone = surface(
        rule("good", ["scada"], Spans("read", "holding", 0, 9)),
        rule("bad", ["scada"], Broken("write", "holding", 0, 9)),
    )
    policy = compile_policy([zone], [], devices("plc", "scada"))
    scada = who("scada", "x509")
    authority = policy.open(scada, "plc", "modbus")
    link = ModbusInspector(authority.decide_all, FakeSetting(), ModbusService())
    out = Effects()
    link.from_client(frame(1, 1, write(5, 7)), 0.0, out)
    assert out.client == [frame(1, 1, refusal(write(5, 7)))]
    assert out.upstream == [] and not out.closing
    assert [event.reason for event in out.events] == [Reason.ENGINE_ERROR]
    link.from_client(frame(2, 1, read(5)), 0.0, out)
    assert len(out.upstream) == 1 and not out.closing
    assert policy.faults.count == 1
