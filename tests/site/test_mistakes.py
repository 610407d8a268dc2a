"""Each mistake is told once, at its line, with the nearest name and how to mend it: see mistakes.yaml and its twin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.site.folder import CONFIG, FULL, PARISH, SOUND, STAFF, TOWER, Files, changed, lines, load
from tests.support.tables import table

BASES: Mapping[str, Mapping[str, str]] = {"mistakes.yaml": SOUND, "mistakes_policy.yaml": FULL}
MISTAKES: list[dict[str, Any]] = [
    {**case, "base": base} for name, base in BASES.items() for case in table(Path(__file__).with_name(name))
]


def mistaken(case: Mapping[str, Any]) -> Files:
    return changed(case["file"], case["old"], case["new"], case["base"])


@pytest.mark.parametrize("files", [SOUND, FULL])
def test_the_sound_sites_have_no_problem(files: Mapping[str, str], tmp_path: Path) -> None:
    assert lines(load(tmp_path, files)) == []


@pytest.mark.parametrize("case", MISTAKES, ids=[case["name"] for case in MISTAKES])
def test_mistake(case: dict[str, Any], tmp_path: Path) -> None:
    loaded = load(tmp_path, mistaken(case))
    assert lines(loaded) == case["says"]
    errors = [problem for problem in loaded.problems if not problem.warning]
    assert (loaded.site is None) == bool(errors)


def test_names_of_cases_are_unique() -> None:
    names = [case["name"] for case in MISTAKES]
    assert len(names) == len(set(names)) > 180


def test_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    files = dict(SOUND)
    files[CONFIG] = files[CONFIG].replace("10.0.0.1:7701", "nowhere").replace("protocol: bell", "protokol: bell")
    files[TOWER] = files[TOWER].replace("7700", "0").replace("kind: belfry", "kind: Belfry")
    files[STAFF] = files[STAFF].replace("[sexton, warden]", "[sexton, warden, bishop]")
    files[PARISH] = files[PARISH].replace("6/min", "often").replace("bell: { listen: [1, 2] }", "bell: { listen: [x] }")
    loaded = load(tmp_path, files)
    found = [(problem.origin.file, problem.where) for problem in loaded.problems]
    assert loaded.site is None
    assert found == [
        (CONFIG, "listeners.door.bind"),
        (CONFIG, "listeners.door.protokol"),
        (TOWER, "kind"),
        (TOWER, "services.bell.port"),
        (STAFF, "members[2]"),
        (PARISH, "rules.alarm.rate"),
    ]


def test_rules_are_judged_when_their_file_has_the_right_shape(tmp_path: Path) -> None:
    files = changed(PARISH, "bell: { listen: [1, 2] }", "bell: { listen: [x] }")
    files[PARISH] = files[PARISH].replace("bell: write 7", "bell: sing 7").replace("{ write: [9] }", "{ mute: [9] }")
    found = [problem.where for problem in load(tmp_path, files).problems]
    assert found == ["rules.hours.bell.listen[0]", "never.silence.bell.mute", "tests[0].bell"]


def test_a_device_nobody_guards_is_told(tmp_path: Path) -> None:
    files = changed(CONFIG, "listeners:\n", 'listeners:\n  b: { bind: "10.0.0.1:7702", protocol: bell, to: gate }\n')
    files["fingerprints/devices/gate.yaml"] = files[TOWER].replace("tower", "gate").replace("10.0.0.9", "10.0.0.10")
    (line,) = lines(load(tmp_path, files))
    assert line == (
        "bulkhead.yaml:4:51: listeners.b.to: warning: gate is in no surface, so everything to it is refused; "
        "add it to the members of a surface"
    )


def test_two_devices_behind_one_address_and_port_are_told(tmp_path: Path) -> None:
    files = {**SOUND, "fingerprints/devices/annex.yaml": SOUND[TOWER].replace("tower", "annex")}
    (line,) = lines(load(tmp_path, files))
    assert line == (
        "fingerprints/devices/tower.yaml:6:3: services.bell: warning: the service at 10.0.0.9 port 7700 already means "
        "annex (fingerprints/devices/annex.yaml); declare one device with both sets of units, or another port"
    )


def test_a_report_moves_no_cursor_and_stays_short(tmp_path: Path) -> None:
    """T80: site files quote anything; a report is one line of visible characters."""
    files = changed(PARISH, "from: sexton", f'from: "sex\\e[2Jton{"x" * 5000}\\nb"')
    (line,) = lines(load(tmp_path, files))
    assert line.isprintable() and len(line) < 400


def test_a_thousand_mistakes_stay_readable(tmp_path: Path) -> None:
    rules = "".join(f"  r{n}: {{ from: nobody-{n}, to: tower, bell: {{ listen: [1] }} }}\n" for n in range(1000))
    loaded = load(tmp_path, changed(PARISH, "rules:\n", f"rules:\n{rules}"))
    assert len(loaded.problems) == 1000
    assert loaded.problems[999].origin.line == 1004
