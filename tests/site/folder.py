"""A small sound site of bells, and ways to write it, change it and load it."""

from __future__ import annotations

from collections.abc import Mapping
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


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write the files under `folder`; returns the config's path."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / CONFIG


def load(folder: Path, files: Mapping[str, str | bytes], environ: Mapping[str, str] | None = None) -> Loaded:
    return load_site(write(folder, files), {"bell": BELL}, environ or {})


def changed(file: str, old: str, new: str) -> Files:
    """The sound site with one place changed."""
    text = SOUND[file]
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
    return {**SOUND, file: text.replace(old, new)}


def lines(loaded: Loaded) -> list[str]:
    return [str(problem) for problem in loaded.problems]
