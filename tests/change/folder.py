"""A site that fits in one look."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "bulkhead.yaml": """
site: works
admin: { bind: "127.0.0.1:9464" }
listeners:
  door: { bind: "127.0.0.1:8502", protocol: modbus, to: plc }
""",
    "fingerprints/devices/plc.yaml": """
device: plc
kind: plc
address: 127.0.0.9
services: { modbus: { port: 502, units: [1] } }
""",
    "fingerprints/devices/hmi.yaml": """
device: hmi
kind: workstation
address: 127.0.0.1
identity: { unsafe_address_only: true }
""",
    "policies/surfaces/cell.yaml": """
surface: cell
members: [plc]
rules:
  look: { from: hmi, to: plc, modbus: { read: [holding 0-9] } }
""",
}


def write_site(folder: Path) -> Path:
    """The path of its config."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip())
    return folder / "bulkhead.yaml"
