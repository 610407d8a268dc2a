"""`bulkhead policy learn`: it allows what was seen and nothing else, and what acts is never among what it grants."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from proxy.cli.main import run
from proxy.cli.site import protocols
from proxy.core.names import Names
from proxy.policy.assume import assumed
from proxy.policy.compile import compile_policy
from proxy.protocols.modbus.learn import union
from proxy.site import load_site
from tests.policy.small_site import CELL, load, write_site
from tests.support.flows import row, write_flows

if TYPE_CHECKING:
    from proxy.core.action import Target
    from proxy.flows.row import FlowRow
    from proxy.protocols.base import Proposal

NOW = time.time()
TIMES: dict[str, Any] = {"first": NOW - 5 * 86400, "last": NOW - 3600}
SENSOR = Names("sensor-3-1", "hall-1/line-2")
WATCHED = """\
surface: cell-3
members: [plc-3a]
mode: monitor
monitor: {{ until: "{until}", why: "a new cell", then: alarm }}
rules: {{}}
never:
  no-safety-writes: {{ to: plc-3a, modbus: {{ write: [holding 900-999] }} }}
"""


def proposals(protocol: str, *texts: str, names: Names = SENSOR) -> list[Proposal]:
    spec = protocols()[protocol]
    return list(spec.learn([action for text in texts for action in spec.parse_actions(text)], names))


def targets(protocol: str, proposal: Proposal, names: Names = SENSOR) -> list[Target]:
    wrong: list[str] = []
    found = protocols()[protocol].parse_rule(proposal.section, lambda path, what, mend="": wrong.append(what))
    assert not wrong, (proposal.section, wrong)
    return [target.bound(names) for target in found]


def allows(protocol: str, found: list[Target], text: str) -> bool:
    return all(
        sum(1 << at for at in range(64) if any(t.admits(a) >> at & 1 for t in found)) == a.atoms
        for a in protocols()[protocol].parse_actions(text)
    )


class TestModbus:
    def test_spans_that_touch_become_one_and_gaps_stay(self) -> None:
        (looking,) = proposals("modbus", "read holding 10-19", "read holding 0-9", "read holding 21", "read input 3")
        assert looking.section == {"units": [1], "read": ["input 3", "holding 0-19", "holding 21"]}
        assert (looking.acts, looking.notes) == (False, ())

    def test_exactly_the_addresses_asked_for(self) -> None:
        chance = random.Random(4)
        for _ in range(50):
            pieces = [
                (first := chance.randrange(60), first + chance.randrange(6)) for _ in range(chance.randrange(1, 12))
            ]
            (looking,) = proposals("modbus", *(f"read holding {first}-{last}" for first, last in pieces))
            found = targets("modbus", looking)
            asked = {address for first, last in pieces for address in range(first, last + 1)}
            assert {at for at in range(80) if allows("modbus", found, f"read holding {at}")} == asked
            assert not allows("modbus", found, f"read holding {min(asked)} unit 2"), "nobody asked another unit"

    def test_a_note_says_what_one_wide_line_would_add(self) -> None:
        (looking,) = proposals("modbus", *(f"read holding {10 * at}" for at in range(8)))
        assert len(looking.section["read"]) == 8  # type: ignore[arg-type]
        assert looking.notes == ("holding 0-70 would be one line, and 63 addresses that nobody asked for",)

    def test_units_that_were_asked_the_same_share_a_line(self) -> None:
        found = proposals("modbus", "read holding 1 unit 2", "read holding 1", "read holding 5 unit 3")
        assert [one.section for one in found] == [
            {"units": [1, 2], "read": ["holding 1"]},
            {"units": [3], "read": ["holding 5"]},
        ]

    def test_writes_act_and_have_the_window_that_was_seen(self) -> None:
        looking, acting = proposals(
            "modbus", "read holding 40", "write holding 40 = 700", "write holding 40 = 1400", "write coil 3 = 1"
        )
        assert (looking.acts, acting.acts) == (False, True)
        assert acting.section == {
            "units": [1],
            "write": {"coil 3": {"min": 1, "max": 1}, "holding 40": {"min": 700, "max": 1400}},
        }

    @pytest.mark.parametrize("text", ["write coil 1 = 1", "control 10", "program 90", "write-file 4 0 = 7"])
    def test_whatever_changes_the_device_acts(self, text: str) -> None:
        assert [one.acts for one in proposals("modbus", text)] == [True]

    def test_a_masked_write_has_its_bits(self) -> None:
        (acting,) = proposals("modbus", "mask holding 5 and 0xFF00 or 0x0012")
        assert acting.section == {"units": [1], "write": {"holding 5": {"bits": 0x00FF}}}
        assert acting.acts and "first request" in acting.notes[0]

    def test_a_level_that_includes_others_says_so(self) -> None:
        (looking,) = proposals("modbus", "identify extended", "identify basic", "diagnose function 7", "diagnose 11")
        assert looking.section == {"units": [1], "identify": "extended", "diagnose": [11, "function 7"]}
        assert looking.notes == ("identify extended includes regular, which nobody asked for",)

    def test_both_acts_of_one_request(self) -> None:
        looking, acting = proposals("modbus", "write holding 5 = 1 function 23; read holding 9 function 23")
        assert looking.section == {"units": [1], "read": ["holding 9"]}
        assert list(acting.section) == ["units", "write"]

    def test_union(self) -> None:
        assert union([(5, 9), (0, 3), (4, 4), (20, 30), (22, 23)]) == [(0, 9), (20, 30)]


class TestMqtt:
    def test_the_own_place_and_name_become_placeholders(self) -> None:
        found = proposals("mqtt", "connect as sensor-3-1", "publish hall-1/line-2/sensor-3-1/t qos 1 bytes 9")
        assert [one.acts for one in found] == [False, True]
        assert found[1].section == {
            "connect": {"client_id": ["{device}"]},
            "publish": ["{place}/{device}/t"],
            "qos": 1,
            "max_bytes": 9,
        }

    def test_somebody_elses_name_does_not(self) -> None:
        (looking,) = proposals("mqtt", "connect as sensor-3-1", "subscribe hall-1/line-2/sensor-3-2/t")
        assert looking.section["subscribe"] == ["{place}/sensor-3-2/t"]
        (elsewhere,) = proposals("mqtt", "connect as x", "subscribe hall-1/line-3/sensor-3-1")
        assert elsewhere.section["subscribe"] == ["hall-1/line-3/{device}"]

    def test_three_values_are_a_list_and_four_a_wildcard(self) -> None:
        some = [f"subscribe line/{at}/t" for at in "abc"]
        assert proposals("mqtt", *some)[0].section["subscribe"] == ["line/a/t", "line/b/t", "line/c/t"]
        (wide,) = proposals("mqtt", *some, "subscribe line/d/t")
        assert wide.section["subscribe"] == ["line/+/t"]
        assert "+ in line/+/t stands for 4 values seen (a, b, c, d) and allows any other" in wide.notes

    def test_wildcards_in_two_levels(self) -> None:
        (looking,) = proposals("mqtt", *(f"receive line/{a}/{b}" for a in "abcd" for b in "wxyz"))
        assert looking.section["receive"] == ["line/+/+"]
        assert "line/+/+ stands for 16 topics seen and allows any other of this form" in looking.notes
        assert len(looking.notes) == 2, "and that no connect is on record"

    @pytest.mark.parametrize("text", ["#", "+/#", "+", "/#", "+/+"])
    def test_a_filter_of_everything_is_never_proposed(self, text: str) -> None:
        (looking,) = proposals("mqtt", "connect as x", f"subscribe {text}", "receive a/b")
        assert looking.section == {"connect": {"client_id": ["x"]}, "receive": ["a/b"]}
        assert any("it means every topic" in note for note in looking.notes)

    def test_what_was_asked_beside_it_is(self) -> None:
        (looking,) = proposals("mqtt", "connect as x", "subscribe #", "subscribe line/#", "receive line/a")
        assert (looking.section["subscribe"], "receive" in looking.section) == (["line/#"], False)

    def test_topics_of_one_level_never_become_everything(self) -> None:
        (looking,) = proposals("mqtt", *(f"receive {at}" for at in "abcdefgh"))
        assert looking.section["receive"] == list("abcdefgh")

    def test_what_a_subscription_brings_needs_no_line(self) -> None:
        (looking,) = proposals("mqtt", "connect as x", "subscribe line/#", "receive line/a", "receive other/b")
        assert (looking.section["subscribe"], looking.section["receive"]) == (["line/#"], ["other/b"])

    def test_shared_subscriptions_keep_their_group(self) -> None:
        (looking,) = proposals("mqtt", "connect as x", "subscribe $share/mes/line/#", "receive line/a")
        assert looking.section["share"] == ["$share/mes/line/#"]
        assert "receive" not in looking.section

    @pytest.mark.parametrize(
        "text",
        [
            *("publish a/b", "command a/b", "will a/b", "clear-retained a/b", "publish a/b retained"),
            "reply-to a/b",
        ],
    )
    def test_whatever_puts_a_message_somewhere_acts(self, text: str) -> None:
        looking, acting = proposals("mqtt", "connect as x", text)
        assert acting.acts and not looking.acts
        assert set(looking.section) <= {"connect", "subscribe", "qos"}

    def test_client_ids_made_up_each_time(self) -> None:
        (looking,) = proposals("mqtt", *(f"connect as explorer-{at}" for at in ("3f", "a1", "77", "c0")))
        assert looking.section == {"connect": {"client_id": ["explorer-*"]}}
        assert looking.notes == ("explorer-* stands for 4 client ids seen and allows any other like them",)

    def test_without_a_connect_on_record_a_note_says_so(self) -> None:
        (looking,) = proposals("mqtt", "subscribe a/b")
        assert "connect" not in looking.section
        assert any("any is allowed" in note for note in looking.notes)

    @pytest.mark.parametrize("topic", ["a/{x}/b", '"a/b c\\u0301"', "$SYS/x"])
    def test_what_was_asked_parses_or_is_told(self, topic: str) -> None:
        (looking,) = proposals("mqtt", "connect as x", f"subscribe {topic}")
        assert targets("mqtt", looking)
        assert "subscribe" in looking.section or looking.notes


def rows() -> list[FlowRow]:
    mqtt: dict[str, Any] = {"protocol": "mqtt", "rule": "uns/telemetry", **TIMES}
    return [
        row("scada", "plc-3a", "read holding 0-9", count=1204, **TIMES),
        row("scada", "plc-3a", "read holding 10-19", count=12, **TIMES),
        row("mes", "plc-3a", "read holding 0-19", count=44, **TIMES),
        row("historian", "plc-3a", "read holding 30", count=2, **TIMES),
        row("scada", "plc-3a", "write holding 40 = 700", "write holding 40 = 1450", count=31, **TIMES),
        row("unknown", "plc-3a", "read coil 3", attributes=("mbaps:Operator",), **TIMES),
        row("unknown", "plc-3a", "read coil 4", attributes=("mbaps-null",), count=5, **TIMES),
        row("historian", "plc-3a", "read holding 500", allowed=False, code="BH-1201", **TIMES),
        *(
            row(who, "uns", text, **mqtt)
            for who in ("sensor-3-1", "sensor-3-2", "sensor-3-3")
            for text in (f"connect as {who}", f"subscribe hall-1/line-2/{who}/set qos 1")
        ),
        *(
            row(f"sensor-3-{at}", "uns", f"publish hall-1/line-2/sensor-3-{at}/t bytes 9", count=500, **mqtt)
            for at in (1, 2, 3)
        ),
    ]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    config = write_site(tmp_path / "site")
    write_flows(config.parent / "var" / "flows.sqlite", rows())
    return config


def learnt(config: Path, surface: str, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert run(["policy", "learn", "--config", str(config), "--surface", surface, "--all", *more]) == 0
    return capsys.readouterr().out


class TestTheFile:
    def test_equal_needs_are_one_rule_by_the_name_of_a_role(
        self, site: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = yaml.safe_load(learnt(site, "cell-3", capsys))
        assert found["rules"]["masters-read"] == {
            "from": "role:masters",
            "to": "plc-3a",
            "modbus": {"units": [1], "read": ["holding 0-19"]},
        }

    def test_a_role_of_which_one_member_asked_is_not_their_name(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = write_site(tmp_path / "other")
        both = [row(who, "plc-3a", "read holding 30", **TIMES) for who in ("scada", "historian")]
        write_flows(config.parent / "var" / "flows.sqlite", both)
        (rule,) = yaml.safe_load(learnt(config, "cell-3", capsys))["rules"].values()
        assert rule["from"] == ["historian", "scada"]

    def test_or_by_a_pattern_that_fits_nobody_else(self, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = learnt(site, "uns", capsys)
        (rule,) = yaml.safe_load(text)["rules"].values()
        assert rule["from"] == "sensor-3-*"
        assert rule["mqtt"]["subscribe"] == ["{place}/{device}/set"]
        assert "a device that gets such a name later is meant" in text

    def test_it_allows_the_looks_that_were_learnt_and_nothing_else(
        self, site: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = learnt(site, "cell-3", capsys)
        # Alone in the site, so that only what was learnt can allow anything.
        (site.parent / "policies/surfaces/cell-3.yaml").unlink()
        (site.parent / "policies/surfaces/cell-3-learnt.yaml").write_text(text)
        policy = compile_policy((loaded := load(site)).surfaces, loaded.roles, loaded.devices)

        def asked(who: str, text: str) -> bool:
            action = protocols()["modbus"].parse_actions(text)[0]
            return policy.open(assumed(who, loaded.devices), "plc-3a", "modbus").decide(action, 0.0).allowed

        for who, addresses in (("scada", range(20)), ("mes", range(20)), ("historian", range(30, 31))):
            assert {at for at in range(600) if asked(who, f"read holding {at}")} == set(addresses)
        assert asked("mbaps:Operator", "read coil 3")
        assert not asked("mbaps:Operator", "read coil 4") and not asked("sensor-3-1", "read holding 0")
        assert not any(asked("scada", f"write holding 40 = {value}") for value in (0, 700, 1000, 1450))

    def test_what_acts_stands_there_and_grants_nothing(self, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = learnt(site, "cell-3", capsys)
        assert "  # scada-write:" in text
        assert "  #   modbus: { units: [1], write: { holding 40: { min: 700, max: 1450 } } }" in text
        assert "scada-write" not in yaml.safe_load(text)["rules"]
        assert all("write" not in rule.get("modbus", {}) for rule in yaml.safe_load(text)["rules"].values())

    def test_with_the_marks_taken_away_it_is_valid_too(self, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = learnt(site, "cell-3", capsys)
        head, _, acting = text.partition("marks away.")
        open_ = "\n".join(
            line.replace("  # ", "  ", 1) if line.startswith(("  # scada-write", "  #   ")) else line
            for line in acting.splitlines()
        )
        (site.parent / "policies/surfaces/cell-3-learnt.yaml").write_text(f"{head}marks away.{open_}\n")
        rules = next(one for one in load(site).surfaces if one.name == "cell-3-learnt").rules
        assert "scada-write" in {rule.ref.name for rule in rules}

    def test_each_rule_says_how_often_when_and_known_by_what(
        self, site: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = learnt(site, "cell-3", capsys)
        first, last = (time.strftime("%Y-%m-%d %H:%MZ", time.gmtime(TIMES[key])) for key in ("first", "last"))
        assert f"  # 1260 messages of 3 flows, {first} to {last}; known by x509.\n  masters-read:" in text

    def test_who_cannot_be_named_and_what_was_refused_are_left_out(
        self, site: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = learnt(site, "cell-3", capsys)
        assert "# Left out, 5 messages of 1 flows: nobody knows who spoke" in text
        assert "500" not in text

    def test_the_same_flows_give_the_same_file(self, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
        before = learnt(site, "cell-3", capsys)
        for seed in range(4):
            mixed = rows()
            random.Random(seed).shuffle(mixed)
            flows = site.parent / f"mixed-{seed}.sqlite"
            write_flows(flows, mixed)
            assert learnt(site, "cell-3", capsys, "--flows", str(flows)) == before

    def test_one_surface_at_a_time(self, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["policy", "learn", "--config", str(site), "--all"]) == 2
        assert "cell-3 (7 flows), uns (9 flows)" in capsys.readouterr().err

    def test_nothing_was_seen(self, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["policy", "learn", "--config", str(site)]) == 1
        assert "nothing was seen to learn from; --all" in capsys.readouterr().err

    def test_a_file_that_is_there_stays(self, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "proposal.yaml"
        learnt(site, "cell-3", capsys, "--out", str(out))
        written = out.read_text()
        assert "masters-read" in written
        assert run(["policy", "learn", "--config", str(site), "--surface", "uns", "--all", "--out", str(out)]) == 3
        assert out.read_text() == written

    def test_as_json(self, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
        found = json.loads(learnt(site, "cell-3", capsys, "-o", "json"))
        assert (found["apiVersion"], found["kind"], found["surface"]) == ("bulkhead/v1", "PolicyProposal", "cell-3")
        assert [(one["name"], one["acts"]) for one in found["rules"]][0] == ("historian-read", False)


def test_a_poisoned_window_grants_nothing_that_acts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cell is watched, and somebody in it asks for everything that there is."""
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW + 86400))
    config = write_site(tmp_path / "site", {"policies/surfaces/cell-3.yaml": WATCHED.format(until=until)})
    texts = [
        *("read holding 0-99", "write holding 0-99 = 7", "write coil 0-63 = 1", "program 90", "control 1"),
        *("mask holding 5 and 0x0000 or 0xFFFF", "write-file 4 0 = 7", "vendor 100"),
    ]
    poisoned = [row("historian", "plc-3a", text, would=False, would_code="BH-1201", **TIMES) for text in texts]
    write_flows(config.parent / "var" / "flows.sqlite", poisoned)
    assert run(["policy", "learn", "--config", str(config)]) == 0
    text = capsys.readouterr().out
    path = config.parent / "policies/surfaces/cell-3-learnt.yaml"
    path.write_text(text)
    loaded = load_site(config, protocols(), os.environ).site
    assert loaded is not None
    learnt_surface = next(one for one in loaded.surfaces if one.name == "cell-3-learnt")
    assert [rule.ref.name for rule in learnt_surface.rules] == ["historian-read"]
    assert not any(target.changes for rule in learnt_surface.rules for target in rule.targets)
    assert learnt_surface.monitor is not None, "putting the file in place enforces nothing yet"


def test_where_all_of_it_acts_the_file_is_valid_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_site(tmp_path / "site")
    write_flows(config.parent / "var" / "flows.sqlite", [row("scada", "plc-3a", "write holding 40 = 7", **TIMES)])
    assert yaml.safe_load(learnt(config, "cell-3", capsys))["rules"] == {}


def test_the_small_site_is_sound(tmp_path: Path) -> None:
    assert CELL in (write_site(tmp_path).parent / "policies/surfaces/cell-3.yaml").read_text()
    assert run(["check", "--config", str(tmp_path / "bulkhead.yaml")]) == 0
