"""A whole site in a temporary folder: one PLC, its masters, their keys. What `bulkhead run` is started on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.keys import SITE, Keys
from tests.support.net import LOCAL, free_port

PLC = "plc"
MBAPS, OLD, PLAIN, LIKE_DEVICE = "mbaps", "mbaps-old", "plain", "plain-device"
"""Listeners: TLS 1.3; TLS 1.2 and 1.3; in the clear; in the clear with ``deny_style: device``."""

_LISTENERS = {
    MBAPS: "tls: { clients: required }",
    OLD: 'tls: { clients: required, versions: ["1.2", "1.3"] }',
    PLAIN: "",
    LIKE_DEVICE: "deny_style: device",
}
_RULES = """\
  counters:
    from: ["role:masters", station]
    to: plc
    modbus: { units: [1], read: [holding 0-99, coil 0-31] }
  setpoint:
    from: ["role:masters", station]
    to: plc
    modbus: { write: { holding 40: { min: 0, max: 1500 }, holding 50-69: {}, coil 0-7: {} } }
  operators:
    from: "mbaps:Operator"
    to: plc
    modbus: { read: [holding 200-209], write: [holding 200-209] }
"""


@dataclass(frozen=True)
class Plant:
    """A written site. ``ports`` maps listeners to where they are bound."""

    folder: Path
    keys: Keys
    ports: Mapping[str, int]
    admin: int

    @property
    def config(self) -> Path:
        return self.folder / "bulkhead.yaml"

    @property
    def audit(self) -> Path:
        return self.folder / "var" / "audit"


@dataclass
class Builder:
    """``service`` and ``limits`` are YAML in one line. The PLC's address and port are where a recording one is."""

    folder: Path
    plc_port: int
    plc_host: str = "127.0.0.9"
    service: str = "units: [1, 2], connections: 1, pipeline: 4, timeout: 1s"
    limits: str = ""
    audit: str = "after"
    listeners: tuple[str, ...] = (MBAPS, OLD, PLAIN)
    masters: tuple[str, ...] = ("scada", "mes")
    rules: str = _RULES
    more_devices: Mapping[str, str] = field(default_factory=dict)

    def build(self) -> Plant:
        ports = {name: free_port() for name in self.listeners}
        admin = free_port()
        self._write("bulkhead.yaml", self._config(ports, admin))
        self._write(f"policies/surfaces/{PLC}.yaml", self._surface())
        self._write("policies/roles/masters.yaml", f"role: masters\nmembers: [{', '.join(self.masters)}]\n")
        for name, body in self._devices().items():
            self._write(f"fingerprints/devices/{name}.yaml", f"device: {name}\n{body}\n")
        keys = Keys(self.folder / "certs")
        for master in self.masters:
            keys.issue(master)
        return Plant(self.folder, keys, ports, admin)

    def _config(self, ports: Mapping[str, int], admin: int) -> str:
        lines = [f"site: {SITE}", f'admin: {{ bind: "{LOCAL}:{admin}" }}']
        if self.limits:
            lines.append(f"limits: {{ {self.limits} }}")
        lines.append("listeners:")
        for name, port in ports.items():
            more = _LISTENERS[name] and f", {_LISTENERS[name]}"
            lines.append(f'  {name}: {{ bind: "{LOCAL}:{port}", protocol: modbus, to: {PLC}{more} }}')
        return "\n".join(lines) + "\n"

    def _surface(self) -> str:
        # Writes through the plain door are for tests with clients that speak no TLS.
        head = f"surface: {PLC}\nmembers: [{PLC}]\naudit: {self.audit}\nunsafe_writes_without_proof: true\n"
        never = f"never:\n  safety: {{ to: {PLC}, modbus: {{ write: [holding 900-999] }} }}\n"
        return f"{head}rules:\n{self.rules}{never}"

    def _devices(self) -> dict[str, str]:
        service = f"services:\n  modbus: {{ port: {self.plc_port}, {self.service} }}"
        master = "kind: server\nidentity: { require: [x509] }"
        return {
            PLC: f"kind: plc\naddress: {self.plc_host}\n{service}",
            "station": f"kind: workstation\naddress: {LOCAL}\nidentity: {{ unsafe_address_only: true }}",
            **dict.fromkeys(self.masters, master),
            **self.more_devices,
        }

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
