"""A session on a secured channel belongs to the key of its channel: signatures, nonces, certificates (T01, T11)."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import pytest

from proxy.core.names import Names
from proxy.protocols.base import Client, Effects
from proxy.protocols.opcua import status
from proxy.protocols.opcua.inspector import OpcUaInspector
from proxy.protocols.opcua.listener import OpcUaListener
from proxy.protocols.opcua.memory import Memory
from proxy.protocols.opcua.security.policies import BASIC256SHA256
from proxy.protocols.opcua.services.discovery import ApplicationDescription
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
)
from proxy.protocols.opcua.south_channel import SouthChannel
from proxy.protocols.opcua.values import LocalizedText
from tests.opcua.channel_world import CLIENT, OTHER, SERVER, WALL, own, pem_of, rsa_key, south_setting
from tests.opcua.inspector_world import UNSIGNED, Policy, World


@dataclass(frozen=True)
class _Setting:
    options: OpcUaListener
    name: str = "front"
    secured: bool = True
    deny_style: str = "refuse"

    def secret(self, name: str) -> bytes:
        files = {"opcua.crt": own(SERVER).der, "opcua.key": pem_of(rsa_key(SERVER)), "opcua-ca.crt": own(CLIENT).der}
        return files[name]


class Secured(World):
    """The client holds the key of `CLIENT`, which the listener trusts."""

    def __init__(self) -> None:
        self.policy = Policy.of({"read": ["i=1"]})
        self.server = lambda world, request: None
        self.memory = Memory()
        self.reached, self.heard, self.broke, self.events = [], [], [], []
        self.now, self.out = 0.0, Effects()
        self._tokens, self._requests = 100, 0
        client = Client(Names("hmi"), os.urandom, 0.0, memory=self.memory, wall=lambda: WALL)
        setting = _Setting(OpcUaListener())
        self.inspector = OpcUaInspector(self.policy.decide, setting, client)
        self.channel = SouthChannel(south_setting(), os.urandom, lambda: WALL)
        data = bytearray()
        self.channel.start(0.0, data)
        self.feed(bytes(data))

    def settle(self) -> None:
        super().settle()
        if self.out.introduced is not None:
            self.out.introduced = None
            self.inspector.identified(Names("hmi"), self.now, self.out)
            super().settle()

    def create(self, **changed: object) -> CreateSessionRequest:
        application = ApplicationDescription("urn:plant:hmi", None, LocalizedText(None, "c"), 1, None, None, None)
        request = CreateSessionRequest(
            self.header(), application, None, "opc.tcp://front:4840", "s", os.urandom(32), own(CLIENT).der, 60_000.0, 0
        )
        return replace(request, **changed)  # type: ignore[arg-type]

    def signed(self, created: CreateSessionResponse, nonce: bytes, by: str = CLIENT) -> ActivateSessionRequest:
        data = (created.server_certificate or b"") + nonce
        signature = SignatureData(BASIC256SHA256.signature_uri, BASIC256SHA256.asym_sign(own(by).key, data))
        return replace(self.activation(created.authentication_token), client_signature=signature)

    def refused(self, request: CreateSessionRequest | ActivateSessionRequest) -> int:
        before = len(self.reached)
        code = self.ask(request, ServiceFault).header.service_result
        assert len(self.reached) == before
        return code


def test_a_session_is_activated_by_the_key_of_its_channel() -> None:
    one = Secured()
    created = one.ask(one.create(), CreateSessionResponse)
    nonce = created.server_nonce or b""
    told = one.ask(one.signed(created, nonce), ActivateSessionResponse)
    assert told.server_nonce != nonce


def test_t11_a_signature_is_good_once() -> None:
    """The nonce is renewed with each activation, so that what was recorded is worth nothing."""
    one = Secured()
    created = one.ask(one.create(), CreateSessionResponse)
    request = one.signed(created, created.server_nonce or b"")
    told = one.ask(request, ActivateSessionResponse)
    assert one.refused(request) == status.BAD_APPLICATION_SIGNATURE_INVALID
    one.ask(one.signed(created, told.server_nonce or b""), ActivateSessionResponse)


def test_t11_no_signature_and_somebody_elses_activate_nothing() -> None:
    one = Secured()
    created = one.ask(one.create(), CreateSessionResponse)
    nonce = created.server_nonce or b""
    unsigned = replace(one.signed(created, nonce), client_signature=UNSIGNED)
    for request in (unsigned, one.signed(created, nonce, by=OTHER), one.signed(created, bytes(32))):
        assert one.refused(request) == status.BAD_APPLICATION_SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"client_certificate": None}, status.BAD_CERTIFICATE_INVALID),
        ({"client_certificate": own(OTHER).der}, status.BAD_CERTIFICATE_INVALID),
        ({"client_nonce": b"short"}, status.BAD_NONCE_INVALID),
    ],
    ids=["no certificate", "another certificate", "a short nonce"],
)
def test_t01_a_session_is_created_by_the_certificate_of_its_channel(changed: dict[str, object], code: int) -> None:
    one = Secured()
    assert one.refused(one.create(**changed)) == code


def test_t01_a_session_is_created_for_the_application_of_its_certificate() -> None:
    one = Secured()
    application = replace(one.create().client_description, application_uri="urn:plant:other")
    assert one.refused(one.create(client_description=application)) == status.BAD_CERTIFICATE_URI_INVALID
