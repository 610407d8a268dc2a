"""What a listener may say about how the gateway stands in the path."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace
from typing import Any

import pytest

from proxy.core.options import widens
from proxy.protocols.opcua.listener import OpcUaListener, parse_listener
from proxy.protocols.opcua.schema import SCHEMA
from tests.mqtt.reports import Reports
from tests.site.json_schema import faults

BOTH = frozenset({"sign", "sign_and_encrypt"})
THREE = frozenset({"Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"})

SOUND: list[tuple[Any, OpcUaListener]] = [
    ({}, OpcUaListener()),
    ({"mode": "terminate"}, OpcUaListener()),
    ({"policies": "Basic256Sha256"}, OpcUaListener(policies=frozenset({"Basic256Sha256"}))),
    ({"modes": ["sign", "sign_and_encrypt"]}, OpcUaListener(modes=BOTH)),
    ({"users": ["username"]}, OpcUaListener(users=frozenset({"username"}))),
    ({"certificate": "front", "trust": ["hmi-1.der", "opcua-ca", "hmi-1.der"]},
     OpcUaListener(certificate="front", trust=("hmi-1.der", "opcua-ca"))),
    ({"unsafe_none": True}, OpcUaListener(unsafe_none=True)),
    ({"unsafe_none": False}, OpcUaListener()),
    ({"mode": "relay", "unsafe_none": True}, OpcUaListener("relay", unsafe_none=True)),
    ({"mode": "relay", "signed": "cut"}, OpcUaListener("relay", signed=True)),
    ({"mode": "relay", "signed": "cut", "unsafe_none": True, "users": "anonymous"},
     OpcUaListener("relay", users=frozenset({"anonymous"}), signed=True, unsafe_none=True)),
    ({"mode": "refuse"}, OpcUaListener("refuse")),
    ({"mode": "refuse", "policies": ["Basic256Sha256"]},
     OpcUaListener("refuse", policies=frozenset({"Basic256Sha256"}))),
    ({"url": "opc.tcp://gw.plant:4840"}, OpcUaListener(url="opc.tcp://gw.plant:4840")),
    ({"url": "opc.tcp://[fd00::7]:48400/UA/Robot"}, OpcUaListener(url="opc.tcp://[fd00::7]:48400/UA/Robot")),
]  # fmt: skip

WRONG: list[tuple[Any, tuple[str | int, ...], str]] = [
    ([], (), "is not a section"),
    ("relay", (), "is not a section"),
    ({"mod": "relay"}, ("mod",), "did you mean 'mode'"),
    ({"mode": "transparent"}, ("mode",), "one of terminate, relay, refuse"),
    ({"mode": None}, ("mode",), "None is not known here"),
    ({"mode": ["relay"]}, ("mode",), "one of terminate, relay, refuse"),
    ({"policies": []}, ("policies",), "is empty"),
    ({"policies": ["Basic256Sha256", "Basic128Rsa15"]}, ("policies", 1), "Basic128Rsa15 is broken"),
    ({"policies": "Basic256"}, ("policies",), "Basic256 is broken"),
    ({"policies": ["None"]}, ("policies", 0), "write unsafe_none: true instead"),
    ({"policies": ["Basic256SHA256"]}, ("policies", 0), "did you mean 'Basic256Sha256'"),
    ({"policies": [7]}, ("policies", 0), "is not a security policy"),
    ({"modes": ["none"]}, ("modes", 0), "one of sign, sign_and_encrypt"),
    ({"modes": "SignAndEncrypt"}, ("modes",), "sign_and_encrypt"),
    ({"modes": []}, ("modes",), "is empty"),
    ({"users": ["x509"]}, ("users", 0), "cannot be relayed"),
    ({"users": ["user_name"]}, ("users", 0), "did you mean 'username'"),
    ({"users": [["anonymous"]]}, ("users", 0), "one of anonymous, username"),
    ({"certificate": "../gateway"}, ("certificate",), "certs/"),
    ({"certificate": None}, ("certificate",), "certs/"),
    ({"certificate": "opcua.crt"}, ("certificate",), "two are needed"),
    ({"trust": []}, ("trust",), "is empty"),
    ({"trust": ["HMI 1"]}, ("trust", 0), "is not a name of a certificate"),
    ({"trust": {"hmi-1": True}}, ("trust",), "is not a name of a certificate"),
    ({"unsafe_none": "yes"}, ("unsafe_none",), "true or false"),
    ({"unsafe_none": 1}, ("unsafe_none",), "true or false"),
    ({"mode": "relay", "unsafe_none": True, "signed": "pass"}, ("signed",), "one of cut"),
    ({"mode": "relay", "signed": True}, ("signed",), "one of cut"),
    ({"url": "opc.tcp://gw.plant"}, ("url",), "opc.tcp://HOST:PORT"),
    ({"url": "http://gw.plant:4840"}, ("url",), "opc.tcp://HOST:PORT"),
    ({"url": "opc.tcp://user@gw.plant:4840"}, ("url",), "opc.tcp://HOST:PORT"),
    ({"url": "opc.tcp://gw.plant:99999"}, ("url",), "opc.tcp://HOST:PORT"),
    ({"url": "opc.tcp://gw.plant:4840/a b"}, ("url",), "opc.tcp://HOST:PORT"),
    ({"url": None}, ("url",), "opc.tcp://HOST:PORT"),
]  # fmt: skip

UNFIT: list[tuple[Any, tuple[str | int, ...], str]] = [
    ({"mode": "relay"}, ("mode",), "unsafe_none: true for policy None, signed: cut for signed channels"),
    ({"mode": "relay", "unsafe_none": False}, ("mode",), "has to be said"),
    *(({"mode": "relay", "unsafe_none": True, key: value}, (key,), "a relay has none")
      for key, value in (("policies", "Basic256Sha256"), ("modes", "sign"), ("certificate", "x"), ("trust", "y"))),
    ({"signed": "cut"}, ("signed",), "it is for mode: relay"),
    ({"mode": "refuse", "signed": "cut"}, ("signed",), "it is for mode: relay"),
    ({"mode": "refuse", "unsafe_none": True}, ("unsafe_none",), "says nothing with mode: refuse"),
]  # fmt: skip
"""Keys that are sound and do not fit together, which no schema says."""


@pytest.mark.parametrize(("value", "wanted"), SOUND)
def test_a_listener(value: Any, wanted: OpcUaListener) -> None:
    reports = Reports()
    assert parse_listener(value, reports) == wanted
    assert reports.found == []
    assert not faults(SCHEMA["listener"], value)
    assert pickle.loads(pickle.dumps(wanted)) == wanted


def test_without_a_word_a_listener_terminates_and_encrypts() -> None:
    made = parse_listener(None, Reports())
    assert made == OpcUaListener("terminate", THREE, frozenset({"sign_and_encrypt"}))
    assert made.secrets == ("opcua.crt", "opcua.key", "opcua-ca.crt")
    assert made.unsafe == ()


@pytest.mark.parametrize(("value", "path", "said"), [*WRONG, *UNFIT])
def test_a_listener_that_is_wrong(value: Any, path: tuple[str | int, ...], said: str) -> None:
    """T51: what is weaker than it seems is not taken without a word for it."""
    reports = Reports()
    assert parse_listener(value, reports) is None
    at, text = reports.only()
    assert (at, said in text) == (path, True), text
    assert text.isprintable()


@pytest.mark.parametrize("value", [value for value, _, said in WRONG if said != "opc.tcp://HOST:PORT"], ids=str)
def test_a_mistake_of_form_shows_in_an_editor(value: Any) -> None:
    assert faults(SCHEMA["listener"], value)


def test_every_mistake_is_told_at_once() -> None:
    reports = Reports()
    assert (
        parse_listener({"mode": "x", "policies": ["Basic256", "y"], "modes": [], "trust": 5, "z": 1}, reports) is None
    )
    assert set(reports.paths) == {("mode",), ("policies", 0), ("policies", 1), ("modes",), ("trust",), ("z",)}


def test_what_is_unsafe_is_told() -> None:
    assert OpcUaListener(unsafe_none=True).unsafe == ("unsafe_none",)
    assert OpcUaListener("relay", signed=True).unsafe == ("signed: cut",)
    assert OpcUaListener("relay", unsafe_none=True, signed=True).unsafe == ("unsafe_none", "signed: cut")


def test_only_who_terminates_needs_files() -> None:
    files = OpcUaListener(certificate="front", trust=("hmi-1.der", "opcua-ca", "hmi-1.der")).secrets
    assert files == ("front.crt", "front.key", "hmi-1.der", "opcua-ca.crt")
    assert OpcUaListener("relay", unsafe_none=True).secrets == ()
    assert OpcUaListener("refuse").secrets == ()


@pytest.mark.parametrize(
    ("change", "wider", "back"),
    [
        ({"mode": "relay"}, True, True),
        ({"mode": "refuse"}, False, True),
        ({"policies": frozenset({"Basic256Sha256"})}, False, True),
        ({"modes": BOTH}, True, False),
        ({"users": frozenset({"username"})}, False, True),
        ({"trust": ("opcua-ca", "hmi-1.der")}, True, False),
        ({"trust": ("other-ca",)}, True, True),
        ({"unsafe_none": True}, True, False),
        ({"signed": True}, True, False),
        ({"certificate": "front"}, False, False),
        ({"url": "opc.tcp://a:1"}, False, False),
    ],
)
def test_what_a_change_does_to_access(change: dict[str, Any], wider: bool, back: bool) -> None:
    """T70."""
    before = OpcUaListener()
    now = replace(before, **change)
    (option,) = [one for one in fields(now) if one.name in change]
    new, old = getattr(now, option.name), getattr(before, option.name)
    assert (widens(option, new, old), widens(option, old, new)) == (wider, back)
