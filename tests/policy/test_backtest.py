"""`bulkhead policy backtest`: no flow that a change would cut goes unsaid, and what cannot be known is not guessed."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proxy.cli.main import run
from proxy.cli.policy.past import deciding, past_of, refused_before
from proxy.cli.site import protocols
from proxy.policy import reference
from proxy.policy.backtest import backtest, limits_of
from proxy.policy.shadow import enforced
from tests.policy.small_site import CELL, UNS, load, write_site
from tests.support.flows import row, write_flows

if TYPE_CHECKING:
    from proxy.flows.row import FlowRow
    from proxy.policy.backtest import Outcome, Past
    from proxy.site import Site

NOW = time.time()
TIMES: dict[str, Any] = {"first": NOW - 5 * 86400, "last": NOW - 3600}
COUNTERS = "modbus: { read: [holding 0-99] }"


def read(who: str, text: str, **more: Any) -> FlowRow:
    return row(who, "plc-3a", f"read holding {text}", **{**TIMES, **more})


def write(low: int, high: int, **more: Any) -> FlowRow:
    texts = f"write holding 40 = {low}", f"write holding 40 = {high}"
    return row("scada", "plc-3a", *texts, **{"rule": "cell-3/setpoint", **TIMES, **more})


def site_with(tmp_path: Path, old: str = "", new: str = "", **files: str) -> Site:
    assert old in CELL
    more = {f"policies/{name.replace('__', '/')}.yaml": text for name, text in files.items()}
    return load(write_site(tmp_path, {"policies/surfaces/cell-3.yaml": CELL.replace(old, new, 1), **more}))


def outcome(site: Site, *rows: FlowRow, limits: dict[str, Any] | None = None, everything: bool = False) -> Outcome:
    past, unread = past_of(rows, site.devices)
    assert not unread
    return backtest(past, deciding(site, everything=everything), refused_before(site), limits)


class TestWhatWouldBeCut:
    def test_a_rule_that_is_gone(self, tmp_path: Path) -> None:
        found = outcome(site_with(tmp_path, COUNTERS, "modbus: { read: [holding 0-9] }"), read("scada", "5-20"))
        (cut,) = found.cut
        assert cut.verdict.reason is not None
        assert (cut.text, cut.verdict.reason.code) == ("read holding 5-20", "BH-1201")
        assert cut.verdict.nearest is not None and cut.verdict.nearest.origin.line == 4
        assert str(cut.verdict.nearest) == "cell-3/counters"
        assert (found.opened, found.untold, found.same) == ((), (), 0)

    @pytest.mark.parametrize(("top", "text"), [(1000, "write holding 40 = 1400"), (1400, None)])
    def test_the_largest_message_counts_as_well(self, tmp_path: Path, top: int, text: str | None) -> None:
        site = site_with(tmp_path, "max: 1500 } } }\n    rate: 6/min", f"max: {top} }} }} }}")
        found = outcome(site, write(700, 1400))
        assert [one.text for one in found.cut] == ([text] if text else [])

    def test_and_the_smallest(self, tmp_path: Path) -> None:
        site = site_with(tmp_path, "min: 0, max: 1500 } } }\n    rate: 6/min", "min: 800, max: 1500 } } }")
        assert [one.text for one in outcome(site, write(700, 1400)).cut] == ["write holding 40 = 700"]

    def test_a_never(self, tmp_path: Path) -> None:
        site = site_with(tmp_path, "write: [holding 900-999]", "write: [holding 900-999], read: [holding 5]")
        (cut,) = outcome(site, read("scada", "0-9"), read("mes", "7")).cut
        assert str(cut.verdict.rule) == "cell-3/no-safety-writes"

    def test_evidence_that_was_not_there(self, tmp_path: Path) -> None:
        site = site_with(tmp_path, COUNTERS, f"needs: [mac_ip]\n    {COUNTERS}")
        found = outcome(site, read("scada", "5"), read("mes", "5", evidence=("mac_ip", "x509")))
        assert [one.past.principal.id for one in found.cut] == ["scada"]

    def test_a_fingerprint_that_asks_for_more(self, tmp_path: Path) -> None:
        device = "device: scada\nkind: server\naddress: 10.3.0.30\nidentity: { mac_ip: { mac: '00:0e:8c:aa:bb:30' }, "
        config = write_site(tmp_path, {"fingerprints/devices/scada.yaml": f"{device}require: [mac_ip] }}\n"})
        (cut,) = outcome(load(config), read("scada", "5"), read("mes", "5")).cut
        assert cut.before is not None and cut.before[0].code == "BH-1002"

    def test_a_speaker_who_is_not_in_the_inventory_any_more(self, tmp_path: Path) -> None:
        (cut,) = outcome(site_with(tmp_path), read("plc-7", "5")).cut
        assert cut.before is not None and cut.before[0].code == "BH-1001"

    def test_what_the_device_never_takes(self, tmp_path: Path) -> None:
        device = "device: plc-3a\nkind: plc\naddress: 10.3.0.11\nservices: { modbus: { port: 502, units: [2] } }\n"
        found = outcome(load(write_site(tmp_path, {"fingerprints/devices/plc-3a.yaml": device})), read("scada", "5"))
        assert len(found.cut) == 1 and found.cut[0].before is not None

    def test_a_role_of_a_certificate(self, tmp_path: Path) -> None:
        rows = [row("unknown", "plc-3a", "write coil 3 = 1", attributes=("mbaps:Operator",), **TIMES)]
        assert outcome(site_with(tmp_path / "a"), *rows).cut == ()
        assert len(outcome(site_with(tmp_path / "b", "mbaps:Operator", "mbaps:Engineer"), *rows).cut) == 1

    def test_placeholders_mean_the_speaker(self, tmp_path: Path) -> None:
        topics = [
            row("sensor-3-1", "uns", f"publish hall-1/line-2/{topic} bytes 9", protocol="mqtt", **TIMES)
            for topic in ("sensor-3-1/t", "sensor-3-2/t")
        ]
        assert [one.text for one in outcome(site_with(tmp_path), *topics).cut] == [
            "publish hall-1/line-2/sensor-3-2/t bytes 9"
        ]
        assert UNS

    def test_all_parts_of_one_request(self, tmp_path: Path) -> None:
        both = "write holding 40 = 7 function 23; read holding {} function 23"
        rows = [row("scada", "plc-3a", both.format(at), **TIMES) for at in (5, 120)]
        site = site_with(tmp_path, "    rate: 6/min\n")
        assert [one.text for one in outcome(site, *rows).cut] == [both.format(120)]


class TestWhatWouldBeOpened:
    def test_a_refusal_that_a_new_rule_allows(self, tmp_path: Path) -> None:
        refused = read("historian", "5", allowed=False, code="BH-1201", rule="cell-3/default")
        found = outcome(site_with(tmp_path, 'from: "role:masters"', "from: [scada, historian]"), refused)
        assert [str(one.verdict.rule) for one in found.opened] == ["cell-3/counters"]
        assert found.cut == ()

    def test_of_a_refused_flow_one_end_is_enough(self, tmp_path: Path) -> None:
        site = site_with(tmp_path, "    rate: 6/min\n")
        refused = write(1400, 2000, allowed=False, code="BH-1205")
        assert [one.text for one in outcome(site, refused).opened] == ["write holding 40 = 1400"]


class TestWhatNobodyCanTell:
    def test_a_rate_that_was_not_there(self, tmp_path: Path) -> None:
        (untold,) = outcome(site_with(tmp_path), write(7, 9, count=500)).untold
        assert "cell-3/setpoint (policies/surfaces/cell-3.yaml:8) holds at most 6 in 1 min" in untold.why

    def test_a_rate_that_was_there_did_what_it_would_do(self, tmp_path: Path) -> None:
        site = site_with(tmp_path)
        limits = {"before": limits_of(enforced(site.surfaces, NOW))}
        rows = [
            write(7, 9, count=500, policy="before"),
            write(7, 9, policy="before", allowed=False, code="BH-1206"),
        ]
        assert outcome(site, *rows, limits=limits).same == 2
        other = site_with(tmp_path / "b", "6/min", "5/min")
        assert len(outcome(other, *rows, limits=limits).untold) == 2

    def test_a_budget_and_a_process_state(self, tmp_path: Path) -> None:
        while_ = 'budget: 20/8h\n    while: ["modbus holding 10 == 0 within 5s"]'
        (untold,) = outcome(site_with(tmp_path, "rate: 6/min", while_), write(7, 9)).untold
        assert "only while plc-3a modbus holding 10" in untold.why and "20 changes" in untold.why

    def test_a_value_outside_is_cut_whatever_the_moment_was(self, tmp_path: Path) -> None:
        found = outcome(site_with(tmp_path, "max: 1500", "max: 8"), write(7, 9))
        assert (len(found.cut), found.untold) == (1, ())

    def test_a_step_looks_at_values_seen_before(self, tmp_path: Path) -> None:
        found = outcome(site_with(tmp_path, "max: 1500", "max: 1500, step: 50"), write(7, 9))
        assert (found.cut, len(found.untold)) == ((), 1)

    def test_another_step_than_then_is_another_limit(self, tmp_path: Path) -> None:
        sites = [site_with(tmp_path / at, "max: 1500", f"max: 1500, step: {at}") for at in ("50", "10")]
        limits = {"before": limits_of(enforced(sites[0].surfaces, NOW))}
        flow = write(7, 9, policy="before")
        assert [len(outcome(site, flow, limits=limits).untold) for site in sites] == [0, 1]

    @pytest.mark.parametrize(
        ("hours", "result"),
        [
            ((6, 7), "same"),  # within the shift
            ((15, 16), "cut"),  # outside
            ((13, 15), "untold"),  # the shift ended in between
        ],
    )
    def test_hours_are_looked_up_in_the_time_of_the_record(
        self, tmp_path: Path, hours: tuple[int, int], result: str
    ) -> None:
        shift = "shift: early\nzone: Etc/UTC\ndays: [mon, tue, wed, thu, fri, sat, sun]\nfrom: '06:00'\nto: '14:00'\n"
        site = site_with(tmp_path, COUNTERS, f"when: early\n    {COUNTERS}", shifts__early=shift)
        midnight = 1_795_305_600.0 - 86400
        first, last = (midnight + hour * 3600 + 60 for hour in hours)
        found = outcome(site, read("scada", "5", first=first, last=last))
        counted = {"same": found.same, "cut": len(found.cut), "untold": len(found.untold)}
        assert counted == {"same": 0, "cut": 0, "untold": 0, result: 1}

    def test_hours_that_kept_their_name_and_not_their_times(self, tmp_path: Path) -> None:
        """The record covers both; that the rule says the same word now as then is no answer."""
        shift = "shift: early\nzone: Etc/UTC\ndays: [mon, tue, wed, thu, fri, sat, sun]\nfrom: '{}'\nto: '14:00'\n"
        sites = [
            site_with(tmp_path / at, COUNTERS, f"when: early\n    {COUNTERS}", shifts__early=shift.format(at))
            for at in ("06:00", "07:00")
        ]
        before, _ = sites
        limits = {"before": limits_of(enforced(before.surfaces, NOW), before.hours)}
        flow = read("scada", "5", policy="before", first=NOW - 3 * 86400)
        assert [len(outcome(site, flow, limits=limits).untold) for site in sites] == [0, 1]

    def test_a_device_that_is_gone(self, tmp_path: Path) -> None:
        (untold,) = outcome(site_with(tmp_path), row("scada", "plc-9", "read holding 1", **TIMES)).untold
        assert untold.why == "no device plc-9 in this version"

    def test_a_text_of_another_version(self, tmp_path: Path) -> None:
        site = site_with(tmp_path)
        past, unread = past_of(
            [row("scada", "plc-3a", "frobnicate"), row("a", "b", "x", protocol="profinet")], site.devices
        )
        assert past == []
        assert [one.why.partition(":")[0] for one in unread] == [
            "its text is of another version",
            "nothing here speaks profinet",
        ]


MONITORED = """\
  lower:
    from: scada
    to: plc-3a
    modbus: {{ write: {{ holding 40: {{ min: 0, max: 1200 }} }} }}
    mode: monitor
    monitor: {{ until: "{until}", why: "new filler", then: alarm }}
    replaces: [setpoint]
"""


def monitored(tmp_path: Path) -> Site:
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW + 5 * 86400))
    return site_with(tmp_path, "  valves:", f"{MONITORED.format(until=until)}  valves:")


def test_monitored_rules_count_only_when_asked_to(tmp_path: Path) -> None:
    site = monitored(tmp_path)
    assert outcome(site, write(700, 1400)).cut == ()
    (cut,) = outcome(site, write(700, 1400), everything=True).cut
    assert str(cut.verdict.rule) == "cell-3/lower"


def test_a_surface_in_monitor_lets_through_what_no_never_forbids(tmp_path: Path) -> None:
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW + 5 * 86400))
    mode = f'mode: monitor\nmonitor: {{ until: "{until}", why: "new cell", then: alarm }}\nrules:'
    site = site_with(tmp_path, "rules:", mode)
    rows = [read("historian", "500"), row("historian", "plc-3a", "write holding 900 = 1", **TIMES)]
    assert [one.text for one in outcome(site, *rows).cut] == ["write holding 900 = 1"]
    assert len(outcome(site, *rows, everything=True).cut) == 2


def test_the_name_of_a_flow_stays_while_it_goes_on(tmp_path: Path) -> None:
    devices = site_with(tmp_path).devices

    def name(one: FlowRow) -> str:
        ((past,), _) = past_of([one], devices)
        return past.name

    assert name(write(7, 9)) == name(write(3, 1400, count=77, last=NOW, policy="x", allowed=False))
    others = [read("scada", "5"), read("scada", "6"), read("mes", "5"), read("scada", "5", evidence=("mac_ip",))]
    assert len({name(one) for one in (write(7, 9), *others)}) == 5


def test_it_says_what_the_reference_says(tmp_path: Path) -> None:
    """Any flow, any change of the windows: what was allowed and is no longer is among the cut, and nothing else is."""
    chance = random.Random(9)
    for attempt in range(12):
        first = chance.randrange(60)
        spans = f"holding {first}-{first + chance.randrange(40)}, input 0-{chance.randrange(9)}"
        window = f"min: {chance.randrange(400)}, max: {chance.randrange(400, 1500)}"
        site = site_with(tmp_path / str(attempt), "holding 0-99]", f"{spans}]")
        text = (
            CELL.replace("holding 0-99]", f"{spans}]")
            .replace("min: 0, max: 1500", window)
            .replace("    rate: 6/min\n", "")
        )
        (tmp_path / str(attempt) / "policies/surfaces/cell-3.yaml").write_text(text)
        site = load(tmp_path / str(attempt) / "bulkhead.yaml")
        rows = [_any_row(chance) for _ in range(40)]
        past, _ = past_of(rows, site.devices)
        found = outcome(site, *rows)
        assert sorted(one.past.texts for one in found.cut) == sorted(
            one.texts for one in past if one.allowed and not _allowed(site, one)
        )
        assert sorted(one.past.texts for one in found.opened) == sorted(
            one.texts for one in past if not one.allowed and _allowed(site, one, both=False)
        )
        assert len(found.cut) + len(found.opened) + found.same == len(rows)


def _any_row(chance: random.Random) -> FlowRow:
    who, allowed = chance.choice(["scada", "mes", "historian"]), chance.random() < 0.7
    if chance.random() < 0.5:
        first = chance.randrange(90)
        table = chance.choice(["holding", "input"])
        text = high = f"read {table} {first}-{first + chance.randrange(9)}"
    else:
        low = chance.randrange(1600)
        text, high = f"write holding 40 = {low}", f"write holding 40 = {low + chance.randrange(300)}"
    return row(who, "plc-3a", text, high, allowed=allowed, **TIMES)


def _allowed(site: Site, past: Past, *, both: bool = True) -> bool:
    ends = [
        all(reference.allows(site.surfaces, site.roles, past.principal, past.device, one) for one in actions)
        for actions in (past.low, past.high)
    ]
    return all(ends) if both else any(ends)


class TestTheCommand:
    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        config = write_site(tmp_path / "home")
        rows = [read("scada", "5-20", count=1204), read("mes", "5"), row("scada", "plc-3a", "frobnicate", **TIMES)]
        write_flows(config.parent / "var" / "flows.sqlite", rows)
        return config

    def test_nothing_changes(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["policy", "backtest", "--config", str(home)]) == 0
        said = capsys.readouterr().out
        assert "cannot be asked again: 1 record" in said and "2 flows would get the same answer" in said

    def test_a_candidate_in_another_folder(
        self, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = CELL.replace("holding 0-99]", "holding 0-9]")
        candidate = write_site(tmp_path / "new", {"policies/surfaces/cell-3.yaml": text}).parent
        assert run(["policy", "backtest", "--config", str(home), str(candidate)]) == 1
        said = capsys.readouterr().out
        assert "now allowed, would be refused: 1 flow" in said
        assert "messages 1204" in said
        assert "nearest  cell-3/counters (policies/surfaces/cell-3.yaml:4)" in said

    def test_as_json(self, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = CELL.replace("holding 0-99]", "holding 0-9]")
        candidate = write_site(tmp_path / "new", {"policies/surfaces/cell-3.yaml": text})
        assert run(["policy", "backtest", "--config", str(home), str(candidate), "-o", "json"]) == 1
        found = json.loads(capsys.readouterr().out)
        assert (found["apiVersion"], found["kind"], found["ok"]) == ("bulkhead/v1", "PolicyBacktest", False)
        (cut,) = found["refused"]
        assert (cut["who"], cut["count"], cut["now"]["code"]) == ("scada", 1204, "BH-1201")
        assert found["unread"][0]["record"] == "scada to plc-3a, modbus frobnicate"

    def test_only_flows_of_that_time(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["policy", "backtest", "--config", str(home), "--since", "30min"]) == 0
        assert "0 flows would get the same answer" in capsys.readouterr().out

    @pytest.mark.parametrize("age", ["14", "0d", "two weeks", "-1d"])
    def test_an_age_that_is_none(self, home: Path, age: str) -> None:
        assert run(["policy", "backtest", "--config", str(home), "--since", age]) == 2

    def test_without_a_record_of_flows(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["policy", "backtest", "--config", str(write_site(tmp_path))]) == 3
        assert "no flows are recorded here" in capsys.readouterr().err

    def test_what_peers_wrote_cannot_move_the_cursor(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config = write_site(tmp_path)
        hostile = row("scada\x1b[2J", "plc-3a", "\x1b]0;x\x07read\u202e", **TIMES)
        write_flows(config.parent / "var" / "flows.sqlite", [hostile])
        assert run(["policy", "backtest", "--config", str(config)]) == 0
        said = capsys.readouterr().out
        assert said.replace("\n", "").isprintable() and "frob" not in said


def test_protocols_are_those_of_the_product() -> None:
    assert {"modbus", "mqtt"} <= set(protocols())
