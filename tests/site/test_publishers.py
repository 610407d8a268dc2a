"""``publishers:`` of `bulkhead.yaml`: what a sound one becomes, and each mistake with its line and its mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.cli.site import protocols
from proxy.site import load_site

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.site import Loaded

PUBLISHER = """\
publishers:
  line:
    from: robot-7
    to: uns
    as: gateway-1
    format: json
    every: 500ms
    nodes:
      speed: "nsu=urn:robot:7;s=Speed"
      axis/1: "nsu=urn:robot:7;i=1001"
"""
FILES = {
    "bulkhead.yaml": """\
site: bottling
listeners:
  uns: { bind: "127.0.0.1:18830", protocol: mqtt, to: uns }
""",
    "fingerprints/devices/robot-7.yaml": """\
device: robot-7
kind: robot
place: bottling/cell-3
address: 10.3.0.7
services: { opcua: { port: 4840 } }
""",
    "fingerprints/devices/robot-8.yaml": """\
device: robot-8
kind: robot
address: 10.3.0.8
services: { opcua: { port: 4840 } }
""",
    "fingerprints/devices/uns.yaml": """\
device: uns
kind: broker
address: 10.3.0.1
services: { mqtt: { port: 1883 } }
""",
    "fingerprints/devices/gateway-1.yaml": "device: gateway-1\nkind: gateway\n",
    "fingerprints/devices/stop.yaml": "device: stop\nkind: plc\nsafety: true\n",
    "policies/surfaces/cell.yaml": """\
surface: cell
members: [uns, robot-7, robot-8]
rules:
  look: { from: gateway-1, to: robot-7, needs: [inside], opcua: { read: ["i=2255"] } }
""",
}


def loaded(folder: Path, publishers: str = PUBLISHER, more: dict[str, str] | None = None) -> Loaded:
    files = {**FILES, **(more or {})}
    files["bulkhead.yaml"] += publishers
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return load_site(folder / "bulkhead.yaml", protocols())


def test_a_sound_one(tmp_path: Path) -> None:
    site = loaded(tmp_path).site
    assert site is not None
    (one,) = site.publishers
    assert (one.name, one.source.id, one.sink.id, one.speaker.id) == ("line", "robot-7", "uns", "gateway-1")
    assert (one.format, one.every, one.backlog) == ("json", 0.5, 10_000)
    assert dict(one.nodes) == {"speed": "nsu=urn:robot:7;s=Speed", "axis/1": "nsu=urn:robot:7;i=1001"}
    assert one.origin.line == 5


def test_the_one_gateway_speaks_unless_somebody_is_named(tmp_path: Path) -> None:
    site = loaded(tmp_path, PUBLISHER.replace("    as: gateway-1\n", "").replace("    format: json\n", "")).site
    assert site is not None
    (one,) = site.publishers
    assert (one.speaker.id, one.format) == ("gateway-1", "sparkplug")


MISTAKES = {
    "from: robot-7|from: robot-9": "line.from: there is no device robot-9; did you mean robot-",
    "from: robot-7|from: uns": "line.from: uns has no service opcua; add 'services: { opcua: { port: ... } }' to ",
    "from: robot-7|from: robot-8": "line.from: robot-8 has no place, and the topics are made of it; add for",
    "from: robot-7|from: stop": "line.from: stop is a safety function (fingerprints/devices/stop.yaml); safety",
    "to: uns|to: robot-7": "line.to: robot-7 has no service mqtt; add ",
    "as: gateway-1|as: gateway": "line.as: there is no device gateway; did you mean gateway-1?",
    "as: gateway-1|as:": "line.as: the value is empty; write ",
    "format: json|format: xml": "line.format: 'xml' is not known here; one of sparkplug, json",
    "every: 500ms|every: 10ms": "line.every: '10ms' is not between 50ms and 1h; write for example 500ms",
    "every: 500ms|often: 500ms": "line.often: unknown key 'often'; known here: from, to, as, format, every, nodes, b",
    "axis/1|axis 1": "line.nodes.axis 1: 'axis 1' is not the name of a value; use letters, digits and . _ - with",
    "axis/1|uplink/a": "line.nodes.uplink/a: 'uplink/a' is below uplink, where publishers say whether they are there",
    "axis/1|SPEED": "line.nodes.SPEED: SPEED and speed differ in case alone; give one of them another name",
    "i=1001|i=x": "line.nodes.axis/1: i=x is no number 0..4294967295; write it in decimal, as i=2258",
    "nsu=urn:robot:7;s=Speed|ns=2;s=Speed": "line.nodes.speed: 'ns=2;s=Speed' has a namespace index, which each server",
}


@pytest.mark.parametrize("change", MISTAKES)
def test_a_mistake_is_told_with_its_place_and_its_mend(change: str, tmp_path: Path) -> None:
    old, _, new = change.partition("|")
    assert PUBLISHER.count(old) == 1
    found = loaded(tmp_path, PUBLISHER.replace(old, new))
    assert found.site is None
    (problem,) = [str(one) for one in found.problems if not one.warning]
    assert f"publishers.{MISTAKES[change]}" in problem
    assert problem.startswith("bulkhead.yaml:")


def test_no_node_and_no_speaker(tmp_path: Path) -> None:
    text = PUBLISHER[: PUBLISHER.index("    nodes:")] + "    nodes: {}\n"
    more = {"fingerprints/devices/gateway-2.yaml": "device: gateway-2\nkind: gateway\n"}
    found = loaded(tmp_path, text.replace("    as: gateway-1\n", ""), more)
    told = [str(one) for one in found.problems if not one.warning]
    assert any("no node: nothing would be published" in one for one in told)
    assert any("as is missing, and no device or more than one is of kind gateway" in one for one in told)
