"""Bulkhead itself: `bulkhead run` on a site of its own, with mutual TLS, inspection, policy and records.

Twice: with PLC connections that all masters share, and with one PLC connection per master.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from bench.certificates import CLIENT, SITE
from bench.environment import free_port
from bench.peers.base import LINKS, READABLE, WRITABLE, Setting
from bench.processes import start

if TYPE_CHECKING:
    from pathlib import Path

    from bench.processes import Running

# The simulated PLC takes whatever comes: with fewer slots than masters, requests wait in Bulkhead for a turn.
PIPELINE = 64
CONNECTIONS = 2
GATEWAY = """\
site: {site}
admin: {{ bind: "127.0.0.1:{admin}" }}
listeners:
  bench-modbus:
    bind: "127.0.0.1:{port}"
    protocol: modbus
    to: plc-1
    tls: {{ clients: required }}
limits: {{ links: {links}, handshakes: 256, links_per_source: {links}, links_per_identity: {links} }}
"""
PLC = """\
device: plc-1
kind: plc
place: {site}/hall-1
address: 127.0.0.1
services:
  modbus:
    port: {port}
    units: [1]
    connections: {connections}
    pipeline: {pipeline}
    shared: {shared}
    timeout: 10s                       # a busy machine must not end a run with "no answer"
"""
MASTER = """\
device: {client}
kind: server
place: {site}/control-room
identity:
  x509: {{ uri: "spiffe://{site}/device/{client}" }}
  require: [x509]
"""
SURFACE = """\
surface: hall-1
members: [plc-1]
mode: enforce
rules:
  counters:
    from: {client}
    to: plc-1
    modbus: {{ read: [{readable}] }}
  setpoints:
    from: {client}
    to: plc-1
    needs: [x509]
    modbus: {{ write: [{writable}] }}
"""


class Bulkhead:
    inspects = True

    def __init__(self, *, shared: bool) -> None:
        self.shared = shared
        self.name = "bulkhead" if shared else "bulkhead-1to1"
        self.title = "Bulkhead, shared" if shared else "Bulkhead, one to one"

    def missing(self) -> str | None:
        if importlib.util.find_spec("proxy") and importlib.util.find_spec("proxy.cli"):
            return None
        return "bulkhead is not installed in this environment (run it through ./run bench)"

    def start(self, setting: Setting) -> Running:
        port = free_port()
        configuration = self.write_site(setting, port)
        command = [sys.executable, "-m", "proxy", "run", "--config", configuration]
        log = setting.folder / "log"
        return start(self.name, command, port=port, core=setting.core, log=log)

    def write_site(self, setting: Setting, port: int) -> Path:
        folder = setting.folder
        files = {
            "bulkhead.yaml": GATEWAY.format(site=SITE, admin=free_port(), port=port, links=LINKS),
            "fingerprints/devices/plc-1.yaml": PLC.format(
                site=SITE, port=setting.plc_port, connections=CONNECTIONS, pipeline=PIPELINE,
                shared="true" if self.shared else "false",
            ),
            f"fingerprints/devices/{CLIENT}.yaml": MASTER.format(site=SITE, client=CLIENT),
            "policies/surfaces/hall-1.yaml": SURFACE.format(
                client=CLIENT, readable=as_ranges(READABLE), writable=as_ranges(WRITABLE)
            ),
        }  # fmt: skip
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (folder / "certs").symlink_to(setting.certificates.folder)
        return folder / "bulkhead.yaml"


def as_ranges(ranges: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"holding {first}-{last}" for first, last in ranges)
