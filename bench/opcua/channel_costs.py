"""What the secure channel costs by itself: a chunk sealed at one end and opened at the other, the answer to an OPN."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from bench.generator import WrongAnswers
from bench.opcua.certificates import SITE, uri_of
from proxy.pki.application import Application, ApplicationAuthority
from proxy.protocols.opcua.channel import Opened, Said
from proxy.protocols.opcua.north_channel import NorthChannel, NorthSetting
from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer, Trust
from proxy.protocols.opcua.security.policies import POLICIES, PREFIX, Mode
from proxy.protocols.opcua.south_channel import SouthChannel, SouthSetting

if TYPE_CHECKING:
    from proxy.protocols.opcua.channel import Event

CHUNKS = 100
OPENS = 4
BODY = 400
"""Bytes: a Read of ten nodes with names of a dozen letters."""


@dataclass(frozen=True, slots=True)
class Security:
    """Both ends' certificates, RSA 2048, and what the server trusts."""

    server: OwnCertificate
    client: OwnCertificate
    trust: Trust


def security() -> Security:
    now = datetime.now(UTC)
    authority = ApplicationAuthority.create(SITE, now, 2048)
    made = [authority.issue(Application(name, uri_of(name)), now) for name in ("front", "client")]
    server, client = (OwnCertificate.load(one.pem, one.key_pem) for one in made)
    return Security(server, client, Trust([authority.certificate.public_bytes(Encoding.DER)]))


class Pair:
    """A server's and a client's end, opened. ``name``: of a case, ``chunk.POLICY.MODE`` or ``chunk.None``."""

    def __init__(self, known: Security, name: str) -> None:
        _, policy, *mode = name.split(".")
        self.mode = Mode[mode[0].upper()] if mode else Mode.NONE
        self.policy = POLICIES[PREFIX + policy]
        secured = self.policy.secured
        own, trust = (known.server, known.trust) if secured else (None, None)
        north = NorthSetting(own, frozenset((policy,)), frozenset((self.mode,) if secured else ()), trust)
        peer = Peer.read(known.server.der) if secured else None
        if peer is not None and not isinstance(peer, Peer):
            raise WrongAnswers(f"our own certificate: {peer.why}")
        south = SouthSetting(self.policy, self.mode, known.client if secured else None, peer, "opc.tcp://front")
        self.server = NorthChannel(north, os.urandom, 0.0, time.time)
        self.client = SouthChannel(south, os.urandom)
        self.spent = 0
        self._open()

    def _open(self) -> None:
        """``spent``: nanoseconds for what answered the OPN."""
        said, answer = bytearray(), bytearray()
        self.client.start(0.0, said)
        self.server.receive(bytes(said), 0.0, answer)
        said.clear()
        self.client.receive(bytes(answer), 0.0, said)
        answer.clear()
        begin = time.thread_time_ns()
        self.server.receive(bytes(said), 0.0, answer)
        self.spent = time.thread_time_ns() - begin
        events = self.client.receive(bytes(answer), 0.0, bytearray())
        if [type(event) for event in events] != [Opened]:
            raise WrongAnswers(f"{self.policy.name}: the channel did not open: {events}")
        self.server.in_session = True

    def through(self, bodies: list[bytes]) -> list[Event]:
        found: list[Event] = []
        for number, body in enumerate(bodies, 1):
            out = bytearray()
            self.client.send(number, body, out)
            found += self.server.receive(bytes(out), 0.0, bytearray())
        return found


def measure_chunk(known: Security, name: str, samples: int) -> list[float]:
    """Microseconds for sealing and opening one."""
    pair, found = Pair(known, name), []
    for _ in range(samples + 1):
        bodies = [os.urandom(BODY) for _ in range(CHUNKS)]
        begin = time.thread_time_ns()
        events = pair.through(bodies)
        found.append((time.thread_time_ns() - begin) / CHUNKS / 1e3)
        heard = [event.body for event in events if isinstance(event, Said)]
        if heard != bodies:
            raise WrongAnswers(f"{name}: {len(heard)} of {CHUNKS} bodies came through")
    return found[1:]


def measure_open(known: Security, name: str, samples: int) -> list[float]:
    """Microseconds of the server for its answer to an OPN: the certificate, trust, two private key operations, keys."""
    rounds = max(samples // 2, 3)
    return [sum(Pair(known, name).spent for _ in range(OPENS)) / OPENS / 1e3 for _ in range(rounds)]
