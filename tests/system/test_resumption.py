"""T09: a certificate that has expired or been revoked does not come back through TLS resumption.

The attack needs a session from when the certificate was good, so all sessions are made first, in both ways that a
connection ends: a clean close is what makes some servers keep the session, an abrupt one hides the fault.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.keys import TLS12, TLS13, KeyFiles
from tests.support.master import read
from tests.support.mbaps import ask, connect, reset, try_to
from tests.support.plant import MBAPS, OLD, Plant
from tests.support.process import GatewayProcess, running

if TYPE_CHECKING:
    from tests.support.plc import RecordingPlc

pytestmark = pytest.mark.system

VERSIONS = {"tls12": (OLD, TLS12), "tls13": (MBAPS, TLS13), "tls13-beside-12": (OLD, TLS13)}
CLOSES = ("clean", "abrupt")
MATRIX = [(version, close) for version in VERSIONS for close in CLOSES]
each = pytest.mark.parametrize(("version", "close"), MATRIX, ids=["-".join(way) for way in MATRIX])

LIVES = 4.0
"""Seconds: long enough to make all sessions of a module."""


@dataclass(frozen=True)
class Resumable:
    """What a client has left from a connection that was good."""

    port: int
    tls: ssl.SSLContext
    session: ssl.SSLSession | None


Sessions = dict[tuple[str, str], Resumable]


def make(plant: Plant, keys: KeyFiles, version: str, close: str) -> Resumable:
    listener, number = VERSIONS[version]
    tls = keys.trusting(plant.keys.ca, oldest=number, newest=number)
    sock = connect(plant.ports[listener], tls)
    try:
        assert ask(sock, read(5)) is not None
        session = sock.session
        if close == "clean":
            sock.unwrap().close()
        else:
            reset(sock)
    finally:
        sock.close()
    return Resumable(plant.ports[listener], tls, session)


def make_all(plant: Plant, keys: KeyFiles) -> Sessions:
    return {(version, close): make(plant, keys, version, close) for version, close in MATRIX}


@pytest.fixture(scope="module", params=["uvloop", "stock"])
def gateway(request: pytest.FixtureRequest, plant: Plant) -> Iterator[GatewayProcess]:
    with running(plant, loop=request.param) as process:
        yield process
    assert ("uvloop is not installed" in process.said()) == (request.param == "stock")


@pytest.fixture(scope="module")
def valid(gateway: GatewayProcess, plant: Plant) -> Sessions:
    return make_all(plant, plant.keys.issue("scada"))


@pytest.fixture(scope="module")
def expired(gateway: GatewayProcess, plant: Plant) -> Sessions:
    keys = plant.keys.ending_in("mes", LIVES)
    begun = time.monotonic()
    sessions = make_all(plant, keys)
    time.sleep(max(0.0, LIVES + 1.2 - (time.monotonic() - begun)))
    return sessions


@pytest.fixture(scope="module")
def revoked(gateway: GatewayProcess, plant: Plant) -> Sessions:
    keys = plant.keys.issue("mes")
    sessions = make_all(plant, keys)
    plant.keys.revoke(keys)
    time.sleep(1.0)
    return sessions


@each
def test_valid_certificate_gets_in_by_a_full_handshake(
    version: str, close: str, valid: Sessions, plc: RecordingPlc
) -> None:
    """The control: an offered session is passed over, it does not lock its owner out."""
    old = valid[version, close]
    with connect(old.port, old.tls, session=old.session) as sock:
        assert ask(sock, read(5)) is not None
        assert not sock.session_reused
    assert plc.pdus == [read(5)]


@each
def test_tls_resume_after_expiry(version: str, close: str, expired: Sessions, plc: RecordingPlc) -> None:
    old = expired[version, close]
    for _ in range(3):
        answer, _ = try_to(old.port, old.tls, read(5), session=old.session)
        assert answer is None
    assert plc.received == []


@each
def test_tls_resume_after_revoke(version: str, close: str, revoked: Sessions, plc: RecordingPlc) -> None:
    old = revoked[version, close]
    for _ in range(3):
        answer, _ = try_to(old.port, old.tls, read(5), session=old.session)
        assert answer is None
    assert plc.received == []
