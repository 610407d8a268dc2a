"""`bulkhead explain` at a time, in a state of the process, beside what is monitored: the answer, why, and a mend that
really mends."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from proxy.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

DAY = "2026-11-23T12:00:00+01:00"
NIGHT = "2026-11-23T23:00:00+01:00"
SURFACE = """\
surface: cell-3
members: [plc-3a, plc-3b]
rules:
  speed:
    from: scada
    to: plc-3a
    modbus: { write: { holding 45: { min: 0, max: 720, step: 50, ramp: 200 } } }
  recipe:
    from: mes
    to: plc-3a
    modbus: { write: [holding 60-69] }
    budget: 20/8h
    when: [night, stop]
    while: [modbus holding 10 == 0 within 5s, plc-3b modbus coil 4 == 1]
  look:
    from: mes
    to: plc-3a
    modbus: { read: [holding 60-69] }
    when: [night, stop]
  setpoint:
    from: scada
    to: plc-3a
    modbus: { write: { holding 40: { min: 0, max: 1500 } } }
  setpoint-2:
    from: scada
    to: plc-3a
    modbus: { write: { holding 40-41: { min: 0, max: 1200 } } }
    mode: monitor
    monitor: { until: "UNTIL", why: new heads, then: THEN }
    replaces: setpoint
"""
PLC = "device: plc-3a\nkind: plc\naddress: 10.3.0.11\nservices: { modbus: { port: 502, units: [1] } }\n"
FILES = {
    "bulkhead.yaml": """\
site: bottling
listeners:
  a: { bind: "127.0.0.1:8802", protocol: modbus, to: plc-3a, tls: { clients: required } }
  b: { bind: "127.0.0.1:8803", protocol: modbus, to: plc-3b, tls: { clients: required } }
""",
    "policies/shifts/night.yaml": (
        'shift: night\nzone: Europe/Berlin\ndays: [mon, tue]\nfrom: "22:00"\nto: "06:00"\nexcept: ["2026-11-30"]\n'
    ),
    "policies/windows/stop.yaml": (
        'window: stop\nzone: Europe/Berlin\nopen: "2026-12-05 14:00"\nclose: "2026-12-05 20:00"\n'
    ),
    "fingerprints/devices/plc-3a.yaml": PLC,
    "fingerprints/devices/plc-3b.yaml": PLC.replace("3a", "3b").replace(".11", ".12"),
    "fingerprints/devices/scada.yaml": "device: scada\nkind: server\n",
    "fingerprints/devices/mes.yaml": "device: mes\nkind: server\n",
}
WRITE = "modbus write holding 60 = 7"
STANDS = ("--state", "modbus holding 10 = 0", "--state", "plc-3b modbus coil 4 = 1")


class Asked:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._config = folder / "bulkhead.yaml"
        self._capsys = capsys
        for name, text in FILES.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (folder / "policies/surfaces").mkdir()
        self.surface = folder / "policies/surfaces/cell-3.yaml"
        self.watch("alarm")

    def watch(self, then: str) -> None:
        until = datetime.fromtimestamp(time.time() + 7 * 86_400, UTC).isoformat(timespec="seconds")
        self.surface.write_text(SURFACE.replace("UNTIL", until).replace("THEN", then))

    def text(self, who: str, request: str, *more: str) -> str:
        code = run(["explain", "--config", str(self._config), "--who", who, "--to", "plc-3a", *more, request])
        out = self._capsys.readouterr().out
        assert code == (0 if out.startswith("allowed") else 1)
        return out

    def data(self, who: str, request: str, *more: str) -> dict[str, Any]:
        run(["explain", "--config", str(self._config), "--who", who, "--to", "plc-3a", "-o", "json", *more, request])
        told: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        assert told["agreed"], "the index, Casbin and the reference see the same circumstances"
        return told


@pytest.fixture
def asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Asked:
    return Asked(tmp_path, capsys)


@pytest.mark.parametrize(
    ("at", "state", "code"),
    [
        (NIGHT, STANDS, None),
        (DAY, STANDS, "BH-1401"),
        (NIGHT, (), "BH-1404"),
        (NIGHT, STANDS[:2], "BH-1404"),
        (NIGHT, ("--state", "modbus holding 10 = 3", *STANDS[2:]), "BH-1403"),
        ("2026-12-05T15:00:00Z", STANDS, None),
        ("2026-11-24T05:59:59+01:00", STANDS, None),
        ("2026-11-24T06:00:00+01:00", STANDS, "BH-1401"),
        ("2026-11-30T23:00:00+01:00", STANDS, "BH-1401"),
    ],
)
def test_time_and_state_decide(asked: Asked, at: str, state: tuple[str, ...], code: str | None) -> None:
    told = asked.data("mes", WRITE, "--at", at, *state)
    assert told["code"] == code
    assert told["rule"]["name"] == "recipe"
    assert told["open"] == ([] if code == "BH-1401" else ["stop" if at.startswith("2026-12") else "night"])
    assert told["state"] == dict(
        zip(["plc-3a modbus holding 10 u16 (unit 1)", "plc-3b modbus coil 4 (unit 1)"], _values(state), strict=False)
    )


def _values(state: tuple[str, ...]) -> list[float]:
    return [float(text.rpartition("=")[2]) for text in state[1::2]]


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        (DAY, "2026-11-23T22:00:00+01:00, when night opens"),
        ("2026-11-29T12:00:00Z", "2026-12-01T22:00:00+01:00, when night opens"),
        ("2026-12-05T12:00:00+01:00", "2026-12-05T14:00:00+01:00, when stop opens"),
    ],
)
def test_come_back_when_it_opens(asked: Asked, at: str, opens: str) -> None:
    told = asked.data("mes", WRITE, "--at", at, *STANDS)
    assert told["change"]["say"].startswith(f"wait until {opens}, or name other hours in rule recipe (")
    then = re.search(r"\d{4}-\S+(?=,)", told["change"]["say"])
    assert then is not None
    assert asked.data("mes", WRITE, "--at", then[0], *STANDS)["allowed"], "the mend mends"


def test_what_has_to_be_seen_is_told(asked: Asked) -> None:
    say = asked.data("mes", WRITE, "--at", NIGHT)["change"]["say"]
    assert say.startswith("have somebody read plc-3a modbus holding 10 u16 (unit 1) (it counts for 5 s) and plc-3b ")
    say = asked.data("mes", WRITE, "--at", NIGHT, "--state", "modbus holding 10 = 3", *STANDS[2:])["change"]["say"]
    assert say.startswith("wait until plc-3a modbus holding 10 u16 (unit 1) is == 0 (it is 3), or ask for less in ")


def test_the_text_shows_each_condition(asked: Asked) -> None:
    lines = asked.text("mes", WRITE, "--at", NIGHT, *STANDS[:2]).splitlines()
    assert "  at        2026-11-23T23:00:00+01:00" in lines
    assert "  seen      plc-3a modbus holding 10 u16 (unit 1) = 0" in lines
    at = lines.index("            at most 20 changes in any 8 h, by all together")
    assert lines[at + 1 : at + 5] == [
        "            when night (mon,tue 22:00-06:00 Europe/Berlin except 2026-11-30): open",
        "            when stop (2026-12-05 14:00 to 2026-12-05 20:00 Europe/Berlin): closed",
        "            while plc-3a modbus holding 10 u16 (unit 1) == 0 within 5 s: so it is",
        "            while plc-3b modbus coil 4 (unit 1) == 1 within 5 s: never seen",
    ]


def test_what_no_rule_looks_at_is_pointed_out(asked: Asked) -> None:
    out = asked.text("mes", "modbus read holding 60", "--at", NIGHT, "--state", "modbus holding 11 = 3")
    assert "  seen      plc-3a modbus holding 11 u16 (unit 1) = 3 (no rule looks at it)" in out


def test_without_a_time_it_is_now(asked: Asked) -> None:
    out = asked.text("scada", "modbus write holding 40 = 3")
    assert "\n  at  " not in out, "no rule here depends on it"
    told = asked.data("mes", "modbus read holding 60")
    now = datetime.fromisoformat(told["at"]).timestamp()
    assert abs(now - time.time()) < 60
    assert told["allowed"] == bool(told["open"])


@pytest.mark.parametrize(
    ("value", "code", "mend"),
    [
        (650, None, None),
        (750, "BH-1205", "ask for a value inside the window"),
        (900, "BH-1205", "ask for a value inside the window"),
        (640, "BH-1205", "ask for write holding 45 = 650, the most that step and ramp let through from 700"),
        (720, None, None),
    ],
)
def test_steps_are_told_by_the_largest_that_is_legal(asked: Asked, value: int, code: str | None, mend: str) -> None:
    told = asked.data("scada", f"modbus write holding 45 = {value}", "--state", "modbus holding 45 = 700")
    assert told["code"] == code
    if code is not None:
        assert told["change"]["say"].startswith(mend)


def test_a_step_past_the_window_is_told_as_a_span(asked: Asked) -> None:
    """The closest value by step alone is outside the window, so nothing can be proposed that was not tried."""
    told = asked.data("scada", "modbus write holding 45 = 600", "--state", "modbus holding 45 = 800")
    assert told["code"] == "BH-1205"
    assert "modbus holding 45 u16 (unit 1) from 750 to 850 is within reach now" in told["change"]["say"]


def test_a_value_that_was_never_seen_has_to_be_read(asked: Asked) -> None:
    told = asked.data("scada", "modbus write holding 45 = 700")
    assert told["code"] == "BH-1404"
    assert told["change"]["say"].startswith(
        "have somebody read plc-3a modbus holding 45 u16 (unit 1) through the gateway"
    )


def test_what_is_monitored_is_shown_beside(asked: Asked) -> None:
    told = asked.data("scada", "modbus write holding 40 = 1300")
    assert told["allowed"]
    assert told["monitor"] == {
        "allowed": False,
        "code": "BH-1205",
        "detail": "write holding 40-41 in 0..1200",
        "rule": told["monitor"]["rule"],
    }
    assert told["monitor"]["rule"]["name"] == "setpoint-2"
    assert asked.data("scada", "modbus write holding 40 = 1100")["monitor"] is None, "both say the same"
    told = asked.data("scada", "modbus write holding 41 = 7")
    assert not told["allowed"]
    assert told["monitor"]["allowed"]
    assert told["change"]["say"].startswith(
        "enforce cell-3/setpoint-2 (policies/surfaces/cell-3.yaml:24), which is in "
    )
    assert told["change"]["say"].endswith("bulkhead policy promote cell-3/setpoint-2")
    asked.watch("enforce")
    say = asked.data("scada", "modbus write holding 41 = 7")["change"]["say"]
    until = re.search(r"or wait until (\S+)$", say)
    assert until is not None
    assert asked.data("scada", "modbus write holding 41 = 7", "--at", until[1])["allowed"]
    assert not asked.data("scada", "modbus write holding 40 = 1300", "--at", until[1])["allowed"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--at", "tomorrow"], "is not a day and a time with its offset"),
        (["--at", "2026-11-23T23:00:00"], "is not a day and a time with its offset"),
        (["--state", "modbus holding 10"], "is no point and its value"),
        (["--state", "holding 10 = 3"], "is no point and its value"),
        (["--state", "plc-3c modbus holding 10 = 3"], "no device 'plc-3c'; did you mean 'plc-3b'?"),
        (["--state", "modbus holding ten = 3"], "--state 'modbus holding ten = 3': "),
        (["--state", "modbus holding 10 = much"], "--state 'modbus holding 10 = much': "),
    ],
)
def test_a_wrong_time_or_state(
    asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    words = ["explain", "--config", str(tmp_path / "bulkhead.yaml"), "--who", "mes", "--to", "plc-3a", *more, WRITE]
    assert run(words) == 2
    assert says in capsys.readouterr().err
