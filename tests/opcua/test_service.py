"""What a device's file may say about its OPC UA server."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace
from typing import Any

import pytest

from proxy.core.options import widens
from proxy.protocols.opcua.schema import SCHEMA
from proxy.protocols.opcua.service import Login, OpcUaService, parse_service, read_login
from tests.mqtt.reports import Reports
from tests.site.json_schema import faults

SECURED = OpcUaService("Basic256Sha256", server="robot-7.der")


@pytest.mark.parametrize(
    ("value", "wanted", "files"),
    [
        ({}, OpcUaService(), ()),
        ({"security": "None"}, OpcUaService(), ()),
        ({"security": "Basic256Sha256", "server": "robot-7.der"}, SECURED, ("opcua.crt", "opcua.key", "robot-7.der")),
        (
            {
                "security": "Aes256_Sha256_RsaPss",
                "mode": "sign",
                "server": "r7",
                "certificate": "gw",
                "login": "r7.login",
            },
            OpcUaService("Aes256_Sha256_RsaPss", "sign", "r7", "gw", "r7.login"),
            ("gw.crt", "gw.key", "r7.crt", "r7.login"),
        ),
        ({"server": "r7", "login": "l"}, OpcUaService(server="r7", login="l"), ("r7.crt", "l")),
        ({"path": "/UA/Server"}, OpcUaService(path="/UA/Server"), ()),
        ({"path": ""}, OpcUaService(), ()),
        ({"path": "/"}, OpcUaService(path="/"), ()),
        ({"timeout": "500ms"}, OpcUaService(timeout_ms=500), ()),
        ({"timeout": "10min"}, OpcUaService(timeout_ms=600_000), ()),
    ],
)
def test_a_service(value: Any, wanted: OpcUaService, files: tuple[str, ...]) -> None:
    reports = Reports()
    made = parse_service(value, reports)
    assert (made, reports.found) == (wanted, [])
    assert wanted.secrets == files
    assert not faults(SCHEMA["service"], value)
    assert pickle.loads(pickle.dumps(made)) == made


WRONG: list[tuple[Any, tuple[str | int, ...], str]] = [
    (None, (), "is not a section"),
    ([], (), "is not a section"),
    ({"securty": "None"}, ("securty",), "did you mean 'security'"),
    ({"port": 4840}, ("port",), "unknown key"),
    ({"security": None}, ("security",), "write None"),
    ({"security": "Basic256"}, ("security",), "Basic256 is broken"),
    ({"security": "Basic128Rsa15"}, ("security",), "Basic128Rsa15 is broken"),
    ({"security": "basic256sha256"}, ("security",), "did you mean 'Basic256Sha256'"),
    ({"security": ["None"]}, ("security",), "is not a security policy"),
    ({"security": "Basic256Sha256", "server": "a", "mode": "none"}, ("mode",), "one of sign, sign_and_encrypt"),
    ({"server": "certs/robot.der"}, ("server",), "is not a name of a file"),
    ({"server": None}, ("server",), "is not a name of a file"),
    ({"security": "Basic256Sha256", "server": "a", "certificate": "gw.crt"}, ("certificate",), "two are needed"),
    ({"login": "../x"}, ("login",), "certs/"),
    ({"login": ""}, ("login",), "certs/"),
    ({"path": "UA"}, ("path",), "/UA/Server"),
    ({"path": "/UA?x"}, ("path",), "/UA/Server"),
    ({"path": None}, ("path",), "/UA/Server"),
    ({"timeout": 10}, ("timeout",), "100ms to 10min"),
    ({"timeout": "11min"}, ("timeout",), "100ms to 10min"),
    ({"timeout": "99ms"}, ("timeout",), "100ms to 10min"),
    ({"timeout": "\u0661s"}, ("timeout",), "100ms to 10min"),
]
UNFIT: list[tuple[Any, tuple[str | int, ...], str]] = [
    ({"security": "Basic256Sha256"}, ("security",), "server: NAME.der"),
    ({"mode": "sign"}, ("mode",), "says nothing without security"),
    ({"security": "None", "certificate": "gw"}, ("certificate",), "says nothing without security"),
]


@pytest.mark.parametrize(("value", "path", "said"), [*WRONG, *UNFIT])
def test_a_service_that_is_wrong(value: Any, path: tuple[str | int, ...], said: str) -> None:
    reports = Reports()
    assert parse_service(value, reports) is None
    at, text = reports.only()
    assert (at, said in text) == (path, True), text
    assert text.isprintable()


@pytest.mark.parametrize("value", [v for v, _, said in WRONG if v != {"timeout": "11min"} and "99ms" not in str(v)])
def test_a_mistake_of_form_shows_in_an_editor(value: Any) -> None:
    assert faults(SCHEMA["service"], value)


@pytest.mark.parametrize(
    ("change", "wider", "back"),
    [
        ({"security": "None"}, True, False),
        ({"security": "Aes256_Sha256_RsaPss"}, False, False),
        ({"mode": "sign"}, False, False),
        ({"server": "other.der"}, True, True),
        ({"login": "admin.login"}, True, True),
        ({"path": "/other"}, True, True),
        ({"timeout_ms": 5}, False, False),
    ],
)
def test_what_a_change_does_to_access(change: dict[str, Any], wider: bool, back: bool) -> None:
    """T70: another server, or another user there, may be more."""
    now = replace(SECURED, **change)
    (option,) = [one for one in fields(now) if one.name in change]
    new, old = getattr(now, option.name), getattr(SECURED, option.name)
    assert (widens(option, new, old), widens(option, old, new)) == (wider, back)


def test_a_login_file() -> None:
    assert read_login(b"operator\nse cret\n") == Login("operator", "se cret")
    assert read_login(b"operator\r\np\r\n") == Login("operator", "p")
    assert read_login("b\u00e9n".encode()) == Login("b\u00e9n", "")
    for content in (b"", b"\npassword\n", b"\xff\nx"):
        with pytest.raises(ValueError):
            read_login(content)
