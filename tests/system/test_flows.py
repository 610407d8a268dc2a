"""The record of flows against the PLC that saw them, and a monitored rule beside those in force."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from proxy.flows.store import read_flows
from proxy.protocols.modbus import pdu
from proxy.protocols.modbus.actions import actions
from tests.modbus.frames import frame
from tests.support.master import read, refusal, write
from tests.support.mbaps import ask, connect, dial, receive_frame
from tests.support.net import wait_until
from tests.support.plant import MBAPS, PLAIN, Builder, Plant
from tests.support.process import running

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.flows.row import FlowRow
    from tests.support.plc import RecordingPlc

pytestmark = pytest.mark.system
UNTIL = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")
ENDS = f'mode: monitor\n    monitor: {{ until: "{UNTIL}", why: new recipe, then: alarm }}'
RULES = f"""\
  counters:
    from: ["role:masters", station]
    to: plc
    modbus: {{ units: [1], read: [holding 0-99, coil 0-31] }}
  setpoint:
    from: ["role:masters", station]
    to: plc
    modbus: {{ write: {{ holding 40: {{ min: 0, max: 1500 }}, holding 50-69: {{}} }} }}
  narrow:
    from: ["role:masters", station]
    to: plc
    {ENDS}
    replaces: [setpoint]
    modbus: {{ write: {{ holding 40: {{ min: 0, max: 100 }} }} }}
  more:
    from: station
    to: plc
    {ENDS}
    modbus: {{ read: [holding 200-209] }}
"""


def flows_of(plant: Plant) -> list[FlowRow]:
    return read_flows(plant.folder / "var" / "flows.sqlite")


def asked_of(plc: RecordingPlc) -> Counter[tuple[object, ...]]:
    """What the PLC received, by what makes it one flow."""
    seen: Counter[tuple[object, ...]] = Counter()
    for body in plc.pdus:
        request = pdu.decode(body)
        assert not isinstance(request, pdu.Malformed | pdu.Unknown | pdu.Wrong)
        seen[tuple(action.shape for action in actions(1, request))] += 1
    return seen


def kept(rows: list[FlowRow]) -> Counter[tuple[object, ...]]:
    from proxy.protocols.modbus.texts import parse_actions

    found: Counter[tuple[object, ...]] = Counter()
    for row in rows:
        if row.allowed:
            found[tuple(action.shape for action in parse_actions(row.low))] += row.count
    return found


def both(first: int, value: int) -> bytes:
    """FC 23: writes one register and reads it."""
    where = first.to_bytes(2, "big")
    return b"\x17" + where + b"\0\1" + where + b"\0\1\2" + value.to_bytes(2, "big")


@pytest.mark.parametrize("audit", ["after", "before"])
def test_every_message_that_the_plc_saw_is_in_a_flow(
    audit: str, recorder: RecordingPlc, plc: RecordingPlc, tmp_path: Path
) -> None:
    plant = Builder(tmp_path, recorder.port, audit=audit).build()
    with running(plant) as gateway:
        with (
            dial(plant.ports[PLAIN]) as one,
            connect(plant.ports[MBAPS], plant.keys.issue("scada").trusting(plant.keys.ca)) as other,
        ):
            for at in range(300):  # the same bytes: found in the cache, all but the first
                assert ask(one, read(5), tid=at) is not None
            other.sendall(b"".join(frame(at, 1, read(7, 2)) for at in range(10)))
            assert all(receive_frame(other) is not None for _ in range(10))
            for value in (7, 3, 1500, 9):
                assert ask(one, write(40, value)) == write(40, value)
            assert ask(one, both(50, 5)) == b"\x17\x02\0\x05"
            assert ask(one, write(40, 1501)) == refusal(write(40, 1501))
            for _ in range(4):
                assert ask(one, read(500)) == refusal(read(500))
        assert gateway.stop() == 0
    rows = flows_of(plant)
    assert kept(rows) == asked_of(plc)
    (setpoint,) = [row for row in rows if row.allowed and row.low.startswith("write holding 40")]
    assert (setpoint.low, setpoint.high, setpoint.count) == ("write holding 40 = 3", "write holding 40 = 1500", 4)
    assert (setpoint.who, setpoint.evidence, setpoint.to) == ("station", ("address",), "plc")
    assert (setpoint.would, setpoint.code) == (None, "")
    refused = {(row.low, row.code): row.count for row in rows if not row.allowed}
    assert refused == {("write holding 40 = 1501", "BH-1205"): 1, ("read holding 500", "BH-1201"): 4}
    closed = [r for r in gateway.audit() if r["what"] == "close" and r["who"] == "station"]
    assert closed[0]["allowed"] == {"plc/counters": 300, "plc/setpoint": 5}


def test_flows_of_links_that_live_on_are_told_within_seconds(
    recorder: RecordingPlc, plc: RecordingPlc, tmp_path: Path
) -> None:
    plant = Builder(tmp_path, recorder.port, listeners=(PLAIN,)).build()
    with running(plant) as gateway, dial(plant.ports[PLAIN]) as one:
        for at in range(20):
            assert ask(one, read(5), tid=at) is not None

        def told() -> bool:
            return gateway.metric("bulkhead_flows") == 1

        wait_until(told, 18, "the flow is on disk")
        assert [(row.low, row.count) for row in flows_of(plant)] == [("read holding 5", 20)]


def test_monitored_rules_leave_those_in_force_and_say_what_they_would_do(
    recorder: RecordingPlc, plc: RecordingPlc, tmp_path: Path
) -> None:
    plant = Builder(tmp_path, recorder.port, listeners=(PLAIN,), rules=RULES).build()
    with running(plant) as gateway:
        with dial(plant.ports[PLAIN]) as one:
            for value in (50, 100, 101, 1500):
                assert ask(one, write(40, value)) == write(40, value)
            assert ask(one, write(40, 1501)) == refusal(write(40, 1501))
            assert ask(one, write(51, 1)) == write(51, 1)
            assert ask(one, write(900, 1)) == refusal(write(900, 1))
            for at in range(3):
                assert ask(one, read(200), tid=at) == refusal(read(200))
            assert ask(one, read(300)) == refusal(read(300))
            for at in range(5):
                assert ask(one, read(5), tid=at) is not None
        assert plc.writes == [write(40, value) for value in (50, 100, 101, 1500)] + [write(51, 1)]
        assert plc.pdus.count(read(5)) == 5 and read(200) not in plc.pdus

        def count(name: str, rule: str) -> float:
            return gateway.metric(f"bulkhead_monitor_would_{name}_total", surface="plc", rule=rule)

        assert (count("refuse", "narrow"), count("allow", "narrow")) == (3, 0)
        assert (count("refuse", "more"), count("allow", "more")) == (0, 3)
        status = json.loads(gateway.admin("/status"))
        told = {one["rule"]: (one["would_refuse"], one["would_allow"], one["why"]) for one in status["monitors"]}
        assert told == {"narrow": (3, 0, "new recipe"), "more": (0, 3, "new recipe")}
        assert status["degraded"] == [] and gateway.admin("/readyz") == "ok\n"
        refused = gateway.recorded(what="refuse", action="read holding 200 [40201] (unit 1)")
        assert (refused["would"], refused["would_rule"]) == ("allow", "plc/more")
        assert gateway.recorded(what="monitor")["detail"].startswith("plc/")
        assert gateway.stop() == 0
    rows = [row for row in flows_of(plant) if row.would is not None]
    assert {(row.low, row.high, row.count, row.would, row.would_code, row.would_rule) for row in rows} == {
        ("write holding 40 = 101", "write holding 40 = 1500", 2, False, "BH-1205", "plc/narrow"),
        ("write holding 51 = 1", "write holding 51 = 1", 1, False, "BH-1201", "plc/narrow"),
        ("read holding 200", "read holding 200", 3, True, "", "plc/more"),
    }
    assert kept(flows_of(plant)) == asked_of(plc)


def narrowed(mode: str) -> str:
    """The rules of a plant in which the setpoint is to be at most 100; ``mode`` is how that is watched."""
    return RULES.partition("  more:")[0].replace(ENDS, mode)


def monitor(seconds: float, then: str) -> str:
    ends = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f'mode: monitor\n    monitor: {{ until: "{ends}", why: new recipe, then: {then} }}'


def test_at_its_end_it_is_enforced_and_the_link_lives_on(
    recorder: RecordingPlc, plc: RecordingPlc, tmp_path: Path
) -> None:
    plant = Builder(tmp_path, recorder.port, listeners=(PLAIN,), rules=narrowed(monitor(8, "enforce"))).build()
    with running(plant) as gateway, dial(plant.ports[PLAIN]) as one:
        assert ask(one, write(40, 500)) == write(40, 500), "it took more than 8 s to start"
        wait_until(lambda: ask(one, write(40, 500)) == refusal(write(40, 500)), 12, "the rule is in force")
        assert ask(one, write(40, 100)) == write(40, 100)
        assert json.loads(gateway.admin("/status"))["monitors"] == []


def test_one_that_nobody_decided_about_degrades_and_refuses_nothing(
    recorder: RecordingPlc, plc: RecordingPlc, tmp_path: Path
) -> None:
    plant = Builder(tmp_path, recorder.port, listeners=(PLAIN,), rules=narrowed(monitor(-60, "alarm"))).build()
    with running(plant) as gateway, dial(plant.ports[PLAIN]) as one:
        assert ask(one, write(40, 500)) == write(40, 500)
        status = json.loads(gateway.admin("/status"))
        assert [line for line in status["degraded"] if "plc/narrow" in line]
        assert [(row["overdue"], row["would_refuse"]) for row in status["monitors"]] == [(True, 1)]
        assert gateway.admin("/readyz") == "ok\n", "degraded is not unready"
        done = subprocess.run(
            [sys.executable, "-m", "proxy", "status", "--config", str(plant.config)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0
        assert "monitor   plc/narrow" in done.stdout and "would refuse 1, let through 0" in done.stdout
        assert "degraded" in done.stdout


def test_a_surface_in_monitor_lets_everything_through_but_what_is_never_allowed(
    recorder: RecordingPlc, plc: RecordingPlc, tmp_path: Path
) -> None:
    plant = Builder(tmp_path, recorder.port, listeners=(PLAIN, MBAPS)).build()
    surface = tmp_path / "policies" / "surfaces" / "plc.yaml"
    mode = monitor(86400, "alarm").replace("\n    ", "\n")
    surface.write_text(surface.read_text().replace("rules:\n", f"{mode}\nrules:\n", 1))
    with running(plant) as gateway:
        stranger = plant.keys.issue("mes").trusting(plant.keys.ca)
        with dial(plant.ports[PLAIN]) as one, connect(plant.ports[MBAPS], stranger) as other:
            assert ask(one, read(5)) is not None
            assert ask(one, read(500)) != refusal(read(500))
            assert ask(other, write(700, 7)) == write(700, 7)
            assert ask(one, write(900, 1)) == refusal(write(900, 1)), "a never is in force"
            assert ask(one, b"\x2b\x0d\0\0") == refusal(b"\x2b"), "and so is the list of functions"
        assert gateway.metric("bulkhead_monitor_would_refuse_total", surface="plc", rule="monitor") == 2
        assert gateway.stop() == 0
    assert plc.writes == [write(700, 7)]
    told = {(row.low, row.rule, row.would, row.would_code) for row in flows_of(plant)}
    assert told == {
        ("read holding 5", "plc/monitor", None, ""),
        ("read holding 500", "plc/monitor", False, "BH-1201"),
        ("write holding 700 = 7", "plc/monitor", False, "BH-1201"),
        ("write holding 900 = 1", "plc/safety", None, ""),
    }
