"""The files of a listener that proves itself in its own protocol: read at the start and at each reload, and compared by
what matters to those who are in already."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from proxy import keys
from proxy.core.options import narrows
from proxy.entrances import entrances
from proxy.pki.application import Application
from proxy.pki.applications import ApplicationFolder
from proxy.pki.authority import key_pem
from proxy.protocols.opcua.listener import OpcUaListener
from proxy.protocols.opcua.service import OpcUaService, parse_service
from proxy.site import load_site
from tests.site.folder import CONFIG, SOUND, TOWER, write
from tests.site.test_listener_options import Opcua

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.gateway.ports import Entrance
    from proxy.protocols.base import ProtocolSpec, Report
    from proxy.site import Site

NOW = datetime.now(UTC)


class Speaking(Opcua):
    """With the service of OPC UA as well."""

    def parse_service(self, value: object, report: Report) -> object | None:
        return parse_service(value, report)

    def secrets(self, options: object) -> tuple[str, ...]:
        assert isinstance(options, OpcUaListener | OpcUaService)
        return options.secrets


OPCUA: ProtocolSpec = Speaking()
PROTOCOLS: Mapping[str, ProtocolSpec] = {"opcua": OPCUA}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = ApplicationFolder(tmp_path_factory.mktemp("made") / "certs", "village")
    folder.create_authority(NOW)
    for name in ("opcua", "hmi-1"):
        folder.issue(Application(name, f"urn:village:{name}"), NOW)
    return folder.path


class Place:
    """A site of one listener, in front of one server, and its files."""

    def __init__(self, path: Path, made: Path) -> None:
        self.path = path
        self.certs = path / "certs"
        shutil.copytree(made, self.certs)
        self.folder = ApplicationFolder(self.certs, "village")
        self.listener, self.service = "{}", "{ port: 4840 }"

    def site(self) -> Site:
        files = {name: SOUND[name] for name in (CONFIG, TOWER)}
        files[CONFIG] = (
            "---\nsite: village\nlisteners:\n"
            f'  front: {{ bind: "10.0.0.1:4840", protocol: opcua, to: tower, opcua: {self.listener} }}\n...\n'
        )
        files[TOWER] = SOUND[TOWER].replace("bell: { port: 7700, tone: g }", f"opcua: {self.service}")
        files["policies/surfaces/parish.yaml"] = (
            "---\nsurface: parish\nmembers: [tower]\nrules:\n"
            "  hours: { from: tower, to: tower, opcua: { listen: [1] } }\n...\n"
        )
        loaded = load_site(write(self.path, files), PROTOCOLS)
        assert loaded.site is not None, [str(one) for one in loaded.problems]
        return loaded.site

    def entrance(self) -> Entrance:
        (entrance,) = entrances(self.site(), PROTOCOLS)
        return entrance

    def wrong(self) -> str:
        with pytest.raises(keys.UnusableError) as told:
            self.entrance()
        return str(told.value)


@pytest.fixture
def place(tmp_path: Path, made: Path) -> Place:
    return Place(tmp_path, made)


def test_what_the_listener_asks_for_is_there(place: Place) -> None:
    entrance = place.entrance()
    assert entrance.secrets.keys() == {"opcua.crt", "opcua.key", "opcua-ca.crt"}
    assert entrance.secret("opcua.crt") == (place.certs / "opcua.crt").read_bytes()
    assert "PRIVATE" not in repr(entrance)
    place.listener = "{ mode: refuse }"
    assert place.entrance().secrets == {}


def test_certificates_may_be_read_by_others_and_keys_not(place: Place) -> None:
    for path in place.certs.glob("*.crt"):
        path.chmod(0o644)
    place.entrance()
    (place.certs / "opcua-ca.crt").chmod(0o664)
    assert "opcua-ca.crt may be changed by others" in place.wrong()
    (place.certs / "opcua-ca.crt").chmod(0o644)
    (place.certs / "opcua.key").chmod(0o640)
    assert "opcua.key may be read or changed by others" in place.wrong()


@pytest.mark.parametrize(
    ("listener", "gone", "says"),
    [
        ("{}", "opcua.key", "listener front: certs/opcua.key is missing; make it with: bulkhead certs opcua init"),
        ("{}", "opcua-ca.crt", "listener front: certs/opcua-ca.crt is missing; make it with: bulkhead certs opcua in"),
        ("{ certificate: two }", "", "certs/two.crt is missing; make it with: bulkhead certs opcua issue two"),
        ("{ trust: [hmi-9.der] }", "", "certs/hmi-9.der is missing; copy the other's certificate there: bulkhead cer"),
    ],
)
def test_a_missing_file_is_told_with_the_way_to_it(place: Place, listener: str, gone: str, says: str) -> None:
    place.listener = listener
    if gone:
        (place.certs / gone).unlink()
    assert says in place.wrong()


def test_what_no_channel_could_use_is_told_before_the_first_client(place: Place) -> None:
    key = (place.certs / "opcua.key").read_bytes()
    shutil.copy(place.certs / "hmi-1.key", place.certs / "opcua.key")
    assert "certs/opcua.key is not the key of certs/opcua.crt; bulkhead certs opcua rotate opcua mends" in place.wrong()
    (place.certs / "opcua.key").write_bytes(key_pem(ec.generate_private_key(ec.SECP256R1())))
    assert "certs/opcua.key is no RSA key" in place.wrong()
    (place.certs / "opcua.key").write_bytes(b"secret")
    assert "certs/opcua.key is no unencrypted PEM key" in place.wrong()
    (place.certs / "opcua.key").write_bytes(key)
    (place.certs / "opcua-ca.crt").write_text("hello\n")
    assert "listener front: certs/opcua-ca.crt: the file holds no X.509 certificate" in place.wrong()


def test_what_the_device_asks_for_is_told_as_its(place: Place) -> None:
    place.service = "{ port: 4840, security: Basic256Sha256, server: robot.der, login: robot.login }"
    assert "device tower: certs/robot.der is missing" in place.wrong()
    shutil.copy(place.certs / "hmi-1.crt", place.certs / "robot.der")
    assert "device tower: certs/robot.login is missing; write it there, then: chmod 600" in place.wrong()
    (place.certs / "robot.login").write_text("gate\nsecret\n")
    assert "may be read or changed by others" in place.wrong()
    (place.certs / "robot.login").chmod(0o600)
    assert place.entrance().secret("robot.login") == b"gate\nsecret\n"


def test_a_renewed_certificate_is_taken_and_drops_nobody(place: Place) -> None:
    before = place.entrance()
    place.folder.renew("opcua", NOW, new_key=True)
    after = place.entrance()
    assert all(after.secret(name) != before.secret(name) for name in ("opcua.crt", "opcua.key"))
    assert after.leads_as(before)
    place.folder.create_authority(NOW, replace=True)
    assert place.entrance().leads_as(before)


def test_a_login_is_what_connections_are_held_to(place: Place) -> None:
    place.service = "{ port: 4840, login: robot.login }"
    login = place.certs / "robot.login"
    login.touch(0o600)
    before = place.entrance()
    login.write_text("gate\nother\n")
    assert not place.entrance().leads_as(before)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("{}", "{ trust: [opcua-ca, hmi-1] }", True),
        ("{ trust: [opcua-ca, hmi-1] }", "{}", False),
        ("{}", "{ certificate: hmi-1 }", True),
        ("{}", '{ url: "opc.tcp://gw.plant:4840" }', True),
        ("{}", "{ unsafe_none: true }", True),
        ("{ unsafe_none: true }", "{}", False),
        ("{ modes: [sign, sign_and_encrypt] }", "{}", False),
        ("{}", "{ modes: [sign, sign_and_encrypt] }", True),
        ("{}", "{ users: [username] }", False),
        ("{}", "{ mode: refuse }", False),
        ("{}", "{ mode: relay, unsafe_none: true }", False),
    ],
)
def test_who_is_in_stays_as_long_as_nothing_less_is_let_in(place: Place, old: str, new: str, same: bool) -> None:
    place.listener = old
    before = place.entrance()
    place.listener = new
    assert place.entrance().leads_as(before) is same


def test_options_of_another_type_are_never_the_same() -> None:
    assert narrows(OpcUaListener(), None) and narrows(None, OpcUaListener())
    assert not narrows(None, None) and not narrows(OpcUaListener(), OpcUaListener())


def test_the_end_of_what_is_shown_is_known(place: Place) -> None:
    place.service = "{ port: 4840, security: Basic256Sha256, server: robot.der, certificate: hmi-1 }"
    shutil.copy(place.certs / "opcua.crt", place.certs / "robot.der")
    shown = keys.own_certificates(place.site(), PROTOCOLS)
    assert shown.keys() == {"opcua", "hmi-1"}
    assert abs(shown["opcua"] - NOW.timestamp() - 365 * 86400) < 2
    place.listener = "{ mode: refuse }"
    assert keys.own_certificates(place.site(), PROTOCOLS).keys() == {"hmi-1"}
    (place.certs / "hmi-1.crt").write_text("hello\n")
    with pytest.raises(keys.UnusableError, match=r"hmi-1\.crt cannot be used"):
        keys.own_certificates(place.site(), PROTOCOLS)
