"""What the words about time, process, budget and monitor become; what a mark means, and a site's copy and its clock."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path

import pytest

from proxy.core.hours import Shift, Window
from proxy.core.origin import Origin, RuleRef
from proxy.core.process import Point, Predicate
from proxy.core.surface import Monitor, Never, Rate, Rule, RuleTest, Surface
from proxy.site import Site, load_site
from proxy.site.model import Change
from tests.site.bell import BELL, BellAction, BellTarget
from tests.site.folder import (
    CONFIG,
    FEAST,
    FULL,
    MATINS,
    NOW,
    PARISH,
    SEXTON,
    SOUND,
    STAFF,
    VIGIL,
    Files,
    changed,
    lines,
    load,
    write,
)

BERLIN = "Europe/Berlin"
DAY = 86_400.0


def site_of(folder: Path, files: Files | None = None) -> Site:
    loaded = load(folder, FULL if files is None else files)
    assert loaded.site is not None, loaded.problems
    return loaded.site


def parish(folder: Path, files: Files | None = None) -> Surface:
    (surface,) = site_of(folder, files).surfaces
    return surface


def ref(name: str, line: int) -> RuleRef:
    return RuleRef("parish", name, Origin(PARISH, line, 3))


def test_hours(tmp_path: Path) -> None:
    feast, matins = site_of(tmp_path).hours
    opens, closes = datetime(2026, 12, 5, 22), datetime(2026, 12, 6, 6)
    assert feast == Window("feast", Origin(FEAST, 2, 9), BERLIN, opens, closes)
    christmas = frozenset({date(2026, 12, 24), date(2026, 12, 25)})
    extra = frozenset({date(2026, 12, 5)})
    week = frozenset(range(5))
    assert matins == Shift("matins", Origin(MATINS, 2, 8), BERLIN, week, time(22), time(6), christmas, extra)


def test_rules(tmp_path: Path) -> None:
    """What the surface needs, each rule needs; a point without a device is one of the rule's own."""
    ring, more = parish(tmp_path).rules
    assert ring == Rule(
        ref("ring", 6),
        ("sexton",),
        ("tower",),
        (BellTarget("write", frozenset({7})),),
        needs=frozenset({"x509"}),
        rate=Rate(6, 60.0),
        budget=Rate(20, 28_800.0),
        when=("matins", "feast"),
        whilst=(
            Predicate("tower", Point("bell", "3"), "==", 0.0, 10.0),
            Predicate("gate", Point("bell", "4"), ">=", 1.5, 5.0),
        ),
    )
    assert more == Rule(
        ref("ring-more", 14),
        ("role:staff",),
        ("tower",),
        (BellTarget("write", frozenset({7, 8})),),
        needs=frozenset({"x509", "mac_ip"}),
        when=("matins",),
        monitor=Monitor(
            datetime.fromisoformat("2026-12-01T05:00:00Z").timestamp(), "new bells", "enforce", Origin(PARISH, 20, 5)
        ),
        replaces=("ring",),
    )


def test_nevers(tmp_path: Path) -> None:
    silence, hush = parish(tmp_path).nevers
    assert silence.monitor is None
    everywhere = ("gate", "sexton", "tower", "warden")
    monitor = Monitor(NOW + 7 * DAY, "who still does", "alarm", Origin(PARISH, 29, 5))
    assert hush == Never(ref("hush", 25), ("warden",), everywhere, (BellTarget("write", frozenset({7})),), monitor)


def test_a_surface_in_monitor(tmp_path: Path) -> None:
    watched = 'mode: monitor\nmonitor: { until: "2026-11-28T12:00:00Z", why: new, then: alarm }\n'
    surface = parish(tmp_path, changed(PARISH, "surface: parish\n", f"surface: parish\n{watched}", SOUND))
    assert surface.monitor == Monitor(NOW + 7 * DAY, "new", "alarm", Origin(PARISH, 4, 1))
    assert [rule.monitor for rule in surface.rules] == [None, None]


def test_tests_of_a_surface(tmp_path: Path) -> None:
    (test,) = parish(tmp_path).tests
    assert test == RuleTest(
        Origin(PARISH, 32, 5),
        "sexton",
        "tower",
        "write 7",
        (BellAction("write", 7),),
        expect_allow=True,
        because="ring",
        evidence=("x509",),
        at=datetime.fromisoformat("2026-11-23T22:00:00Z").timestamp(),
        state=(("tower", Point("bell", "3"), 0.0), ("gate", Point("bell", "4"), 2.5)),
    )


def test_cases(tmp_path: Path) -> None:
    one, other = site_of(tmp_path).cases
    action = BellAction("write", 9)
    assert one == RuleTest(Origin(VIGIL, 4, 5), "sexton", "tower", "write 9", (action,), False, "parish/silence")
    assert (other.because, other.evidence, other.at) == ("default", (), None)


def test_a_case_may_name_a_rule_that_is_for_nobody_now(tmp_path: Path) -> None:
    """`from` is a pattern that fits no device: a warning, and the rule's name stays a name."""
    files = changed(VIGIL, "parish/silence", "ring", changed(PARISH, "from: sexton", 'from: "vicar-*"', FULL))
    assert [line for line in lines(load(tmp_path, files)) if "warning" not in line] == []


def test_change_and_reload(tmp_path: Path) -> None:
    site = site_of(tmp_path / "1")
    assert (site.change, site.admin_reload) == (Change(watch=False, require_ack=False), True)
    default = site_of(tmp_path / "2", dict(SOUND))
    assert (default.change, default.admin_reload) == (Change(watch=True, require_ack=True), False)
    assert (default.hours, default.cases) == ((), ())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bell 3 == 0", Predicate("tower", Point("bell", "3"), "==", 0.0, 5.0)),
        ("bell 3==0", Predicate("tower", Point("bell", "3"), "==", 0.0, 5.0)),
        ("bell 03 != -1.5", Predicate("tower", Point("bell", "3"), "!=", -1.5, 5.0)),
        ("tower bell 3 <= 7 within 1min", Predicate("tower", Point("bell", "3"), "<=", 7.0, 60.0)),
        ("gate  bell 3 > 7  within 500ms", Predicate("gate", Point("bell", "3"), ">", 7.0, 0.5)),
    ],
)
def test_what_a_rule_waits_for(line: str, expected: Predicate, tmp_path: Path) -> None:
    rule, _ = parish(tmp_path, changed(PARISH, "bell 3 == 0 within 10s", line, FULL)).rules
    assert rule.whilst[0] == expected


def test_a_device_may_have_the_name_of_a_protocol(tmp_path: Path) -> None:
    files = changed(PARISH, '"gate bell 4 >= 1.5"', '"bell bell 4 >= 1.5"', FULL)
    files["fingerprints/devices/bell.yaml"] = files.pop("fingerprints/devices/gate.yaml").replace("gate", "bell")
    files[CONFIG] = files[CONFIG].replace("to: gate", "to: bell")
    files = {name: text.replace("gate bell 4", "bell bell 4") for name, text in files.items()}
    files[PARISH] = files[PARISH].replace("[tower, gate]", "[tower, bell]")
    files[VIGIL] = files[VIGIL].replace("to: gate", "to: bell")
    assert parish(tmp_path, files).rules[0].whilst[1].device == "bell"


@pytest.mark.parametrize(
    ("file", "old", "new", "same"),
    [
        (MATINS, "shift: matins", "# a comment\nshift: matins", True),
        (MATINS, '"22:00"', '"21:00"', False),
        (MATINS, BERLIN, "Europe/Paris", False),
        (FEAST, "2026-12-06 06:00", "2026-12-06 05:00", False),
        (PARISH, "20/8h", "21/8h", False),
        (PARISH, "within 10s", "within 11s", False),
        (PARISH, "when: [matins, feast]", "when: [feast, matins]", False),
        (PARISH, "new bells", "old bells", False),
        (PARISH, "expect: allow", "expect: refuse", True),
        (VIGIL, "write 9", "write 99", True),
        (CONFIG, "watch: false", "watch: true", True),
        (CONFIG, "reload: true", "reload: false", True),
    ],
)
def test_digest(file: str, old: str, new: str, same: bool, tmp_path: Path) -> None:
    """Hours count, and all that a rule says; questions and how changes come into force do not."""
    one, other = site_of(tmp_path / "1"), site_of(tmp_path / "2", changed(file, old, new, FULL))
    assert (one.digest == other.digest) is same


MORE = {"fingerprints/devices/belle.yaml": SOUND[SEXTON].replace("sexton", "belle")}
LESS = {"fingerprints/devices/organ.yaml": SOUND[SEXTON].replace("sexton", "organ")}


@pytest.mark.parametrize(
    ("files", "same"),
    [
        (changed(PARISH, "surface: parish\n", "surface: parish\n# a line\n", FULL), False),
        (changed(PARISH, "write 7", "write 6", FULL), False),
        ({**FULL, **MORE}, False),  # "*e*" means it too
        ({**FULL, **LESS}, True),
        (changed(STAFF, ", warden]", "]", FULL), True),  # roles and hours are named, not copied
        (changed(MATINS, '"22:00"', '"21:00"', FULL), True),
        (changed(CONFIG, "watch: false", "watch: true", FULL), True),
        ({("policies/surfaces/0.yaml" if name == PARISH else name): text for name, text in FULL.items()}, False),
    ],
)
def test_mark(files: Files, same: bool, tmp_path: Path) -> None:
    """The same mark: the same surface, to the last line number. Another mark may yet mean the same."""
    one, other = parish(tmp_path / "1"), parish(tmp_path / "2", files)
    assert len(one.mark) == 64
    assert (one.mark == other.mark) is same
    assert not same or one == other


def test_two_patterns_do_not_share_a_mark(tmp_path: Path) -> None:
    """The text is the same, one pattern gains what the other loses."""
    both = changed(PARISH, 'to: "*e*"', 'to: ["a*", "b*"]', FULL)

    def mark(folder: str, name: str) -> str:
        device = {f"fingerprints/devices/{name}.yaml": SOUND[SEXTON].replace("sexton", name)}
        return parish(tmp_path / folder, {**both, **device}).mark

    assert mark("1", "abba") != mark("2", "baab")


def test_a_copy_has_its_certificates_and_records_at_home(tmp_path: Path) -> None:
    config = write(tmp_path / "copy", FULL)
    home = tmp_path / "home"
    site = load_site(config, {"bell": BELL}, home=home, now=NOW).site
    assert site is not None
    assert (site.folder, site.certs, site.state) == (home, home / "certs", home / "var")


def test_a_watch_that_was_short_enough_stays_so(tmp_path: Path) -> None:
    config = write(tmp_path, FULL)
    told = {ahead: load_site(config, {"bell": BELL}, now=NOW + ahead * DAY).problems for ahead in (0, 5, 8, 40)}
    assert [len(problems) for problems in told.values()] == [0, 0, 1, 3]
    assert all(problem.warning for problems in told.values() for problem in problems)


def test_now_is_now_unless_it_is_said(tmp_path: Path) -> None:
    config = write(tmp_path, changed(PARISH, '"2026-11-28T12:00:00Z"', '"2099-11-28T12:00:00Z"', FULL))
    assert load_site(config, {"bell": BELL}).site is None


def test_a_clock_that_was_never_set_does_not_stop_the_start(tmp_path: Path) -> None:
    """access.md 7: machines go on. That nobody can tell how long it is watched yet is told."""
    loaded = load_site(write(tmp_path, FULL), {"bell": BELL}, now=3600.0)
    assert loaded.site is not None
    told = [problem.wrong for problem in loaded.problems]
    assert told == [
        f"this machine's clock says 1970-01-01T01:00:00Z, so nobody knows how long {what} is watched yet"
        for what in ("the rule ring-more", "the never hush")
    ]
