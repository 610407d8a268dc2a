"""A small sound site of bells, and ways to write it, change it and load it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from proxy.site import Loaded, load_site
from tests.site.bell import BELL

Files = dict[str, str]

CONFIG = "bulkhead.yaml"
TOWER = "fingerprints/devices/tower.yaml"
SEXTON = "fingerprints/devices/sexton.yaml"
WARDEN = "fingerprints/devices/warden.yaml"
STAFF = "policies/roles/staff.yaml"
PARISH = "policies/surfaces/parish.yaml"
GATE = "fingerprints/devices/gate.yaml"
MATINS = "policies/shifts/matins.yaml"
FEAST = "policies/windows/feast.yaml"
VIGIL = "policies/tests/vigil.yaml"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
"""When all these sites are read."""

SOUND: Mapping[str, str] = {
    CONFIG: """\
---
site: village
listeners:
  door:
    bind: "10.0.0.1:7701"
    protocol: bell
    to: tower
    tls: { clients: required }
...
""",
    TOWER: """\
---
device: tower
kind: belfry
address: 10.0.0.9
services:
  bell: { port: 7700, tone: g }
...
""",
    SEXTON: """\
---
device: sexton
kind: person
identity:
  require: [x509]
...
""",
    WARDEN: """\
---
device: warden
kind: person
address: 10.0.0.8
identity:
  mac_ip: { mac: "00:0e:8c:aa:bb:01" }
...
""",
    STAFF: """\
---
role: staff
members: [sexton, warden]
...
""",
    PARISH: """\
---
surface: parish
members: [tower]
rules:
  hours:
    from: role:staff
    to: tower
    bell: { listen: [1, 2] }
  alarm:
    from: sexton
    to: tower
    needs: [x509]
    rate: 6/min
    bell: { write: [7] }
never:
  silence: { to: tower, bell: { write: [9] } }
tests:
  - { who: sexton, to: tower, bell: write 7, expect: allow, because: alarm }
...
""",
}

FULL: Mapping[str, str] = {
    **SOUND,
    CONFIG: """\
---
site: village
admin: { bind: "127.0.0.1:9464", reload: true }
policy: { require_ack: false, watch: false }
listeners:
  door:
    bind: "10.0.0.1:7701"
    protocol: bell
    to: tower
  gate: { bind: "10.0.0.1:7702", protocol: bell, to: gate }
...
""",
    GATE: """\
---
device: gate
kind: belfry
address: 10.0.0.10
services:
  bell: { port: 7700 }
...
""",
    MATINS: """\
---
shift: matins
zone: Europe/Berlin
days: [mon, tue, wed, thu, fri]
from: "22:00"
to: "06:00"
except: ["2026-12-24", "2026-12-25"]
extra: "2026-12-05"
...
""",
    FEAST: """\
---
window: feast
zone: Europe/Berlin
open: "2026-12-05 22:00"
close: "2026-12-06 06:00"
...
""",
    PARISH: """\
---
surface: parish
members: [tower, gate]
needs: [x509]
rules:
  ring:
    from: sexton
    to: tower
    rate: 6/min
    budget: 20/8h
    when: [matins, feast]
    while: ["bell 3 == 0 within 10s", "gate bell 4 >= 1.5"]
    bell: { write: [7] }
  ring-more:
    from: role:staff
    to: tower
    needs: [mac_ip]
    when: matins
    mode: monitor
    monitor: { until: "2026-12-01T06:00:00+01:00", why: "new bells", then: enforce }
    replaces: ring
    bell: { write: [7, 8] }
never:
  silence: { to: tower, bell: { write: [9] } }
  hush:
    from: warden
    to: "*e*"
    mode: monitor
    monitor: { until: "2026-11-28T12:00:00Z", why: "who still does", then: alarm }
    bell: { write: [7] }
tests:
  - who: sexton
    to: tower
    bell: write 7
    at: "2026-11-23T23:00:00+01:00"
    evidence: [x509]
    state: { bell 3: 0, gate bell 4: 2.5 }
    expect: allow
    because: ring
...
""",
    VIGIL: """\
---
test: vigil
cases:
  - { who: sexton, to: tower, bell: write 9, expect: refuse, because: parish/silence }
  - { who: sexton, to: gate, bell: write 7, evidence: [], expect: refuse, because: default }
...
""",
}
"""A site in which every key of the policy's language stands."""


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write the files under `folder`; returns the config's path."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / CONFIG


def load(folder: Path, files: Mapping[str, str | bytes], environ: Mapping[str, str] | None = None) -> Loaded:
    return load_site(write(folder, files), {"bell": BELL}, environ or {}, now=NOW)


def changed(file: str, old: str, new: str, base: Mapping[str, str] = SOUND) -> Files:
    """The sound site, or another, with one place changed."""
    text = base[file]
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
    return {**base, file: text.replace(old, new)}


def lines(loaded: Loaded) -> list[str]:
    return [str(problem) for problem in loaded.problems]
