"""A secured channel to the server: who it is, what it proves, and what goes to it of the user's password."""

from __future__ import annotations

import struct
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from proxy.protocols.base import UpstreamState
from proxy.protocols.opcua import status
from proxy.protocols.opcua.memory import TokenPolicy
from proxy.protocols.opcua.security.policies import AES256, PREFIX, Mode
from proxy.protocols.opcua.services.attribute import ReadResponse
from proxy.protocols.opcua.services.discovery import GetEndpointsRequest, GetEndpointsResponse
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    CloseSessionRequest,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
)
from proxy.protocols.opcua.south_identity import Identities
from proxy.protocols.opcua.south_session import next_nonce
from tests.opcua.south import URL, South, activate, create, read
from tests.opcua.south_certificates import SERVER, certificates, service
from tests.opcua.south_server import USERS, Server, good, user_policy
from tests.support.opcua.applications import uri_of

if TYPE_CHECKING:
    from proxy.protocols.opcua.service import OpcUaService

SIGN, ENCRYPT = Mode.SIGN, Mode.SIGN_AND_ENCRYPT
BASIC, AES128, PSS = "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"
CHANNELS = [(policy, mode) for policy in (BASIC, AES128, PSS) for mode in (SIGN, ENCRYPT)]
PASSWORD = b"op-secret"


def server_of(policy: str = BASIC, mode: Mode = ENCRYPT, **more: Any) -> Server:
    known = certificates()
    return Server(policy, mode, known.robot, (known.gateway.der,), **more)


@cache
def identities(options: OpcUaService) -> Identities:
    """Kept from test to test as a device's memory keeps them from link to link: keys are slow to load."""
    return Identities()


def south_of(server: Server, **more: Any) -> South:
    options = service(server.policy.name, "sign" if server.mode is SIGN else "sign_and_encrypt")
    south = South(server, options, secrets=certificates().secrets, **more)
    south.memory.identities = identities(options)
    return south


def code(answer: Any) -> int:
    assert isinstance(answer, ServiceFault), answer
    return answer.header.service_result


def distrusted(server: Server, why: str) -> None:
    """The client gets one constant fault, the record says why, and the server's session ends."""
    south = south_of(server)
    assert code(south.ask(create())) == status.BAD_SECURITY_CHECKS_FAILED
    assert south.events == [f"UPSTREAM_INVALID: {why}"]
    assert not south.memory.sessions and not server.requests(ActivateSessionRequest)


@pytest.mark.parametrize(("policy", "mode"), CHANNELS)
class TestEveryPolicy:
    def test_anonymous(self, policy: str, mode: Mode) -> None:
        server = server_of(policy, mode)
        south = south_of(server)
        session = south.session()
        assert isinstance(south.ask(read(session.token)), ReadResponse)
        assert (server.channel.policy.name, server.channel.mode) == (policy, mode) and not south.events
        (seen,) = server.requests(CreateSessionRequest)
        assert seen.client_certificate == certificates().gateway.der
        assert seen.client_description.application_uri == uri_of("gateway") and seen.endpoint_url == URL

    def test_password_is_encrypted_for_the_server(self, policy: str, mode: Mode) -> None:
        server = server_of(policy, mode)
        south_of(server).session("operator", PASSWORD)
        assert [live.user for live in server.sessions.values()] == ["operator"]
        assert all(PASSWORD not in token.user_identity_token.body for token in server.requests(ActivateSessionRequest))

    def test_renewal_and_activation_again(self, policy: str, mode: Mode) -> None:
        server = server_of(policy, mode)
        south = south_of(server)
        session = south.session("operator", PASSWORD)
        south.wait(3_000)
        assert [type(event).__name__ for event in server.broke] == ["Opened", "Renewed"]
        assert isinstance(south.ask(activate(session.token, "operator", PASSWORD)), ActivateSessionResponse)

    def test_on_another_channel(self, policy: str, mode: Mode) -> None:
        """The second link signs over the nonce that the first was given."""
        server = server_of(policy, mode)
        first = south_of(server)
        session = first.session("operator", PASSWORD)
        first.leave()
        second = south_of(server, memory=first.memory)
        assert isinstance(second.ask(activate(session.token, "operator", PASSWORD)), ActivateSessionResponse)
        assert isinstance(second.ask(read(session.token)), ReadResponse)


def test_a_nonce_is_signed_once() -> None:
    server = server_of()
    south = south_of(server)
    session = south.session()
    for _ in range(3):
        assert isinstance(south.ask(activate(session.token)), ActivateSessionResponse)
    signatures = [request.client_signature.signature for request in server.requests(ActivateSessionRequest)]
    assert len(set(signatures)) == 4


@pytest.mark.parametrize("cut", [1, 33])
def test_whatever_the_cut(cut: int) -> None:
    assert south_of(server_of(), cut=cut).session("operator", PASSWORD).namespaces


class TestTheServerIsTheOneWeKnow:
    def test_wrong_certificate_on_the_channel(self) -> None:
        known = certificates()
        server = Server(BASIC, ENCRYPT, known.other, (known.gateway.der,))
        south = south_of(server)
        south.submit(create())
        assert south.states == [UpstreamState.REFUSED] and south.dropped and not server.log

    def test_wrong_certificate_with_the_key_of_another_that_shows_ours(self) -> None:
        """A thief has the server's certificate, which is public, and not its key."""
        known = certificates()
        thief = replace(known.robot, key=known.other.key)
        server = Server(BASIC, ENCRYPT, thief, (known.gateway.der,))
        south = south_of(server)
        south.submit(create())
        assert south.states == [UpstreamState.REFUSED] and south.dropped and not server.log

    def test_t51_a_server_that_speaks_only_none(self) -> None:
        south = South(Server(), service(BASIC, "sign_and_encrypt"), secrets=certificates().secrets)
        south.submit(create())
        assert south.states == [UpstreamState.REFUSED] and not south.server.log

    def test_wrong_certificate_in_create_session(self) -> None:
        server = server_of()
        server.answers[CreateSessionRequest] = lambda request: replace(
            server.create(request), server_certificate=certificates().other.der
        )
        distrusted(server, "CreateSession: the server's certificate is not the one it is known by")
        assert server.requests(CloseSessionRequest)

    @pytest.mark.parametrize("certificate", [None, b"", b"\x30\x82\x00\x01\x00"])
    def test_no_certificate_in_create_session(self, certificate: bytes | None) -> None:
        server = server_of()
        server.answers[CreateSessionRequest] = lambda request: replace(
            server.create(request), server_certificate=certificate
        )
        distrusted(server, "CreateSession: the server's certificate is not the one it is known by")

    @pytest.mark.parametrize("over", ["nothing", "another nonce", "another certificate", "another key"])
    def test_wrong_signature(self, over: str) -> None:
        server, known = server_of(), certificates()

        def answer(request: CreateSessionRequest) -> CreateSessionResponse:
            nonce, der = request.client_nonce or b"", request.client_certificate or b""
            signed = {"another nonce": der + bytes(32), "another certificate": known.other.der + nonce}
            key = known.other.key if over == "another key" else known.robot.key
            made = server.policy.asym_sign(key, signed.get(over, der + nonce))
            signature = SignatureData(server.policy.signature_uri, None if over == "nothing" else made)
            return replace(server.create(request), server_signature=signature)

        server.answers[CreateSessionRequest] = answer
        distrusted(server, "CreateSession: the server's signature is wrong")

    def test_signature_of_another_algorithm(self) -> None:
        server = server_of()

        def answer(request: CreateSessionRequest) -> CreateSessionResponse:
            made = server.create(request)
            return replace(made, server_signature=replace(made.server_signature, algorithm=AES256.signature_uri))

        server.answers[CreateSessionRequest] = answer
        distrusted(server, "CreateSession: the server signs with another algorithm than the channel's policy has")

    def test_short_nonce(self) -> None:
        server = server_of()
        server.answers[CreateSessionRequest] = lambda request: replace(server.create(request), server_nonce=bytes(31))
        distrusted(server, "CreateSession: a nonce of less than 32 bytes")

    @pytest.mark.parametrize("nonce", [None, b"", bytes(31), bytes(129)])
    def test_short_nonce_in_activate_session(self, nonce: bytes | None) -> None:
        server = server_of()
        server.answers[ActivateSessionRequest] = lambda request: ActivateSessionResponse(
            good(request), nonce, None, None
        )
        south = south_of(server)
        answer = south.ask(activate(south.create().authentication_token))
        assert code(answer) == status.BAD_SECURITY_CHECKS_FAILED and not south.memory.sessions

    def test_pinned_without_security(self) -> None:
        """It proves nothing, but a password is encrypted for no other certificate."""
        server = Server("None", Mode.NONE, certificates().other)
        south = South(server, service("None", "sign"), secrets=certificates().secrets)
        assert code(south.ask(create())) == status.BAD_SECURITY_CHECKS_FAILED

    @pytest.mark.parametrize(
        "content", [b"", b"nothing", b"-----BEGIN " + b"CERTIFICATE-----\nAA==\n-----END " + b"CERTIFICATE-----"]
    )
    def test_a_pinned_file_that_is_no_certificate(self, content: bytes) -> None:
        secrets = {**certificates().secrets, SERVER: content}
        south = South(server_of(), service(BASIC, "sign"), secrets=secrets)
        south.submit(create())
        assert south.states == [UpstreamState.REFUSED] and len(south.events) == 1
        assert south.events[0].startswith("UPSTREAM_UNREACHABLE: ")


class TestT51:
    """Downgrades: what the server lists must be what we use."""

    def test_endpoints_are_asked_once_on_this_very_channel(self) -> None:
        server = server_of()
        south = south_of(server)
        south.session()
        south.session()
        assert [type(request).__name__ for request in server.log[:2]] == ["GetEndpointsRequest", "CreateSessionRequest"]
        assert len(server.requests(GetEndpointsRequest)) == 1

    def changed(self, **fields: Any) -> Server:
        server = server_of()
        server.answers[CreateSessionRequest] = lambda request: replace(
            server.create(request),
            server_endpoints=tuple(replace(one, **fields) for one in server.endpoints()[:1]) + server.endpoints()[1:],
        )
        return server

    @pytest.mark.parametrize(
        "fields",
        [
            {"security_mode": 1},
            {"security_mode": 2},
            {"security_policy_uri": PREFIX + "None"},
            {"security_policy_uri": PREFIX + "Basic128Rsa15"},
            {"security_policy_uri": None},
            {"server_certificate": None},
            {"transport_profile_uri": "http://opcfoundation.org/UA-Profile/Transport/https-uabinary"},
        ],
    )
    def test_create_session_does_not_list_what_we_use(self, fields: dict[str, Any]) -> None:
        why = "CreateSession does not list the policy, mode and certificate that this channel has"
        distrusted(self.changed(**fields), why)

    @pytest.mark.parametrize(
        "fields",
        [
            {"user_identity_tokens": (*USERS, user_policy("clear", 1, "None"))},
            {"user_identity_tokens": USERS[:1]},
            {"user_identity_tokens": None},
            {"security_level": 9},
        ],
    )
    def test_create_session_lists_something_else_than_get_endpoints(self, fields: dict[str, Any]) -> None:
        distrusted(self.changed(**fields), "CreateSession lists other endpoints than GetEndpoints")

    def test_no_endpoints_at_all(self) -> None:
        server = server_of()
        server.answers[CreateSessionRequest] = lambda request: replace(server.create(request), server_endpoints=None)
        distrusted(server, "CreateSession does not list the policy, mode and certificate that this channel has")

    def test_too_many_endpoints(self) -> None:
        server = server_of()
        server.answers[CreateSessionRequest] = lambda request: replace(
            server.create(request), server_endpoints=server.endpoints() * 51
        )
        distrusted(server, "the server lists 102 endpoints, more than 100")

    @pytest.mark.parametrize(
        "answer",
        [
            lambda request: ServiceFault(good(request)),
            lambda request: GetEndpointsResponse(replace(good(request), service_result=0x80010000), None),
            lambda request: b"\x01\x00\xaf\x01",
        ],
    )
    def test_no_answer_to_get_endpoints(self, answer: Any) -> None:
        server = server_of()
        server.answers[GetEndpointsRequest] = answer
        distrusted(server, "no fitting answer to GetEndpoints")
        assert not server.requests(CreateSessionRequest)

    def test_silence_to_get_endpoints(self) -> None:
        server = server_of()
        server.answers[GetEndpointsRequest] = lambda request: None
        south = south_of(server)
        number = south.submit(create())
        south.wait(11)
        assert code(south.answers[number]) == status.BAD_TIMEOUT and not server.requests(CreateSessionRequest)

    def test_another_name_of_the_server_does_not_matter(self) -> None:
        """An old server names itself by an address that nobody can reach."""
        assert south_of(server_of()).session().namespaces


class TestPasswords:
    def activated(self, server: Server) -> Any:
        south = south_of(server)
        answer = south.ask(activate(south.create().authentication_token, "operator", PASSWORD))
        return answer, south

    def test_never_in_the_clear_on_a_channel_that_only_signs(self) -> None:
        server = server_of(BASIC, SIGN, users=(user_policy("clear", 1, "None"),))
        answer, south = self.activated(server)
        assert code(answer) == status.BAD_IDENTITY_TOKEN_REJECTED and not server.requests(ActivateSessionRequest)
        assert south.events == [
            "UPSTREAM_INVALID: the server takes passwords only in the clear or under a policy that is broken (T51)"
        ]

    def test_in_the_clear_inside_an_encrypted_channel(self) -> None:
        server = server_of(BASIC, ENCRYPT, users=(user_policy("clear", 1, "None"),))
        answer, _ = self.activated(server)
        assert isinstance(answer, ActivateSessionResponse)

    @pytest.mark.parametrize("policy", ["Basic128Rsa15", "Basic256", "Nonsense"])
    def test_t51_not_under_a_broken_policy(self, policy: str) -> None:
        server = server_of(users=(user_policy("old", 1, policy),))
        answer, south = self.activated(server)
        assert code(answer) == status.BAD_IDENTITY_TOKEN_REJECTED and len(south.events) == 1
        assert not server.requests(ActivateSessionRequest)

    @pytest.mark.parametrize("policy", [BASIC, AES128, PSS])
    def test_encrypted_on_a_channel_without_security(self, policy: str) -> None:
        """The better policy is taken, wherever it stands in the list."""
        users = (user_policy("clear", 1, "None"), user_policy("old", 1, "Basic256"), user_policy("safe", 1, policy))
        server = Server("None", Mode.NONE, certificates().robot, users=users)
        South(server).session("operator", PASSWORD)
        (seen,) = server.requests(ActivateSessionRequest)
        assert PASSWORD not in seen.user_identity_token.body and b"safe" in seen.user_identity_token.body

    def test_certificate_of_the_endpoint_alone(self) -> None:
        """As asyncua has it on a channel without security."""
        server = Server("None", Mode.NONE, certificates().robot, users=(user_policy("safe", 1, PSS),))
        server.answers[CreateSessionRequest] = lambda request: replace(server.create(request), server_certificate=None)
        South(server).session("operator", PASSWORD)
        assert [live.user for live in server.sessions.values()] == ["operator"]

    def test_no_certificate_to_encrypt_for(self) -> None:
        server = Server(users=(user_policy("safe", 1, BASIC),))
        south = South(server)
        answer = south.ask(activate(south.create().authentication_token, "operator", PASSWORD))
        assert code(answer) == status.BAD_IDENTITY_TOKEN_REJECTED and len(south.events) == 1

    def test_long_passwords_take_several_blocks(self) -> None:
        server = server_of(PSS)
        server.passwords["operator"] = b"x" * 700
        assert south_of(server).session("operator", b"x" * 700).namespaces

    def test_login_of_the_service(self) -> None:
        server = server_of()
        secrets = {**certificates().secrets, "robot-7.login": b"operator\nop-secret"}
        south = South(server, service(BASIC, "sign_and_encrypt", login="robot-7.login"), secrets=secrets)
        south.session()
        assert [live.user for live in server.sessions.values()] == ["operator"]

    def test_nothing_of_it_is_told(self) -> None:
        server = server_of()
        south = south_of(server)
        south.ask(activate(south.create().authentication_token, "operator", b"hunter2"))
        assert "hunter2" not in repr(south.events) + repr(south.answers) + repr(south.memory.sessions)


def test_nonce_without_security_may_be_missing() -> None:
    south = South(Server())
    south.session()
    identity = south.device._services._identity
    assert next_nonce(None, identity) == b"" and isinstance(next_nonce(bytes(129), identity), str)


def test_secret_has_the_form_of_part_4() -> None:
    """Part 4 7.40.2.2: length of what follows, password, server nonce."""
    server = server_of()
    south = south_of(server)
    token = south.create().authentication_token
    nonce = next(iter(server.sessions.values())).nonce
    server.answers[ActivateSessionRequest] = lambda request: None
    south.submit(activate(token, "operator", PASSWORD))
    (request,) = server.requests(ActivateSessionRequest)
    body = request.user_identity_token.body
    cipher = body.partition(b"operator")[2][4 : 4 + 256]
    plain = server.policy.asym_decrypt(certificates().robot.key, cipher)
    assert plain == struct.pack("<I", len(PASSWORD) + 32) + PASSWORD + nonce


def test_keys_are_loaded_once_for_all_links_and_anew_when_they_change() -> None:
    server, secrets = server_of(), certificates().secrets
    options = service(BASIC, "sign_and_encrypt")
    kept = Identities()
    first = kept.of(options, South(server, options, secrets=secrets).far)
    assert kept.of(options, South(server, options, secrets=dict(secrets)).far) is first
    far = South(server, options, secrets={**secrets, SERVER: certificates().other.der}).far
    changed = kept.of(options, far)
    assert changed.server is not None and changed.server.der == certificates().other.der
    assert kept.of(options, far) is changed


def test_kept_state() -> None:
    south = south_of(server_of())
    state = south.session().south
    assert state.certificate == certificates().robot.der
    assert state.tokens == (TokenPolicy("anon-7", 0, ""), TokenPolicy("user-7", 1, ""))
