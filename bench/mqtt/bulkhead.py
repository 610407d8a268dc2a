"""Bulkhead in front of the broker: `bulkhead run` on a site of its own, mutual TLS on both sides."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from bench.certificates import BROKER, CLIENT, FLOODER, SITE, TO_BROKER
from bench.environment import free_port
from bench.peers.base import LINKS
from bench.processes import start

if TYPE_CHECKING:
    from pathlib import Path

    from bench.mqtt.peers import Setting
    from bench.processes import Running

GATEWAY = """\
site: {site}
admin: {{ bind: "127.0.0.1:{admin}" }}
listeners:
  bench-mqtt:
    bind: "127.0.0.1:{port}"
    protocol: mqtt
    to: uns
    tls: {{ clients: required }}
limits: {{ links: {links}, handshakes: 256, links_per_source: {links}, links_per_identity: {links} }}
"""
UNS = """\
device: uns
kind: server
place: {site}/server-room
address: 127.0.0.1
services:
  mqtt:
    port: {port}
    tls: {{ ca: site-ca, certificate: {own}, name: {name} }}
"""
SENSOR = """\
device: {name}
kind: sensor
place: {site}/hall-1
identity:
  x509: {{ uri: "spiffe://{site}/device/{name}" }}
  require: [x509]
"""
SURFACE = """\
surface: uns
members: [uns]
mode: enforce
rules:
  telemetry:
    from: {client}
    to: uns
    needs: [x509]
    mqtt: {{ publish: ["bench/#", "honest/#", "check/#"], qos: 1, max_bytes: 64KiB }}
  flood:
    from: {flooder}
    to: uns
    needs: [x509]
    mqtt: {{ publish: ["flood/#"], qos: 1 }}
"""


class MqttBulkhead:
    name = "bulkhead"
    title = "Bulkhead"
    inspects = True

    def missing(self) -> str | None:
        if importlib.util.find_spec("proxy") and importlib.util.find_spec("proxy.cli"):
            return None
        return "bulkhead is not installed in this environment (run it through ./run bench)"

    def start(self, setting: Setting) -> Running:
        port = free_port()
        configuration = self.write_site(setting, port)
        command = [sys.executable, "-m", "proxy", "run", "--config", configuration]
        return start(self.name, command, port=port, core=setting.core, log=setting.folder / "log")

    def write_site(self, setting: Setting, port: int) -> Path:
        folder = setting.folder
        files = {
            "bulkhead.yaml": GATEWAY.format(site=SITE, admin=free_port(), port=port, links=LINKS),
            "fingerprints/devices/uns.yaml": UNS.format(
                site=SITE, port=setting.broker.tls, own=TO_BROKER, name=BROKER
            ),
            **{
                f"fingerprints/devices/{name}.yaml": SENSOR.format(site=SITE, name=name)
                for name in (CLIENT, FLOODER)
            },
            "policies/surfaces/uns.yaml": SURFACE.format(client=CLIENT, flooder=FLOODER),
        }  # fmt: skip
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (folder / "certs").symlink_to(setting.certificates.folder)
        return folder / "bulkhead.yaml"
