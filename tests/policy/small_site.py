"""A site of two surfaces, written to a folder: one PLC with its masters, one broker with its sensors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from proxy.cli.site import protocols
from proxy.site import Site, load_site

CELL = """\
surface: cell-3
members: [plc-3a]
rules:
  counters:
    from: "role:masters"
    to: plc-3a
    modbus: { read: [holding 0-99] }
  setpoint:                         # bottles a minute
    from: scada
    to: plc-3a
    modbus: { write: { holding 40: { min: 0, max: 1500 } } }
    rate: 6/min
  valves:
    from: "mbaps:Operator"
    to: plc-3a
    modbus: { write: { coil 0-7: {} } }
never:
  no-safety-writes: { to: plc-3a, modbus: { write: [holding 900-999] } }
"""
UNS = """\
surface: uns
members: [uns]
rules:
  telemetry:
    from: "sensor-3-*"
    to: uns
    mqtt: { publish: ["{place}/{device}/#"] }
"""
CONFIG = """\
site: bottling
admin: { bind: "127.0.0.1:9464" }
listeners:
  cell-3: { bind: "0.0.0.0:802", protocol: modbus, to: plc-3a, tls: { clients: required } }
  uns: { bind: "0.0.0.0:8883", protocol: mqtt, to: uns, tls: { clients: required } }
"""
_DEVICES = {
    "plc-3a": "kind: plc\naddress: 10.3.0.11\nservices: { modbus: { port: 502 } }",
    "uns": "kind: broker\naddress: 10.3.0.12\nservices: { mqtt: { port: 1883 } }",
    **dict.fromkeys(("scada", "mes", "historian"), "kind: server\nidentity: { require: [x509] }"),
    **dict.fromkeys(
        ("sensor-3-1", "sensor-3-2", "sensor-3-3"),
        "kind: sensor\nplace: hall-1/line-2\nidentity: { require: [x509] }",
    ),
}


def write_site(folder: Path, files: Mapping[str, str] | None = None) -> Path:
    """The config file. ``files`` replace or add some, by their path; an empty text takes one away."""
    whole = {
        "bulkhead.yaml": CONFIG,
        "policies/surfaces/cell-3.yaml": CELL,
        "policies/surfaces/uns.yaml": UNS,
        "policies/roles/masters.yaml": "role: masters\nmembers: [scada, mes]\n",
        **{f"fingerprints/devices/{name}.yaml": f"device: {name}\n{body}\n" for name, body in _DEVICES.items()},
        **(files or {}),
    }
    for name, text in whole.items():
        if text:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return folder / "bulkhead.yaml"


def load(config: Path) -> Site:
    loaded = load_site(config, protocols(), os.environ)
    assert loaded.site is not None, "\n".join(map(str, loaded.problems))
    return loaded.site
