"""The interface of a peer: a program that ends mutual TLS 1.3 in front of the plain PLC.

All of them: one worker thread, pinned to one core, TLS 1.3 only, client certificate required,
P-256, TLS_AES_256_GCM_SHA384, the same certificate files, no log line per request.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from bench.certificates import Certificates
    from bench.processes import Running

# The policy that every inspecting peer enforces: FC 3 inside these, FC 6 inside those, all else exception 01.
READABLE = ((0, 99), (200, 299))
WRITABLE = ((300, 309),)
LINKS = 8192  # the most links a target must hold


@dataclass(frozen=True, slots=True)
class Setting:
    """What a peer is given: a folder for its files, the PLC, the certificates, its core."""

    folder: Path
    plc_port: int
    certificates: Certificates
    core: int


class Peer(Protocol):
    name: str
    title: str
    inspects: bool

    def missing(self) -> str | None:
        """What is not installed, and the Debian package that brings it; None when it can run."""

    def start(self, setting: Setting) -> Running:
        """Raises Unmeasurable when it does not come up."""


def find_program(name: str) -> str | None:
    """Debian keeps servers in sbin, which is not on every user's PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
