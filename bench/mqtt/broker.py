"""Mosquitto as the broker behind every target: one TLS listener for what is measured, one plain one for the judge."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.certificates import BROKER
from bench.environment import free_port
from bench.peers.base import find_program
from bench.processes import start

if TYPE_CHECKING:
    from pathlib import Path

    from bench.certificates import Certificates
    from bench.processes import Running

# Nothing that a message costs is switched off but its log line: no queue limit may drop one, and persistence and
# $SYS would add work that does not follow from messages.
CONFIGURATION = """\
{user}listener {plain} 127.0.0.1
listener {tls} 127.0.0.1
cafile {ca}
certfile {certificate}
keyfile {key}
require_certificate true
tls_version tlsv1.3
ciphers_tls1.3 TLS_AES_256_GCM_SHA384
allow_anonymous true
persistence false
sys_interval 0
log_type none
max_queued_messages 0
max_connections -1
set_tcp_nodelay true
"""


@dataclass(slots=True)
class Broker:
    """`tls` wants a client certificate of the site CA; `plain` is for the judge alone."""

    tls: int
    plain: int
    running: Running

    @classmethod
    def start(cls, folder: Path, certificates: Certificates, core: int) -> Broker:
        """Raises Unmeasurable when it does not come up."""
        folder.mkdir(parents=True, exist_ok=True)
        plain, tls = free_port(), free_port()
        configuration = folder / "mosquitto.conf"
        configuration.write_text(
            CONFIGURATION.format(
                user=run_as(), plain=plain, tls=tls, ca=certificates.ca,
                certificate=certificates.certificate(BROKER), key=certificates.key(BROKER),
            )
        )  # fmt: skip
        command = [find_program("mosquitto") or "mosquitto", "-c", configuration]
        return cls(tls, plain, start("mosquitto", command, port=tls, core=core, log=folder / "log"))

    @property
    def pids(self) -> list[int]:
        return self.running.pids

    def stop(self) -> None:
        self.running.stop()


def missing() -> str | None:
    return None if find_program("mosquitto") else "mosquitto is not installed (Debian package mosquitto)"


def run_as() -> str:
    """Started by root it would change to a user who cannot read the run's keys."""
    return "user root\n" if os.geteuid() == 0 else ""
