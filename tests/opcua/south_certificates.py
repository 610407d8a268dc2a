"""Certificates for both ends of a channel to a scripted server, made once per run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from proxy.protocols.opcua.security.certificates import OwnCertificate
from proxy.protocols.opcua.service import OpcUaService
from tests.support.opcua.applications import Applications

SERVER = "robot-7.der"


@dataclass(frozen=True)
class Certificates:
    """``gateway``: what we show; ``robot``: the server's; ``other``: of somebody else. ``secrets``: files by name."""

    gateway: OwnCertificate
    robot: OwnCertificate
    other: OwnCertificate
    secrets: dict[str, bytes]


@cache
def certificates() -> Certificates:
    with TemporaryDirectory() as folder:
        made = Applications(Path(folder) / "certs", Path(folder) / "peers")
        robot, other = made.self_signed("robot-7"), made.self_signed("other")
        made.trust(robot)
        secrets = {path.name: path.read_bytes() for path in made.certs.iterdir()}
        return Certificates(
            OwnCertificate.load(secrets["opcua.crt"], secrets["opcua.key"]),
            OwnCertificate.load(robot.der, robot.key.read_bytes()),
            OwnCertificate.load(other.der, other.key.read_bytes()),
            secrets,
        )


def service(policy: str, mode: str, **more: str) -> OpcUaService:
    return OpcUaService(security=policy, mode=mode, server=SERVER, **more)  # type: ignore[arg-type]
