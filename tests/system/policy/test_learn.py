"""A cell that nobody knows: watched by a real gateway, learnt from, and enforced by what was learnt."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.demo_site import CELL, bulkhead, copy_demo, edit
from tests.support.master import read, refusal, write
from tests.support.mbaps import ask, connect
from tests.support.mosquitto import running_mosquitto
from tests.support.mqtt import V5
from tests.support.mqtt_client import MqttClient
from tests.support.process import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.plant import Plant
    from tests.support.plc import RecordingPlc

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
UNTIL = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7 * 86400))
WATCHED = f"""\
---
surface: cell-3
members: [plc-3a]
mode: monitor
monitor: {{ until: "{UNTIL}", why: nobody knows what it needs, then: alarm }}
rules: {{}}
never:
  no-safety-writes: {{ to: plc-3a, modbus: {{ write: [holding 900-999] }} }}
...
"""


def speak(plant: Plant, who: str, *asked: bytes) -> list[bytes | None]:
    with connect(plant.ports["cell-3-modbus"], plant.keys.issue(who).trusting(plant.keys.ca)) as link:
        return [ask(link, one) for one in asked]


def refused(asked: bytes, answer: bytes | None) -> bool:
    return answer == refusal(asked)


def test_from_traffic_to_rules(recorder: RecordingPlc, tmp_path: Path) -> None:
    plant = copy_demo(tmp_path / "site", recorder.port)
    surfaces = plant.folder / "policies" / "surfaces"
    (plant.folder / CELL).write_text(WATCHED)
    (plant.folder / "policies" / "tests").mkdir(exist_ok=True)
    for file in (plant.folder / "policies" / "tests").glob("*.yaml"):
        file.unlink()  # of rules that are not there yet
    wanted = {"scada": [read(0, 10), read(10, 10)], "mes": [read(0, 20)], "engineer": [read(60, 2)]}
    with running(plant) as gateway:
        for who, asked in wanted.items():
            assert not any(map(refused, asked, speak(plant, who, *asked)))
        assert speak(plant, "scada", write(40, 700), write(40, 1450)) == [write(40, 700), write(40, 1450)]
        assert speak(plant, "scada", write(900, 1)) == [refusal(write(900, 1))], "a never holds in monitor too"
        assert gateway.stop() == 0

    proposal = plant.folder / "proposal.yaml"
    done = bulkhead(plant, "policy", "learn", "--out", str(proposal))
    assert done.returncode == 0, done.stderr
    text = proposal.read_text()
    rules = yaml.safe_load(text)["rules"]
    assert {name: (rule["from"], rule["modbus"]) for name, rule in rules.items()} == {
        "engineer-read": ("engineer", {"units": [1], "read": ["holding 60-61"]}),
        "masters-read": ("role:masters", {"units": [1], "read": ["holding 0-19"]}),
    }
    assert "  #   modbus: { units: [1], write: { holding 40: { min: 700, max: 1450 } } }" in text
    assert "900" not in text

    # Taken over as it is, and enforced: the looks that were learnt go on, and whatever acts ends.
    body = re.sub(r"mode: monitor\nmonitor: .*\n", "mode: enforce\n", text).replace("cell-3-learnt", "cell-3")
    (plant.folder / CELL).write_text(body)
    assert sorted(path.name for path in surfaces.iterdir()) == ["cell-3.yaml", "robot.yaml", "uns.yaml"]
    checked = bulkhead(plant, "check")
    assert checked.returncode == 0, checked.stdout
    with running(plant):
        for who, asked in wanted.items():
            assert not any(map(refused, asked, speak(plant, who, *asked)))
        for who, one in (("scada", write(40, 700)), ("scada", read(20)), ("engineer", read(59)), ("mes", read(60))):
            assert speak(plant, who, one) == [refusal(one)], (who, one)


WATCHED_UNS = f"""\
---
surface: uns
members: [uns]
mode: monitor
monitor: {{ until: "{UNTIL}", why: nobody knows what it needs, then: alarm }}
rules: {{}}
...
"""
LINE = "bottling/hall-1/line-2"


def test_from_topics_to_rules(recorder: RecordingPlc, tmp_path: Path) -> None:
    with running_mosquitto(tmp_path) as broker:
        plant = copy_demo(tmp_path / "site", recorder.port)
        edit(plant.folder / "fingerprints/devices/uns.yaml", r"\bport: \d+", f"port: {broker.port}")
        (plant.folder / "policies/surfaces/uns.yaml").write_text(WATCHED_UNS)
        with running(plant) as gateway:
            keys = {
                name: plant.keys.issue(name).trusting(plant.keys.ca) for name in ("mes", "sensor-3-1", "sensor-3-2")
            }
            with MqttClient(plant.ports["uns"], V5, tls=keys["mes"]) as mes:
                mes.opened("mes")
                assert mes.subscribed(("#", 0), (f"{LINE}/#", 1)) == (0, 1)
                for name in ("sensor-3-1", "sensor-3-2"):
                    with MqttClient(plant.ports["uns"], V5, tls=keys[name]) as sensor:
                        sensor.opened(name)
                        sensor.published(f"{LINE}/cell-3/{name}/temperature", b"21.5")
                    assert mes.takes().payload == b"21.5"
            assert gateway.stop() == 0
        done = bulkhead(plant, "policy", "learn", "--surface", "uns")
    assert done.returncode == 0, done.stderr
    rules = yaml.safe_load(done.stdout)["rules"]
    assert rules["mes-subscribe"]["mqtt"] == {
        "connect": {"client_id": ["{device}"]},
        "subscribe": [f"{LINE}/#"],
        "qos": 1,
    }
    assert '"#"' not in done.stdout and "subscribe # is left out" in done.stdout
    assert 'publish: ["{place}/{device}/temperature"], max_bytes: 4 }' in done.stdout
    assert "publish" not in str(rules)
    (plant.folder / "policies/surfaces/uns-learnt.yaml").write_text(done.stdout)
    assert bulkhead(plant, "check").returncode == 0
