"""A site whose one device behind the gateway is an MQTT broker, and the machines that speak to it.

`tests.support.plant` with a broker in the place of the PLC. Topics say what policy thinks of them: ``ok/`` everything,
``no/`` nothing, ``mute/`` no retained messages, ``wipe/`` nothing but the deletion of retained ones; ``ok/secret/`` may
be published and never be delivered. What is below a machine's own place and name it may retain and not delete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.keys import SITE, Keys
from tests.support.net import LOCAL, free_port
from tests.support.plant import Plant

UNS = "uns"
TLS, PLAIN, FALSE_ACK, CUT = "tls", "plain", "plain-ack", "plain-cut"
"""Listeners: mutual TLS; in the clear; in the clear with ``deny_style`` ack-and-drop; and with disconnect."""
PLACE = "hall-1/line-2"
DESK, OLD = "desk", "old"
"""Known by address alone: 127.0.0.1, where unchanged clients come from, and ``OLD_AT``."""
OLD_AT = "127.0.0.31"

_LISTENERS = {
    TLS: "tls: { clients: required }",
    PLAIN: "",
    FALSE_ACK: "deny_style: ack-and-drop",
    CUT: "deny_style: disconnect",
}
RULES = """\
  open:
    from: ["role:machines"]
    to: uns
    mqtt:
      will: ["ok/#", "mute/#"]
      publish: ["ok/#", "mute/#"]
      retain: ["ok/#"]
      clear-retained: ["ok/#", "wipe/#"]
      subscribe: ["ok/#", "mute/#"]
      share: ["$share/workers/ok/#"]
      reply-to: ["ok/#"]
  own:
    from: ["role:machines"]
    to: uns
    mqtt: { will: ["{place}/{device}/#"], publish: ["{place}/{device}/#"], retain: ["{place}/{device}/#"] }
  narrow:
    from: ["role:machines"]
    to: uns
    mqtt: { publish: ["narrow/#"], subscribe: ["narrow/#"], will: ["narrow/#"], qos: 1, max_bytes: 100 }
  orders:
    from: scada
    to: uns
    mqtt: { command: ["spBv1.0/line-2/NCMD/edge-1"] }
never:
  secret: { to: uns, mqtt: { receive: ["ok/secret/#"] } }
"""
ALLOW_ALL = """\
  all:
    from: ["role:machines"]
    to: uns
    mqtt:
      connect: { client_id: ["*"] }
      will: ["#"]
      publish: ["#"]
      retain: ["#"]
      clear-retained: ["#"]
      subscribe: ["#", "$SYS/#"]
      share: ["$share/*/#"]
      reply-to: ["#"]
"""


def upstream_id(device: str, client_id: str) -> str:
    """What the broker calls a session: two devices can never have the same one (T11)."""
    return device if client_id == device else f"{device}:{client_id}"


@dataclass
class UnsBuilder:
    """``service`` and ``limits`` are YAML in one line. The broker's address and port are where the tap is."""

    folder: Path
    broker_port: int
    broker_host: str = "127.0.0.9"
    service: str = ""
    limits: str = ""
    listeners: tuple[str, ...] = (TLS, PLAIN)
    machines: tuple[str, ...] = ("scada", "sensor-1", "sensor-2")
    rules: str = RULES
    more_devices: Mapping[str, str] = field(default_factory=dict)

    def build(self) -> Plant:
        ports = {name: free_port() for name in self.listeners}
        admin = free_port()
        self._write("bulkhead.yaml", self._config(ports, admin))
        self._write(f"policies/surfaces/{UNS}.yaml", f"surface: {UNS}\nmembers: [{UNS}]\nrules:\n{self.rules}")
        members = ", ".join((*self.machines, DESK, OLD))
        self._write("policies/roles/machines.yaml", f"role: machines\nmembers: [{members}]\n")
        for name, body in self._devices().items():
            self._write(f"fingerprints/devices/{name}.yaml", f"device: {name}\n{body}\n")
        keys = Keys(self.folder / "certs")
        for machine in self.machines:
            keys.issue(machine)
        return Plant(self.folder, keys, ports, admin)

    def _config(self, ports: Mapping[str, int], admin: int) -> str:
        lines = [f"site: {SITE}", f'admin: {{ bind: "{LOCAL}:{admin}" }}']
        if self.limits:
            lines.append(f"limits: {{ {self.limits} }}")
        lines.append("listeners:")
        for name, port in ports.items():
            more = _LISTENERS[name] and f", {_LISTENERS[name]}"
            lines.append(f'  {name}: {{ bind: "{LOCAL}:{port}", protocol: mqtt, to: {UNS}{more} }}')
        return "\n".join(lines) + "\n"

    def _devices(self) -> dict[str, str]:
        service = f"services:\n  mqtt: {{ port: {self.broker_port}{self.service and f', {self.service}'} }}"
        by_address = "kind: sensor\nplace: {}\naddress: {}\nidentity: {{ unsafe_address_only: true }}"
        return {
            UNS: f"kind: broker\naddress: {self.broker_host}\n{service}",
            DESK: by_address.format(PLACE, LOCAL),
            OLD: by_address.format(PLACE, OLD_AT),
            **dict.fromkeys(self.machines, f"kind: sensor\nplace: {PLACE}\nidentity: {{ require: [x509] }}"),
            **self.more_devices,
        }

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
