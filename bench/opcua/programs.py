"""What stands in front of the device: nothing, HAProxy, Bulkhead, or asyncua's server and client glued together.

One process is one program; it may be more than one target, each a port and how to speak there.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bench.environment import free_port
from bench.opcua.certificates import AUTHORITY, CLIENT, GATEWAY, SITE, Certificates, uri_of
from bench.opcua.plan import SESSIONS
from bench.peers.base import LINKS, find_program
from bench.processes import start

if TYPE_CHECKING:
    from pathlib import Path

    from bench.processes import Running

DIRECT, HAPROXY, BULKHEAD, ASYNCUA = "direct", "haproxy", "bulkhead", "asyncua"
RELAY, SIGN, ENCRYPT = "bulkhead-relay", "bulkhead-sign", "bulkhead-encrypt"
ASYNCUA_SIGN, ASYNCUA_ENCRYPT = "asyncua-sign", "asyncua-encrypt"
TITLES = {
    DIRECT: "no proxy",
    HAPROXY: "HAProxy, plain TCP",
    RELAY: "Bulkhead, relay",
    SIGN: "Bulkhead, Sign",
    ENCRYPT: "Bulkhead, SignAndEncrypt",
    ASYNCUA_SIGN: "asyncua, Sign",
    ASYNCUA_ENCRYPT: "asyncua, SignAndEncrypt",
}


@dataclass(frozen=True, slots=True)
class Setting:
    folder: Path
    device: int  # its port
    certificates: Certificates
    core: int


@dataclass(frozen=True, slots=True)
class Target:
    """``door``: for `bench.opcua.link.Door.of`. ``pids`` of the program behind it, none if there is none."""

    name: str
    door: dict[str, Any]
    running: Running | None = None

    @property
    def pids(self) -> list[int]:
        return [] if self.running is None else self.running.pids

    @property
    def inspects(self) -> bool:
        return self.name in (RELAY, SIGN, ENCRYPT)


class Program(Protocol):
    name: str

    def missing(self) -> str | None: ...

    def start(self, setting: Setting) -> tuple[Running, list[Target]]:
        """Raises Unmeasurable when it does not come up."""


def plain(name: str, port: int) -> dict[str, Any]:
    """Each watches numbers of its own: what changes for one must not wake another."""
    return {"port": port, "watch": list(TITLES).index(name) * max(SESSIONS)}


def secured(name: str, port: int, mode: str, files: Certificates) -> dict[str, Any]:
    return {
        **plain(name, port), "mode": mode, "certificate": str(files.der(CLIENT)), "key": str(files.key(CLIENT)),
        "server": str(files.der(GATEWAY)), "uri": uri_of(CLIENT),
    }  # fmt: skip


_HAPROXY = """\
global
    nbthread 1
    maxconn {links}
defaults
    mode tcp
    timeout connect 5s
    timeout client 10m
    timeout server 10m
listen bench
    bind 127.0.0.1:{port}
    server device 127.0.0.1:{device}
"""


class HAProxy:
    name = HAPROXY

    def missing(self) -> str | None:
        return None if find_program("haproxy") else "haproxy is not installed (Debian package haproxy)"

    def start(self, setting: Setting) -> tuple[Running, list[Target]]:
        port, configuration = free_port(), setting.folder / "haproxy.cfg"
        configuration.write_text(_HAPROXY.format(links=LINKS, port=port, device=setting.device))
        command = [find_program("haproxy") or "haproxy", "-db", "-f", configuration]
        running = start(self.name, command, port=port, core=setting.core, log=setting.folder / "log")
        return running, [Target(HAPROXY, plain(HAPROXY, port), running)]


_GATEWAY = """\
site: {site}
admin: {{ bind: "127.0.0.1:{admin}" }}
listeners:
  relay:
    bind: "127.0.0.1:{relay}"
    protocol: opcua
    to: robot-1
    opcua: {{ mode: relay, unsafe_none: true }}
  sign:
    bind: "127.0.0.1:{sign}"
    protocol: opcua
    to: robot-2
    opcua: {{ policies: [Basic256Sha256], modes: [sign], trust: [{authority}] }}
  encrypt:
    bind: "127.0.0.1:{encrypt}"
    protocol: opcua
    to: robot-3
    opcua: {{ policies: [Basic256Sha256], modes: [sign_and_encrypt], trust: [{authority}] }}
limits: {{ links: {links}, handshakes: 256, links_per_source: {links}, links_per_identity: {links} }}
"""
_ROBOT = """\
device: {name}
kind: robot
place: {site}/hall-1
address: 127.0.0.1
services:
  opcua: {{ port: {port} }}
"""
_DESK = """\
device: desk
kind: workstation
place: {site}/office
address: 127.0.0.1
identity: {{ unsafe_address_only: true }}
"""
_CLIENT = """\
device: {client}
kind: server
place: {site}/control-room
identity: {{ opcua_uri: "{uri}", require: [opcua_uri] }}
"""
_SURFACE = """\
surface: hall-1
members: [robot-1, robot-2, robot-3]
mode: enforce
unsafe_writes_without_proof: true
rules:
  plain:
    from: desk
    to: robot-1
    opcua: {rule}
  secured:
    from: {client}
    to: [robot-2, robot-3]
    needs: [x509]
    opcua: {rule}
"""
_PLANT = "nsu=urn:bench:plant;s="
RULE = {
    "read": [f"{_PLANT}Read.*", f"{_PLANT}Write.*", "i=2259"],
    "write": [f"{_PLANT}Write.*"],
    "subscribe": [f"{_PLANT}Watch.*"],
}


class Bulkhead:
    name = BULKHEAD

    def missing(self) -> str | None:
        if importlib.util.find_spec("proxy") and importlib.util.find_spec("proxy.cli"):
            return None
        return "bulkhead is not installed in this environment (run it through ./run bench)"

    def start(self, setting: Setting) -> tuple[Running, list[Target]]:
        relay, sign, encrypt = free_port(), free_port(), free_port()
        configuration = self.write_site(setting, relay=relay, sign=sign, encrypt=encrypt)
        command = [sys.executable, "-m", "proxy", "run", "--config", configuration]
        running = start(self.name, command, port=relay, core=setting.core, log=setting.folder / "log")
        files = setting.certificates
        return running, [
            Target(RELAY, plain(RELAY, relay), running),
            Target(SIGN, secured(SIGN, sign, "sign", files), running),
            Target(ENCRYPT, secured(ENCRYPT, encrypt, "sign_and_encrypt", files), running),
        ]

    def write_site(self, setting: Setting, **ports: int) -> Path:
        """The device is in it three times: of one, a client may have 128 sessions."""
        listed = {verb: ", ".join(f'"{pattern}"' for pattern in found) for verb, found in RULE.items()}
        rule = "{ " + ", ".join(f"{verb}: [{found}]" for verb, found in listed.items()) + " }"
        files = {
            "bulkhead.yaml": _GATEWAY.format(site=SITE, admin=free_port(), authority=AUTHORITY, links=LINKS, **ports),
            **{
                f"fingerprints/devices/{name}.yaml": _ROBOT.format(name=name, site=SITE, port=setting.device)
                for name in ("robot-1", "robot-2", "robot-3")
            },
            "fingerprints/devices/desk.yaml": _DESK.format(site=SITE),
            f"fingerprints/devices/{CLIENT}.yaml": _CLIENT.format(client=CLIENT, site=SITE, uri=uri_of(CLIENT)),
            "policies/surfaces/hall-1.yaml": _SURFACE.format(client=CLIENT, rule=rule),
        }
        for name, text in files.items():
            path = setting.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (setting.folder / "certs").symlink_to(setting.certificates.folder)
        return setting.folder / "bulkhead.yaml"


class Asyncua:
    name = ASYNCUA

    def missing(self) -> str | None:
        return None if importlib.util.find_spec("asyncua") else "asyncua is not installed (./run installs it)"

    def start(self, setting: Setting) -> tuple[Running, list[Target]]:
        port, device = free_port(), f"opc.tcp://127.0.0.1:{setting.device}"
        command = [sys.executable, "-m", "bench.opcua.gateway", port, device, setting.certificates.folder]
        command.append(plain(ASYNCUA_SIGN, port)["watch"])
        running = start(self.name, command, port=port, core=setting.core, log=setting.folder / "log")
        files = setting.certificates
        return running, [
            Target(ASYNCUA_SIGN, secured(ASYNCUA_SIGN, port, "sign", files), running),
            Target(ASYNCUA_ENCRYPT, secured(ASYNCUA_ENCRYPT, port, "sign_and_encrypt", files), running),
        ]
