"""What a device that is taken over can touch: on a plant of two lines, and on random small ones against an oracle."""

from __future__ import annotations

import json
import random
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.main import run
from proxy.policy.reach import Reach, Search, leaves, reach
from proxy.policy.way import Assumption
from tests.policy.reach_world import by_asking, words, world

LINES = Path(__file__).parent / "lines"
OTHER_CELLS = {f"{kind}-{cell}" for kind in ("plc", "sensor", "drive") for cell in "bcd"}
ENTERPRISE = {"uns", "erp", "historian"}


class Site:
    """A copy of the two lines, to change and to ask."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder / "site"
        shutil.copytree(LINES, self.folder)
        self._capsys = capsys
        self.code = 0

    def add(self, surface: str, rule: str, under: str = "rules:") -> None:
        """``rule`` with its lines, behind the line ``under``."""
        path = self.folder / f"policies/surfaces/{surface}.yaml"
        text = path.read_text()
        assert text.count(f"\n{under}\n") == 1
        path.write_text(text.replace(f"\n{under}\n", f"\n{under}\n{rule}\n"))

    def text(self, *words: str) -> str:
        self.code = run(["policy", "reach", "--config", str(self.folder / "bulkhead.yaml"), *words])
        return self._capsys.readouterr().out

    def ask(self, *words: str) -> dict[str, Any]:
        found = json.loads(self.text(*words, "-o", "json"))
        assert isinstance(found, dict)
        return found


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Site:
    return Site(tmp_path, capsys)


CARELESS = """\
  rebirth:
    from: ["sensor-*", "drive-*"]
    to: uns-1
    mqtt: { command: ["spBv1.0/line-1/NCMD/#"] }"""


def test_a_sensor_stays_in_its_line(site: Site) -> None:
    """Neither another cell nor the enterprise side: what it says is passed on to the panel of its own line."""
    found = site.ask("sensor-a")
    assert set(found["touched"]) == {"uns-1", "hmi-1"}
    assert found["changed"] == {}
    assert OTHER_CELLS | ENTERPRISE <= set(found["notReachable"])
    assert len(found["notReachable"]) == 17
    assert site.ask("sensor-a", "--within", "packing/hall-1/line-1") and site.code == 0


def test_one_careless_rule_opens_the_way(site: Site) -> None:
    """Sensors that may send commands command the panel, and the panel writes to every cell and speaks to the ERP."""
    site.add("line-1", CARELESS)
    found = site.ask("sensor-a")
    assert {"hmi-1", "plc-a", "plc-b", "drive-a", "drive-b"} == set(found["changed"])
    assert set(found["touched"]) >= ENTERPRISE
    path = found["changed"]["plc-b"]["path"]
    assert [(way["who"], way["through"], way["to"]) for way in path] == [
        ("sensor-a", "uns-1", "hmi-1"),
        ("hmi-1", None, "plc-b"),
    ]
    assert [(way["rule"], way["at"]) for way in path] == [
        ("line-1/rebirth", "policies/surfaces/line-1.yaml:6"),
        ("cell-b/setpoint", "policies/surfaces/cell-b.yaml:11"),
    ]
    assert path[0]["heardAt"] == "policies/surfaces/line-1.yaml:27"
    assert not any(name.endswith(("-c", "-d", "-2")) for name in found["touched"]), "the other line is out of reach"
    site.ask("sensor-a", "--within", "packing/hall-1/line-1")
    assert site.code == 1


def test_an_address_is_not_enough_for_the_careless_rule(site: Site) -> None:
    """A command needs the proof of a key; the attacker who has taken the sensor's address alone has none."""
    site.add("line-1", CARELESS)
    assert site.ask("sensor-a", "--evidence", "address")["changed"] == {}
    nothing = site.ask("sensor-a", "--evidence", "none")
    assert nothing["touched"] == {} and nothing["assumed"][0] == "sensor-a shows nothing; it poses as nobody else"
    assert site.ask("hmi-1", "--evidence", "address")["assumed"][0].startswith("hmi-1 shows nothing"), "it is not bound"


def test_contact_counts_where_asked(site: Site) -> None:
    """With --any the panel that listens to the sensor is a stepping stone, and says so."""
    found = site.ask("sensor-a", "--any")
    assert {"plc-a", "plc-b"} <= set(found["changed"])
    assert found["changed"]["plc-b"]["step"] == 2
    assert "once it can be touched" in " ".join(found["assumed"])


def test_depth_ends_the_search_and_says_so(site: Site) -> None:
    found = site.ask("sensor-a", "--any", "--depth", "1")
    assert set(found["touched"]) == {"uns-1", "hmi-1"}
    assert found["notLookedAt"] == ["uns-1", "hmi-1"]
    assert "not looked at, for --depth 1: what uns-1, hmi-1 may do in turn" in site.text(
        "sensor-a", "--any", "--depth", "1"
    )


def test_writes_alone(site: Site) -> None:
    found = site.ask("hmi-1", "--writes")
    assert set(found["touched"]) == set(found["changed"]) == {"plc-a", "plc-b", "drive-a", "drive-b"}
    assert all(way["changes"] for step in found["steps"] for way in step["may"])


def test_a_role_of_a_certificate_is_said_or_assumed(site: Site) -> None:
    """Which certificate has which role is not in the files: the answer names what it left out."""
    told = site.text("drive-a")
    assert "no certificate of another device has the role mbaps:Operator" in told
    assert "plc-a" not in site.ask("drive-a")["changed"]
    for cell in "abcd":
        assert f"plc-{cell}" in site.ask("drive-a+mbaps:Operator")["changed"]
        assert f"plc-{cell}" in site.ask("drive-a", "--any-role")["changed"]


def test_conditions_are_told(site: Site) -> None:
    (step,) = (step for step in site.ask("hmi-1")["steps"] if step["device"] == "hmi-1")
    setpoint = next(way for way in step["may"] if way["rule"] == "cell-a/setpoint")
    assert setpoint["conditions"] == ["needs x509", "at most 6 in 60 s"]
    assert setpoint["what"] == "write holding 40 in 0..1500"
    assert setpoint["listener"] == "cell-a"


def test_what_a_never_takes_away_is_not_there(site: Site) -> None:
    site.add("cell-a", "  shut: { to: plc-a, modbus: { write: [holding 0-999, coil 0-99] } }", under="never:")
    found = site.ask("hmi-1")
    assert "plc-a" not in found["changed"] and "plc-b" in found["changed"]


def test_what_two_nevers_leave_is_what_is_told(site: Site) -> None:
    """Of 60 to 69 one takes the first five, and of the setpoint two take all."""
    site.add("cell-a", "  low: { to: plc-a, modbus: { write: [holding 60-64, holding 0-40] } }", under="never:")
    (step,) = (step for step in site.ask("hmi-1")["steps"] if step["device"] == "hmi-1")
    changes = [way["what"] for way in step["may"] if way["to"] == "plc-a" and way["changes"]]
    assert changes == ["write holding 65-69 on unit 1"]
    site.add("cell-a", "  high: { to: plc-a, modbus: { write: [holding 65-69] } }", under="never:")
    assert "plc-a" not in site.ask("hmi-1")["changed"]


def test_hours_are_open_unless_a_time_is_given(site: Site) -> None:
    """The setpoint of cell d is for the early shift, and so is its recipe; its speed is not."""
    whats = {}
    for given in ((), ("--at", "2026-11-23T07:00:00+01:00"), ("--at", "2026-11-23T15:00:00+01:00")):
        (step,) = (step for step in site.ask("hmi-2", *given)["steps"] if step["device"] == "hmi-2")
        changes = [way for way in step["may"] if way["to"] == "plc-d" and way["changes"]]
        whats[given[1:]] = {way["rule"] for way in changes}
        hours = [one for way in changes for one in way["conditions"] if one.startswith("during early (mon-fri ")]
        assert len(hours) == len(whats[given[1:]] & {"cell-d/setpoint", "cell-d/recipe"})
    assert whats[()] == whats[("2026-11-23T07:00:00+01:00",)] == {"cell-d/setpoint", "cell-d/recipe", "cell-d/speed"}
    assert whats[("2026-11-23T15:00:00+01:00",)] == {"cell-d/speed"}
    (step,) = (step for step in site.ask("hmi-2")["steps"] if step["device"] == "hmi-2")
    setpoint = next(way for way in step["may"] if way["rule"] == "cell-d/setpoint")
    assert "while plc-d modbus holding 10" in " ".join(setpoint["conditions"])
    recipe = next(way for way in step["may"] if way["rule"] == "cell-d/recipe")
    assert "all together at most 20 in 8 h" in recipe["conditions"]


def test_what_is_in_monitor_counts_as_it_is_enforced(site: Site) -> None:
    """A monitored rule allows nothing; a surface in monitor lets everybody in who can show who he is."""
    (step,) = (step for step in site.ask("hmi-2")["steps"] if step["device"] == "hmi-2")
    assert "cell-c/recipe" in {way["rule"] for way in step["may"]}
    assert "cell-c/refill" not in {way["rule"] for way in step["may"]}
    file = site.folder / "policies/surfaces/cell-b.yaml"
    monitor = '{ until: "2026-01-01T00:00:00+00:00", why: "new cell", then: alarm }'
    file.write_text(file.read_text().replace("mode: enforce", f"mode: monitor\nmonitor: {monitor}"))
    found = site.ask("drive-d")
    way = found["changed"]["plc-b"]["path"][0]
    assert way["rule"] == "cell-b/monitor" and way["what"] == "anything that no never forbids"
    assert "in monitor: nothing but never is enforced" in way["conditions"]
    assert site.ask("drive-d", "--evidence", "none")["touched"] == {}


def test_places_are_counted(site: Site) -> None:
    sides = {side["place"]: side for side in site.ask("hmi-1")["places"]}
    enterprise = sides["packing/enterprise"]
    assert enterprise["leaves"] == "hall-1"
    assert enterprise["devices"] == enterprise["touched"] == ["erp", "historian", "uns"]
    assert sides["packing/hall-1/line-1/cell-a"]["leaves"] is None
    assert sides["packing/hall-1/line-2/cell-c"]["leaves"] == "line-1"


def test_a_broker_that_is_taken_over_commands_who_listens(site: Site) -> None:
    found = site.ask("uns-1")
    assert {"drive-a", "drive-b", "hmi-1"} <= set(found["changed"])
    assert "sensor-a" not in found["touched"], "it only ever speaks"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hmi-9"], "no device 'hmi-9'; did you mean"),
        (["hmi-1+Operator"], "'Operator' is no role of a certificate"),
        (["hmi-1", "--evidence", "x500"], "'x500' is none of x509, opcua_uri, inside, mac_ip, address, none"),
        (["hmi-1", "--within", "packing/hall-9"], "no device is at 'packing/hall-9'; there are packing/enterprise, "),
        (["hmi-1", "--at", "noon"], "is no time with an offset"),
        (["hmi-1", "--at", "2026-12-01T06:00:00"], "is no time with an offset"),
    ],
)
def test_wrong_questions(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert run(["policy", "reach", "--config", str(LINES / "bulkhead.yaml"), *words]) == 2
    assert said in capsys.readouterr().err


def test_leaves() -> None:
    assert leaves("s/h/l/c", "s/h/l/c") == ""
    assert leaves("s/h/l/c", "s/h/l/d") == "c"
    assert leaves("s/h/l/c", "s/office") == "h"
    assert leaves("s/h", "s/h/l/c") == ""
    assert leaves("", "s/h") == ""


# ---- the picture ----

SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_is_sound_and_complete(site: Site) -> None:
    site.add("line-1", CARELESS)
    drawn = ET.fromstring(site.text("sensor-a", "-o", "svg"))
    found = site.ask("sensor-a")
    words = " ".join("".join(one.itertext()) for one in drawn.iter(f"{SVG}text"))
    for name in (*found["touched"], "sensor-a", "packing/enterprise", "cell-b", "policies/surfaces/line-1.yaml:6"):
        assert name in words
    arrows = [path.get("class") for path in drawn.iter(f"{SVG}path") if path.get("marker-end")]
    assert arrows.count("change") >= len(found["changed"])
    styles = "".join(drawn.find(f"{SVG}style").itertext())  # type: ignore[union-attr]
    assert "stroke-dasharray: 6 4" in styles and "stroke-width: 3 " in styles, "kinds differ without colour"


def test_the_picture_escapes_what_the_files_say(site: Site) -> None:
    evil = """\
  odd:
    from: hmi-1
    to: uns-1
    mqtt: { publish: ["packing/hall-1/line-1/<script>&'/x"] }"""
    site.add("line-1", evil)
    site.add("line-1", '  ear: { from: drive-a, to: uns-1, mqtt: { receive: ["packing/#"] } }')
    text = site.text("hmi-1", "-o", "svg")
    assert "<script>" not in text and "&lt;script&gt;&amp;" in text
    ET.fromstring(text)


def test_the_picture_goes_into_a_file(site: Site, tmp_path: Path) -> None:
    assert site.text("hmi-1", "-o", "svg", "--out", str(tmp_path / "reach.svg")) == ""
    assert ET.parse(tmp_path / "reach.svg").getroot().get("width") == "1200"
    assert run(["policy", "reach", "--config", str(LINES / "bulkhead.yaml"), "hmi-1", "--out", str(tmp_path)]) in (2, 3)


# ---- the oracle ----

SEARCHES = (Search(), Search(any_contact=True), Search(writes=True))


@pytest.mark.grows("properties")
def test_reach_is_what_asking_about_every_message_finds(request: pytest.FixtureRequest) -> None:
    """On random small sites, with the identities that the real identifier makes of their connections."""
    campaigns = request.getfixturevalue("campaigns")
    some, none = 0, 0
    for seed in range(campaigns.count("properties", push=30, full=500)):
        found = world(random.Random(seed))
        for start in found.plan.devices:
            for search in SEARCHES:
                expected = by_asking(found, start, search)
                got = reach(found.plan, start, Assumption(), search, words(found.plan))
                assert set(got.touched) == expected.touched, (seed, start, search)
                assert set(got.changed) == expected.changed, (seed, start, search)
                _check_paths(got)
                some += len(expected.changed)
                none += len(got.unreached)
    assert some > 30 and none > 30, "the sites say something"


def _check_paths(found: Reach) -> None:
    """Each way begins at the first device, and goes on where the one before ended."""
    for arrival in (*found.touched.values(), *found.changed.values()):
        path = found.path(arrival)
        assert len(path) == arrival.step
        assert path[0].who == found.start
        assert all(one.to == other.who for one, other in zip(path, path[1:], strict=False))
