"""A cell that nobody knows: watched by a real gateway, learnt from, and enforced by what was learnt."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.demo_site import CELL, bulkhead, copy_demo
from tests.support.master import read, refusal, write
from tests.support.mbaps import ask, connect
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
    assert sorted(path.name for path in surfaces.iterdir()) == ["cell-3.yaml", "uns.yaml"]
    checked = bulkhead(plant, "check")
    assert checked.returncode == 0, checked.stdout
    with running(plant):
        for who, asked in wanted.items():
            assert not any(map(refused, asked, speak(plant, who, *asked)))
        for who, one in (("scada", write(40, 700)), ("scada", read(20)), ("engineer", read(59)), ("mes", read(60))):
            assert speak(plant, who, one) == [refusal(one)], (who, one)
