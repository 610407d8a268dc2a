"""The section of a listener that has its protocol's name: who reads it, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from proxy.protocols.opcua.listener import OpcUaListener, parse_listener
from proxy.protocols.opcua.schema import SCHEMA
from proxy.site import load_site
from proxy.site.schema import schemas
from tests.site.bell import BELL, BellProtocol
from tests.site.folder import CONFIG, NOW, SOUND, TOWER, lines, write

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.protocols.base import ProtocolSpec, Report
    from proxy.site import Loaded


class Opcua(BellProtocol):
    """The listener of OPC UA, with bells for rules: what this is about needs no more."""

    name = "opcua"
    ports = frozenset({4840})

    def parse_listener(self, value: object, report: Report) -> object | None:
        return parse_listener(value, report)

    def introduces(self, options: object) -> bool:
        return isinstance(options, OpcUaListener) and options.mode == "terminate"

    def schema(self) -> Mapping[str, Mapping[str, object]]:
        return {**super().schema(), "listener": SCHEMA["listener"]}


OPCUA: ProtocolSpec = Opcua()
PROTOCOLS = {"bell": BELL, "opcua": OPCUA}
FRONT = '  front: { bind: "10.0.0.1:4840", protocol: opcua, to: tower }\n'


def with_listener(tmp_path: Path, listener: str) -> Loaded:
    files = {
        **SOUND,
        CONFIG: SOUND[CONFIG].replace("...\n", f"{listener}...\n"),
        TOWER: SOUND[TOWER].replace("services:\n", "services:\n  opcua: { port: 4840 }\n"),
    }
    return load_site(write(tmp_path, files), PROTOCOLS, now=NOW)


def front(said: str) -> str:
    return FRONT.replace(" }\n", f", {said} }}\n") if said else FRONT


def test_a_listener_without_a_section_has_the_protocol_s_defaults(tmp_path: Path) -> None:
    loaded = with_listener(tmp_path, FRONT)
    assert lines(loaded) == [] and loaded.site is not None
    door, entrance = loaded.site.listeners
    assert (door.options, door.secures, door.unsafe) == (None, True, ())  # TLS
    assert entrance.options == OpcUaListener()
    assert (entrance.secures, entrance.unsafe) == (True, ())  # a channel of its own


def test_its_section_is_read_by_its_protocol(tmp_path: Path) -> None:
    loaded = with_listener(tmp_path, front("opcua: { certificate: front, trust: [hmi-1.der] }"))
    assert lines(loaded) == [] and loaded.site is not None
    assert loaded.site.listeners[1].options == OpcUaListener(certificate="front", trust=("hmi-1.der",))


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("opcua: { mode: relai }", "listeners.front.opcua.mode: 'relai' is not known here"),
        ("opcua: { policies: [Basic256] }", "listeners.front.opcua.policies[0]: Basic256 is broken"),
        ("opcua: { mode: relay }", "listeners.front.opcua.mode: a relay can inspect only what is not encrypted"),
        ("opcua:", "listeners.front.opcua: the value is empty; write a section, or delete the line"),
        ("opcua: 7", "listeners.front.opcua: is not a section"),
        ("bell: {}", "listeners.front.bell: unknown key 'bell'; known here: bind, protocol, to, tls"),
        ("tls: {}, opcua: { mode: refuse }", "listeners.front.tls: opcua has a secure channel of its own"),
        ("tls: {}", "listeners.front.tls: opcua has a secure channel of its own, and its clients know no other"),
    ],
)
def test_one_error_says_what_is_wrong(tmp_path: Path, said: str, says: str) -> None:
    loaded = with_listener(tmp_path, front(said))
    assert loaded.site is None
    (line,) = lines(loaded)
    assert line.startswith(f"{CONFIG}:") and says in line


def test_a_section_of_another_protocol_says_nothing(tmp_path: Path) -> None:
    other = '  other: { bind: "10.0.0.1:7703", protocol: bell, to: tower, opcua: { unsafe_none: true } }\n'
    (line,) = lines(with_listener(tmp_path, other))
    assert "listeners.other.opcua: this listener speaks bell, and opcua says nothing here; delete the section" in line


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("opcua: { unsafe_none: true }", "unsafe_none"),
        ("opcua: { mode: relay, signed: cut }", "signed"),
        ("opcua: { mode: relay, unsafe_none: true }", "unsafe_none"),
    ],
)
def test_t51_what_is_unsafe_is_told_at_each_check(tmp_path: Path, said: str, key: str) -> None:
    loaded = with_listener(tmp_path, front(said))
    assert loaded.site is not None
    (line,) = lines(loaded)
    assert f"listeners.front.opcua.{key}: " in line and "without a secured channel" in line and "/status" in line
    assert loaded.problems[0].warning
    assert [word.partition(":")[0] for word in loaded.site.listeners[1].unsafe] == [key]


def test_editors_are_told_of_it() -> None:
    made = schemas(PROTOCOLS)["bulkhead.schema.json"]
    assert '"unsafe_none"' in made
    assert '"opcua"' not in schemas({"bell": BELL})["bulkhead.schema.json"]


def test_a_change_of_it_changes_the_digest(tmp_path: Path) -> None:
    one, other = (
        with_listener(tmp_path / str(at), front(said)).site
        for at, said in enumerate(("", "opcua: { unsafe_none: true }"))
    )
    assert one is not None and other is not None and one.digest != other.digest


@pytest.mark.parametrize(
    ("identity", "says"),
    [
        ("opcua_uri: 'urn:a b'", "identity.opcua_uri"),
        ("opcua_uri: spiffe://village/device/sexton", "identity.opcua_uri: a SPIFFE id is the device's by TLS"),
        ("opcua_uri:", "identity.opcua_uri: the value is empty"),
        ("require: [opcua_uri]", "opcua_uri is required but nothing is bound that could match; add opcua_uri: urn:..."),
    ],
)
def test_an_application_uri_that_cannot_be(tmp_path: Path, identity: str, says: str) -> None:
    sexton = f"---\ndevice: sexton\nkind: person\nidentity:\n  {identity}\n...\n"
    loaded = load_site(write(tmp_path, {**SOUND, "fingerprints/devices/sexton.yaml": sexton}), PROTOCOLS, now=NOW)
    assert loaded.site is None
    assert any(says in line for line in lines(loaded)), lines(loaded)


def test_an_application_uri_means_one_device(tmp_path: Path) -> None:
    def bound(name: str, identity: str) -> str:
        return f"---\ndevice: {name}\nkind: person\nidentity: {{ {identity} }}\n...\n"

    files = {
        **SOUND,
        "fingerprints/devices/sexton.yaml": bound("sexton", 'opcua_uri: "urn:tower:viewer", x509: { cn: sexton }'),
        "fingerprints/devices/warden.yaml": bound("warden", 'opcua_uri: "urn:tower:viewer"'),
    }
    (line,) = lines(load_site(write(tmp_path / "a", files), PROTOCOLS, now=NOW))
    assert "the certificate URI urn:tower:viewer already means sexton" in line
    files["fingerprints/devices/warden.yaml"] = bound("warden", 'x509: { uri: "urn:tower:viewer" }')
    (line,) = lines(load_site(write(tmp_path / "b", files), PROTOCOLS, now=NOW))
    assert "urn:tower:viewer already means" in line
    files["fingerprints/devices/warden.yaml"] = bound("warden", 'opcua_uri: "urn:warden:viewer"')
    loaded = load_site(write(tmp_path / "c", files), PROTOCOLS, now=NOW)
    assert loaded.site is not None
    assert loaded.site.devices["warden"].bindings.opcua_uri == "urn:warden:viewer"
