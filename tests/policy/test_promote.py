"""`bulkhead policy promote`: exactly the lines that say so; nothing is cut unsaid; all or nothing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.main import run
from proxy.cli.policy.past import digest_of
from proxy.policy.promote import NotWatched, promoted, put
from tests.policy.small_site import CELL, load, write_site
from tests.support.flows import row, write_flows

NOW = time.time()
TIMES: dict[str, Any] = {"first": NOW - 5 * 86400, "last": NOW - 3600}
UNTIL = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW + 5 * 86400))
MONITOR = f'monitor: {{ until: "{UNTIL}", why: "new filler", then: alarm }}'
TOP = """\
---
surface: cell-3                     # the cell
members: [plc-3a]
mode: monitor        # for now
monitor:
  until: "2026-12-01T06:00:00+01:00"
  # why it is
  why: >
    a new
    cell
  then: enforce
# about rules
rules:
  # first
  a:
    from: x
    to: plc-3a
    modbus: { read: [holding 0-9] }

  b:                                # the new one
    from: x
    mode: monitor
    monitor: { until: "2026", why: w, then: enforce }   # gone with it
    to: plc-3a
    replaces: [a]
    modbus:
      read: [holding 0-9]
    # its end

  c: { from: x, to: y, mode: monitor, monitor: { until: "x" }, replaces: a }
  d: { from: x, mode: "monitor", monitor: { until: "x" }, to: z, replaces: [a, b], modbus: { read: [1] } }
never:
  n: { mode: monitor, monitor: {}, to: x }
...
"""


def lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """(taken away, put there), without those that stay."""
    old, new = before.splitlines(), after.splitlines()
    return [one for one in old if one not in new], [one for one in new if one not in old]


class TestTheText:
    def test_a_surface(self) -> None:
        after = promoted(TOP).text
        gone, new = lines(TOP, after)
        assert new == ["mode: enforce        # for now"]
        assert gone == [
            "mode: monitor        # for now",
            "monitor:",
            '  until: "2026-12-01T06:00:00+01:00"',
            "  # why it is",
            "  why: >",
            "    a new",
            "    cell",
            "  then: enforce",
        ]
        assert "mode: enforce        # for now\n# about rules\nrules:\n" in after

    def test_a_rule_takes_the_place_of_what_it_replaces(self) -> None:
        done = promoted(TOP, "b")
        gone, new = lines(TOP, done.text)
        assert new == ["    mode: enforce"]
        assert gone == [
            "  a:",
            "    modbus: { read: [holding 0-9] }",
            "    mode: monitor",
            '    monitor: { until: "2026", why: w, then: enforce }   # gone with it',
            "    replaces: [a]",
        ]
        assert "rules:\n  # first\n\n  b:                                # the new one\n    from: x\n" in done.text
        assert "    modbus:\n      read: [holding 0-9]\n    # its end\n" in done.text
        assert done.said == ("b is enforced", "a is taken out: b replaces it")

    def test_on_one_line(self) -> None:
        assert "  c: { from: x, to: y, mode: enforce }\n" in promoted(TOP, "c").text
        assert "  d: { from: x, mode: enforce, to: z, modbus: { read: [1] } }\n" in promoted(TOP, "d").text
        assert "  b:" not in promoted(TOP, "d").text
        assert "  n: { mode: enforce, to: x }\n" in promoted(TOP, "n").text

    def test_windows_line_ends_stay(self) -> None:
        after = promoted(TOP.replace("\n", "\r\n"), "b").text
        assert after == promoted(TOP, "b").text.replace("\n", "\r\n")

    @pytest.mark.parametrize(
        ("rule", "says"), [("a", "a is enforced; watched are: b, c, d, n"), ("z", "no rule or never")]
    )
    def test_nothing_to_promote(self, rule: str, says: str) -> None:
        with pytest.raises(NotWatched, match=says):
            promoted(TOP, rule)

    def test_an_enforced_surface_says_what_is_watched_in_it(self) -> None:
        with pytest.raises(NotWatched, match="watched in it: b, c, d, n"):
            promoted(promoted(TOP).text)


class TestPutting:
    def test_the_mode_of_the_file_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.write_text("old")
        path.chmod(0o640)
        put(path, "new", "old")
        assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
        assert os.listdir(tmp_path) == ["a.yaml"]

    def test_a_file_that_somebody_else_changed_stays_as_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.write_text("theirs")
        with pytest.raises(ValueError, match="changed meanwhile"):
            put(path, "new", "old")
        assert (path.read_text(), os.listdir(tmp_path)) == ("theirs", ["a.yaml"])

    def test_so_does_one_that_cannot_be_replaced(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.yaml"
        path.write_text("old")

        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            put(path, "new", "old")
        assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["a.yaml"])


RULE = f"""\
  lower:                            # the new filler takes less
    from: scada
    to: plc-3a
    modbus: {{ write: {{ holding 40: {{ min: 0, max: 1200 }} }} }}
    mode: monitor
    {MONITOR}
    replaces: [setpoint]
"""


def watched(tmp_path: Path, *rows: Any, text: str = "") -> Path:
    cell = text or CELL.replace("    rate: 6/min\n", "").replace("  valves:", f"{RULE}  valves:")
    config = write_site(tmp_path, {"policies/surfaces/cell-3.yaml": cell})
    write_flows(config.parent / "var" / "flows.sqlite", rows)
    return config


def write(low: int, high: int, **more: Any) -> Any:
    texts = f"write holding 40 = {low}", f"write holding 40 = {high}"
    return row("scada", "plc-3a", *texts, **{"rule": "cell-3/setpoint", **TIMES, **more})


RECIPE = "from: mes\n    to: plc-3a\n    modbus: { write: [holding 60-69] }\n    budget: 40/8h"


class TestTheCommand:
    def promote(self, config: Path, *more: str) -> tuple[int, bool]:
        """The exit code, and whether the file was changed."""
        path = config.parent / "policies/surfaces/cell-3.yaml"
        before = path.read_bytes()
        code = run(["policy", "promote", "--config", str(config), *more])
        assert [name for name in os.listdir(path.parent) if name.startswith(".")] == []
        return code, path.read_bytes() != before

    def test_what_nobody_would_miss(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config = watched(tmp_path, write(700, 1100))
        assert self.promote(config, "cell-3/lower") == (0, True)
        said = capsys.readouterr().out
        assert "-    replaces: [setpoint]\n+    mode: enforce\n" in said
        assert "setpoint is taken out: lower replaces it." in said and "`bulkhead policy apply`" in said
        rules = {rule.ref.name: rule for rule in load(config).surfaces[0].rules}
        assert "setpoint" not in rules and rules["lower"].monitor is None

    def test_a_flow_that_would_be_cut_stops_it(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config = watched(tmp_path, write(700, 1100), write(700, 1400))
        assert self.promote(config, "cell-3/lower") == (1, False)
        said = capsys.readouterr().out
        assert "would be cut" in said and "write holding 40 = 1400" in said and "Nothing was changed" in said

    def test_unless_it_is_acknowledged_by_its_name(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config = watched(tmp_path, write(700, 1400), write(3, 1450, evidence=("mac_ip", "x509")))
        assert self.promote(config, "cell-3/lower") == (1, False)
        names = capsys.readouterr().out.rpartition("be cut: ")[2].split()
        assert names[::2] == ["--acknowledge", "--acknowledge"]
        assert self.promote(config, "cell-3/lower", *names[:2]) == (1, False), "one of the two is not enough"
        assert self.promote(config, "cell-3/lower", *names) == (0, True)

    def test_a_flow_with_several_records_is_told_once(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config = watched(tmp_path, write(700, 1400, count=3), write(700, 1400, count=4, policy="f" * 64))
        assert self.promote(config, "cell-3/lower") == (1, False)
        said = capsys.readouterr().out
        assert said.count("would be cut  ") == 1 and "messages 7, " in said

    def test_a_slip_in_a_name_acknowledges_nothing(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config = watched(tmp_path, write(700, 1400))
        assert self.promote(config, "cell-3/lower", "--acknowledge", "deadbeef") == (2, False)
        assert "no flow that would be cut is called deadbeef" in capsys.readouterr().err

    def test_flows_of_long_ago_do_not_count(self, tmp_path: Path) -> None:
        old = {"first": NOW - 40 * 86400, "last": NOW - 20 * 86400}
        config = watched(tmp_path, write(700, 1400, **old))
        assert self.promote(config, "cell-3/lower", "--days", "30") == (1, False)
        assert self.promote(config, "cell-3/lower") == (0, True)

    def test_what_these_files_cut_already_is_not_its_fault(self, tmp_path: Path) -> None:
        gone = row("historian", "plc-3a", "read holding 7", **TIMES)
        assert self.promote(watched(tmp_path, gone), "cell-3/lower") == (0, True)

    def test_nor_is_what_nobody_could_tell_before(self, tmp_path: Path) -> None:
        """Lines move when a rule is taken out; the doubt is the same."""
        text = CELL.replace("    rate: 6/min\n", "").replace("  valves:", f"{RULE}  valves:")
        text = text.replace("never:", f"  recipe:\n    {RECIPE}\nnever:")
        recipe = row("mes", "plc-3a", "write holding 60 = 1", rule="cell-3/recipe", count=99, **TIMES)
        assert self.promote(watched(tmp_path, recipe, text=text), "cell-3/lower") == (0, True)

    def test_a_file_that_would_not_be_valid(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = CELL.replace("  valves:", f"{RULE}  valves:")
        test = "{ who: scada, to: plc-3a, modbus: write holding 40 = 1300, expect: allow }"
        config = watched(tmp_path, text=f"{text}tests:\n  - {test}\n")
        assert self.promote(config, "cell-3/lower") == (1, False)
        assert "with it the site would not be valid" in capsys.readouterr().err

    @pytest.mark.parametrize(("judged", "would", "code"), [(True, None, 0), (True, False, 1), (False, None, 1)])
    def test_where_the_record_cannot_tell_the_candidate_can(
        self, tmp_path: Path, judged: bool, would: bool | None, code: int
    ) -> None:
        """It ran beside and saw how quickly they came; but only if it was this one."""
        text = CELL.replace("    rate: 6/min\n", "").replace("  valves:", f"{RULE}    rate: 6/min\n  valves:")
        config = watched(tmp_path, text=text)
        digest = digest_of(load(config)) if judged else "another"
        write_flows(tmp_path / "flows.sqlite", [write(700, 1100, policy=digest, would=would)])
        flows = str(tmp_path / "flows.sqlite")
        assert self.promote(config, "cell-3/lower", "--flows", flows) == (code, code == 0)

    def test_a_surface(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = CELL.replace("rules:\n", f"mode: monitor\n{MONITOR}\nrules:\n", 1).replace("    rate: 6/min\n", "")
        through = row("historian", "plc-3a", "read holding 7", rule="cell-3/monitor", would=False, **TIMES)
        config = watched(tmp_path, write(700, 1100), through, text=text)
        assert self.promote(config, "cell-3") == (1, False)
        name = capsys.readouterr().out.split("--acknowledge ")[1].split()[0]
        assert self.promote(config, "cell-3", "--acknowledge", name, "-o", "json") == (0, True)
        found = json.loads(capsys.readouterr().out)
        assert (found["kind"], found["promoted"]) == ("PolicyPromotion", True)
        assert [(one["who"], one["acknowledged"]) for one in found["cut"]] == [("historian", True)]
        assert load(config).surfaces[0].monitor is None

    @pytest.mark.parametrize("what", ["cell-3", "cell-3/setpoint", "cell-3/x", "cell-4", "cell-4/lower"])
    def test_what_is_not_watched(self, tmp_path: Path, what: str) -> None:
        assert self.promote(watched(tmp_path), what) == (2, False)

    def test_the_name_of_a_rule_alone(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.promote(watched(tmp_path), "lower") == (2, False)
        assert "did you mean cell-3/lower?" in capsys.readouterr().err

    def test_without_a_record_of_flows_nobody_knows(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config = watched(tmp_path)
        (config.parent / "var" / "flows.sqlite").unlink()
        assert self.promote(config, "cell-3/lower") == (3, False)
