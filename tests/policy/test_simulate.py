"""`bulkhead policy simulate`: the answers of the policy's own tests, for questions that nobody wrote down before."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.main import run
from tests.policy.small_site import CELL, write_site

NOW = time.time()


def stamp(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


SHIFT = "shift: early\nzone: Europe/Berlin\ndays: [mon, tue, wed, thu, fri]\nfrom: '06:00'\nto: '14:00'\n"
WATCHED = f"""\
  lower:
    from: scada
    to: plc-3a
    modbus: {{ write: {{ holding 40: {{ min: 0, max: 1200 }} }} }}
    mode: monitor
    monitor: {{ until: "{stamp(NOW + 5 * 86400)}", why: "new filler", then: enforce }}
    replaces: [setpoint]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    while_ = 'when: early\n    while: ["modbus holding 10 == 0 within 5s"]'
    text = CELL.replace('    from: "mbaps:Operator"', f'    {while_}\n    from: "mbaps:Operator"')
    text = text.replace("  valves:", f"{WATCHED}  valves:")
    more = {"policies/surfaces/cell-3.yaml": text, "policies/shifts/early.yaml": SHIFT}
    return write_site(tmp_path, more)


def ask(config: Path, capsys: pytest.CaptureFixture[str], *question: str) -> tuple[int, dict[str, Any]]:
    code = run(["policy", "simulate", "--config", str(config), "-o", "json", *question])
    said = capsys.readouterr()
    assert said.out, said.err
    (answer,) = json.loads(said.out)["answers"]
    return code, answer


VALVES = ("--who", "mbaps:Operator", "--to", "plc-3a")
COIL = ("modbus", "write", "coil", "3", "=", "1")
SETPOINT = ("--who", "scada", "--to", "plc-3a")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--state", "modbus holding 10 = 0"), None),
        (("--state", "plc-3a modbus holding 10 = 0"), None),
        (("--state", "modbus holding 10 = 1"), "BH-1403"),
        ((), "BH-1404"),
        (("--state", "modbus holding 10 = 0", "--at", "2026-11-23T06:00:00+01:00"), None),
        (("--state", "modbus holding 10 = 0", "--at", "2026-11-23T05:59:59+01:00"), "BH-1401"),
        (("--state", "modbus holding 10 = 0", "--at", "2026-11-22T08:00:00+01:00"), "BH-1401"),
        (("--state", "modbus holding 10 = 0", "--evidence", "none"), "BH-1002"),
    ],
)
def test_time_state_and_evidence(
    config: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], code: str | None
) -> None:
    exit_code, answer = ask(config, capsys, *VALVES, *more, *COIL)
    assert (answer["code"], exit_code) == (code, 0 if code is None else 1)
    assert answer["rule"]["name"] == "valves"


def test_monitoring_ends_by_itself_at_a_future_time(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question = (*SETPOINT, "modbus", "write", "holding", "40", "=", "1400")
    code, now = ask(config, capsys, *question, "--at", stamp(NOW))
    assert (code, now["rule"]["name"], now["would"]["code"]) == (0, "setpoint", "BH-1205")
    code, later = ask(config, capsys, *question, "--at", stamp(NOW + 6 * 86400))
    assert (code, later["code"], later["rule"]["name"], later["would"]) == (1, "BH-1205", "lower", None)


TABLE = """\
- { who: scada, to: plc-3a, modbus: read holding 5 }
- { who: stranger, to: plc-3a, modbus: read holding 5 }
- { who: sensor-3-1, to: uns, mqtt: publish hall-1/line-2/sensor-3-1/t }
- who: "mbaps:Operator"
  to: plc-3a
  modbus: write coil 3 = 1
  at: "2026-11-23T07:00:00+01:00"
  state: { modbus holding 10: 0 }
"""
LINES = """\
{"who": "scada", "to": "plc-3a", "modbus": "read holding 5"}
{"who": "mes", "to": "plc-3a", "modbus": "write holding 40 = 7"}
"""


@pytest.mark.parametrize(("text", "allowed"), [(TABLE, [True, False, True, True]), (LINES, [True, False])])
def test_a_table(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, allowed: list[bool]
) -> None:
    table = tmp_path / "questions"
    table.write_text(text)
    assert run(["policy", "simulate", "--config", str(config), "--table", str(table), "-o", "json"]) == 1
    assert [one["allowed"] for one in json.loads(capsys.readouterr().out)["answers"]] == allowed


def test_as_text(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "simulate", "--config", str(config), *SETPOINT, "modbus write holding 40 = 1400"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "allow   scada to plc-3a: modbus write holding 40 = 1400",
        "    allowed by cell-3/setpoint (policies/surfaces/cell-3.yaml:8)",
        (
            "    monitored: would be refused BH-1205 by cell-3/lower (policies/surfaces/cell-3.yaml:13): "
            "a value is outside the allowed window (write holding 40 in 0..1200)"
        ),
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "a: 1", "- 7", "- {}", "{", "- [", "- { who: scada, to: plc-3a }"),
        "- { who: scada, to: plc-3a, modbus: read holding 5, mqtt: publish a }",
        "- { who: scada, to: plc-3a, modbus: read holding 5, wen: now }",
        "- { who: scada, to: plc-3b, modbus: read holding 5 }",
        "- { who: scada, to: plc-3a, modbus: 5 }",
        "- { who: scada, to: plc-3a, modbus: fetch holding 5 }",
        "- { who: scada, to: plc-3a, modbus: read holding 5, at: 2026-11-23 }",
        "- { who: scada, to: plc-3a, modbus: read holding 5, at: 'tomorrow' }",
        "- { who: scada, to: plc-3a, modbus: read holding 5, evidence: x509 }",
        "- { who: scada, to: plc-3a, modbus: read holding 5, evidence: [tpm] }",
        "- { who: scada, to: plc-3a, modbus: read holding 5, state: [1] }",
        "- { who: scada, to: plc-3a, modbus: read holding 5, state: { modbus holding 10: yes } }",
        "- { who: scada, to: plc-3a, modbus: read holding 5, state: { holding 10: 1 } }",
        "- { who: scada, to: plc-3a, modbus: read holding 5, state: { plc-9 modbus holding 10: 1 } }",
        "- { who: scada, to: plc-3a, modbus: read holding 5, state: { modbus holdin 10: 1 } }",
    ],
)
def test_a_question_that_is_none(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    table = tmp_path / "questions"
    table.write_text(text)
    assert run(["policy", "simulate", "--config", str(config), "--table", str(table)]) == 2
    assert capsys.readouterr().err.count("Error:") == 1


def test_warnings_of_the_site_are_counted_and_do_not_hide_the_answer(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", "--config", str(config)]) == 0
    assert "0 errors, 1 warning" in capsys.readouterr().err
    assert run(["policy", "simulate", "--config", str(config), *SETPOINT, "modbus write holding 40 = 1400"]) == 0
    assert capsys.readouterr().err == "note: 1 warning about the site; `bulkhead check` tells\n"


def test_a_name_that_no_device_has_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--who", "scadaa", "--to", "plc-3a", "modbus", "read", "holding", "5")
    assert run(["policy", "simulate", "--config", str(config), *asked]) == 1
    assert "no device 'scadaa'; did you mean 'scada'?: asking as a stranger" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more", [(), ("--who", "scada"), (*SETPOINT, "--state", "x", "modbus", "read", "holding", "5")]
)
def test_half_a_question(config: Path, more: tuple[str, ...]) -> None:
    assert run(["policy", "simulate", "--config", str(config), *more]) == 2


def test_a_table_that_is_not_there(config: Path) -> None:
    assert run(["policy", "simulate", "--config", str(config), "--table", "/nowhere/x"]) == 3
