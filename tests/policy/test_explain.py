"""`bulkhead explain` on a small site: the answer, the reason, and a change that really helps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from proxy.cli.main import run
from proxy.policy.suggest import flow

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
site: bottling
admin: { bind: "127.0.0.1:9464" }
listeners:
  cell: { bind: "127.0.0.1:8802", protocol: modbus, to: plc-3a, tls: { clients: required } }
"""
SURFACE = """\
surface: cell-3
members: [plc-3a]
rules:
  counters:
    from: [scada, old]
    to: plc-3a
    modbus: { read: [holding 0-99] }
  setpoint:
    from: "role:masters"
    to: plc-3a
    needs: [x509]
    modbus: { write: { holding 40: { min: 0, max: 1500 } } }
    rate: 6/min
  valves:
    from: ["mbaps:Operator", old]
    to: plc-3a
    modbus: { write: [coil 0-7] }
never:
  no-safety-writes: { to: plc-3a, modbus: { write: [holding 900-999] } }
tests:
  - { who: scada, to: plc-3a, modbus: read holding 5, expect: allow, because: counters }
"""
PLC = """\
device: plc-3a
kind: plc
address: 10.3.0.11
services: { modbus: { port: 502, units: [1] } }
"""
FILES = {
    "bulkhead.yaml": CONFIG,
    "policies/surfaces/cell-3.yaml": SURFACE,
    "policies/roles/masters.yaml": "role: masters\nmembers: [scada, mes]\n",
    "fingerprints/devices/plc-3a.yaml": PLC,
    "fingerprints/devices/plc-3b.yaml": PLC.replace("3a", "3b").replace(".11", ".12"),
    "fingerprints/devices/scada.yaml": "device: scada\nkind: server\nidentity: { require: [x509] }\n",
    "fingerprints/devices/mes.yaml": "device: mes\nkind: server\n",
    "fingerprints/devices/old.yaml": (
        "device: old\nkind: server\naddress: 10.3.0.20\nidentity: { unsafe_address_only: true }\n"
    ),
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "bulkhead.yaml"


class Asked:
    def __init__(self, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._site = site
        self._capsys = capsys

    def text(self, who: str, request: str, *more: str, to: str = "plc-3a") -> tuple[int, str]:
        code = run(["explain", "--config", str(self._site), "--who", who, "--to", to, *more, request])
        return code, self._capsys.readouterr().out

    def data(self, who: str, request: str, *more: str, to: str = "plc-3a") -> dict[str, Any]:
        code, out = self.text(who, request, "-o", "json", *more, to=to)
        told: dict[str, Any] = json.loads(out)
        assert code == (0 if told["allowed"] else 1)
        assert told["agreed"]
        return told


@pytest.fixture
def asked(site: Path, capsys: pytest.CaptureFixture[str]) -> Asked:
    return Asked(site, capsys)


def test_an_allowed_question(asked: Asked) -> None:
    code, out = asked.text("scada", "modbus read holding 5")
    assert code == 0
    assert out.splitlines() == [
        "allowed",
        "  asked     modbus read holding 5 [40006] (unit 1)",
        "  who       scada, assuming x509 match",
        "  to        plc-3a",
        "  rule      cell-3/counters  policies/surfaces/cell-3.yaml:4",
        "            scada, old: read holding 0-99",
        "  never     asked no-safety-writes: none touches it",
        "  checked   the index, Casbin's plain enforce and the reference evaluator agree",
    ]


@pytest.mark.parametrize(
    ("who", "request_", "code", "rule", "says"),
    [
        ("scada", "modbus write holding 40 = 1501", "BH-1205", "setpoint", "write holding 40 in 0..1500"),
        ("scada", "modbus write holding 901 = 1", "BH-1202", "no-safety-writes", "nothing can allow"),
        ("old", "modbus write coil 3 = 1", None, "valves", ""),
        ("nobody", "modbus read holding 5", "BH-1001", "default", "fingerprints/devices first"),
        ("mbaps:Operator", "modbus write coil 3 = 1", None, "valves", ""),
        ("mbaps:Viewer", "modbus write coil 3 = 1", "BH-1201", "default", "add this"),
        ("mes+mbaps:Operator", "modbus write coil 3 = 1", None, "valves", ""),
        ("scada", "modbus read holding 5 unit 0", "BH-1201", "default", "write one by hand"),
    ],
)
def test_why(asked: Asked, who: str, request_: str, code: str | None, rule: str, says: str) -> None:
    told = asked.data(who, request_)
    assert told["rule"]["name"] == rule
    if code is None:
        assert told["allowed"]
    elif code == "BH-1001":
        assert told["identity"]["code"] == code
    else:
        assert told["code"] == code
    assert says in (told["change"] or {"say": ""})["say"]


@pytest.mark.parametrize(
    ("who", "request_", "section"),
    [
        ("scada", "modbus write holding 41 = 7", "{ write: { holding 41: { min: 7, max: 7 } } }"),
        ("scada", "modbus write holding 41-42 = 7, 8", "{ write: [holding 41-42] }"),
        ("mes", "modbus read holding 5", "{ read: [holding 5] }"),
        ("mes", "modbus read input 3-9 unit 1", "{ read: [input 3-9] }"),
        ("scada", "modbus identify regular", "{ identify: regular }"),
        ("scada", "modbus diagnose 11", "{ diagnose: [11] }"),
        ("scada", "modbus mask holding 5 and 0xFF00 or 0x12", "{ write: [holding 5] }"),
        ("mbaps:Viewer", "modbus read coil 1", "{ read: [coil 1] }"),
        ("old", "modbus write holding 3 = 1", "{ write: { holding 3: { min: 1, max: 1 } } }"),
    ],
)
def test_the_proposed_change_helps(asked: Asked, site: Path, who: str, request_: str, section: str) -> None:
    told = asked.data(who, request_)
    assert not told["allowed"]
    assert told["change"]["snippet"].endswith(f"modbus: {section}")
    file = site.parent / told["change"]["file"]
    text = file.read_text()
    file.write_text(text.replace("never:\n", told["change"]["snippet"] + "\nnever:\n"))
    assert asked.data(who, request_)["allowed"]


def test_a_device_without_a_surface_is_given_one(asked: Asked, site: Path) -> None:
    told = asked.data("scada", "modbus read holding 5", to="plc-3b")
    assert told["change"]["file"] == "policies/surfaces/plc-3b.yaml"
    (site.parent / told["change"]["file"]).write_text(told["change"]["snippet"] + "\n")
    assert asked.data("scada", "modbus read holding 5", to="plc-3b")["allowed"]


def test_other_evidence_is_another_answer(asked: Asked) -> None:
    told = asked.data("old", "modbus write coil 3 = 1", "--evidence", "address")
    assert told["code"] == "BH-1002"
    assert told["rule"]["name"] == "valves"
    assert "unsafe_writes_without_proof: true in policies/surfaces/cell-3.yaml" in told["change"]["say"]
    assert told["evidence"] == [
        {"kind": "x509", "outcome": "absent", "note": "assumed"},
        {"kind": "address", "outcome": "match", "note": "assumed"},
    ]
    code, out = asked.text("scada", "modbus read holding 5", "--evidence", "none")
    assert code == 1
    assert out.startswith("refused BH-1002 before any rule is asked: ")
    assert "allowed" in out, "the rules themselves would not have minded"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--who", "scada", "--to", "plc-3a", "telex send x"], "unknown protocol 'telex'"),
        (["--who", "scada", "--to", "plc-3a", "--evidence", "tpm", "modbus read holding 3"], "'tpm' is none of x509,"),
        (["--who", "scada", "--to", "plc-3a", "modbus open holding 3"], "unknown verb 'open'"),
        (["--who", "scada", "--to", "plc-3c", "modbus read holding 3"], "did you mean 'plc-3b'"),
        (["--who", "scada", "--to", "plc-3a"], "Missing argument"),
        (["01M8418CQ73"], "'01M8418CQ73' is no id of a record"),
    ],
)
def test_a_wrong_question(site: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    assert run(["explain", "--config", str(site), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_the_words_need_no_quotes_and_a_stranger_is_pointed_out(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["modbus", "read", "holding", "5"]
    assert run(["explain", "--config", str(site), "--who", "scada", "--to", "plc-3a", *words]) == 0
    assert run(["explain", "--config", str(site), "--who", "scda", "--to", "plc-3a", *words]) == 1
    assert "no device 'scda'; did you mean 'scada'?" in capsys.readouterr().err


def test_no_rule_is_proposed_for_a_service_that_the_device_has_not(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--who", "scada", "--to", "plc-3a", "mqtt", "subscribe", "line-2/#"]
    assert run(["explain", "--config", str(site), *asked]) == 1
    out, err = capsys.readouterr()
    assert "note: plc-3a has no service mqtt" in err and "add this under rules" not in out


def test_a_missing_site_and_a_broken_one(site: Path) -> None:
    words = ["--who", "scada", "--to", "plc-3a", "modbus read holding 5"]
    (site.parent / "policies/surfaces/cell-3.yaml").write_text("surface: cell-3\n")
    assert run(["explain", "--config", str(site), *words]) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b-1", "a b-1"),
        ("mbaps:X", '"mbaps:X"'),
        ("yes", '"yes"'),
        ({"a": [1, "x"]}, "{ a: [1, x] }"),
        ('"', '"\\""'),
    ],
)
def test_flow(value: object, text: str) -> None:
    assert flow(value) == text
