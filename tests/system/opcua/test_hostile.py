"""Attacks on channels and sessions: refused, and nothing of them is on the robot's record."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import encode, make_extension
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.security.policies import Mode
from proxy.protocols.opcua.services.attribute import ReadResponse, WriteResponse
from proxy.protocols.opcua.services.session import CloseSessionRequest, CloseSessionResponse, SignatureData
from tests.support.opcua import requests, site
from tests.support.opcua.applications import uri_of
from tests.support.opcua.names import OPEN, SPEED, node_id
from tests.support.opcua.raw_client import Ended, RawClient, Security, Session

if TYPE_CHECKING:
    from tests.support.opcua.applications import ApplicationFiles, Applications
    from tests.support.opcua.robot_process import Robot

pytestmark = pytest.mark.system
Url = Callable[[str], str]
INDEX = 2
NODE = NodeId.string(INDEX, OPEN[0])
POLICIES = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
REFUSED = {status.BAD_SESSION_ID_INVALID, status.BAD_SECURE_CHANNEL_ID_INVALID, status.BAD_USER_ACCESS_DENIED}
CLOSED = {status.BAD_SECURITY_CHECKS_FAILED, status.BAD_SEQUENCE_NUMBER_INVALID}


@pytest.fixture(scope="module")
def shown(applications: Applications) -> bytes:
    """The gateway's own certificate, DER."""
    pem = (applications.certs / "opcua.crt").read_bytes()
    return x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.DER)


@pytest.fixture
def secured(hmi: ApplicationFiles, shown: bytes) -> Security:
    return Security.of("Basic256Sha256", Mode.SIGN_AND_ENCRYPT, hmi, shown)


@pytest.fixture(params=["none", "secured"])
def security(request: pytest.FixtureRequest, secured: Security) -> Security:
    return secured if request.param == "secured" else Security()


def entered(url: str, security: Security, uri: str = uri_of(site.HMI)) -> RawClient:
    return RawClient(url, security, uri=uri)


def works(client: RawClient, session: Session) -> None:
    answer = client.asked(requests.read(client.header(session.token), [NODE]), ReadResponse)
    assert [requests.status_of(one) for one in answer.results or ()] == [0]


def write(client: RawClient, session: Session, value: float) -> bytes:
    return encode(requests.write(client.header(session.token), [(NODE, value)]))


def arrived(robot: Robot) -> list[float]:
    return robot.items("Write", "value")


# Sessions.


def test_t11_a_session_hijacked_on_a_second_channel(url: Url, security: Security, robot: Robot) -> None:
    """T11: whoever saw an authentication token has no use of it on a channel of his own."""
    with entered(url(site.FRONT), security) as owner, entered(url(site.FRONT), security) as thief:
        session = owner.session()
        robot.forget()
        assert thief.refused(requests.write(thief.header(session.token), [(NODE, 66.0)])) in REFUSED
        assert thief.refused(requests.read(thief.header(session.token), [NODE])) in REFUSED
        assert thief.refused(CloseSessionRequest(thief.header(session.token), True)) in REFUSED
        assert arrived(robot) == [] and robot.items("Read") == []
        works(owner, session)


def test_t11_a_session_hijacked_from_another_application(
    url: Url, secured: Security, station: ApplicationFiles, shown: bytes, robot: Robot
) -> None:
    """T11: ActivateSession on a second channel needs the certificate that made the session (Part 4, 5.7.3)."""
    theirs = Security.of("Basic256Sha256", Mode.SIGN_AND_ENCRYPT, station, shown)
    with entered(url(site.FRONT), secured) as owner, entered(url(site.FRONT), theirs, station.uri) as thief:
        session = owner.session("operator")
        assert thief.refused(thief.activation(session, "operator")) & status.BAD
        robot.forget()
        assert thief.refused(requests.write(thief.header(session.token), [(NODE, 66.0)])) in REFUSED
        assert arrived(robot) == []
        works(owner, session)


def test_t11_a_session_moved_with_another_user(url: Url, secured: Security, robot: Robot) -> None:
    """T11: on a new channel the user stays who he was."""
    with entered(url(site.FRONT), secured) as owner, entered(url(site.FRONT), secured) as second:
        session = owner.session("operator")
        assert second.refused(second.activation(session, "maintainer")) & status.BAD
        works(owner, session)


def test_a_session_moves_to_another_channel_of_its_owner(url: Url, secured: Security) -> None:
    """What the standard allows: same certificate, same user; then the old channel has no use of it."""
    with entered(url(site.FRONT), secured) as first, entered(url(site.FRONT), secured) as second:
        session = first.session("operator")
        second.activate(session, "operator")
        works(second, session)
        assert first.refused(requests.read(first.header(session.token), [NODE])) in REFUSED


def test_t11_a_token_that_nobody_has(url: Url, security: Security, robot: Robot) -> None:
    with entered(url(site.FRONT), security) as client:
        session = client.session()
        robot.forget()
        for token in (NodeId.NULL, NodeId.numeric(0, 1), NodeId.string(1, "x"), replace(session.token, namespace=7)):
            assert client.refused(requests.write(client.header(token), [(NODE, 66.0)])) in REFUSED
        assert arrived(robot) == []
        works(client, session)


def test_t11_a_service_before_the_session_is_activated(url: Url, security: Security, robot: Robot) -> None:
    """T11, CVE-2023-26150."""
    with entered(url(site.FRONT), security) as client:
        session = client.create()
        robot.forget()
        code = client.refused(requests.write(client.header(session.token), [(NODE, 66.0)]))
        assert code in (status.BAD_SESSION_NOT_ACTIVATED, *REFUSED)
        assert arrived(robot) == []


@pytest.mark.parametrize("user", [None, "operator"])
def test_t11_an_activation_replayed(url: Url, secured: Security, robot: Robot, user: str | None) -> None:
    """T11: a signature over a nonce that was used already proves nothing, and neither does a password."""
    with entered(url(site.FRONT), secured) as client:
        session = client.create()
        first = client.activation(session, user)
        client.ask(first)
        again = replace(first, header=client.header(session.token))
        assert client.refused(again) & status.BAD


def test_t11_an_activation_without_or_with_a_wrong_signature(url: Url, secured: Security, robot: Robot) -> None:
    with entered(url(site.FRONT), secured) as client:
        session = client.create()
        for signature in (
            SignatureData(None, None),
            SignatureData(secured.policy.signature_uri, b"\x01" * 256),
            client.signature(replace(session, nonce=b"\x00" * 32)),
        ):
            refused = client.activation(session, client_signature=signature)
            assert client.refused(refused) & status.BAD
        robot.forget()
        assert client.refused(requests.write(client.header(session.token), [(NODE, 66.0)])) & status.BAD
        assert arrived(robot) == [] and robot.received("ActivateSession") == []


def test_t11_a_wrong_password_gets_one_constant_answer(url: Url, secured: Security, robot: Robot) -> None:
    """T11, CVE-2026-54155: whatever was wrong with the secret of a user token, the answer does not tell."""
    codes = set()
    with entered(url(site.FRONT), secured) as client:
        session = client.create()
        taken, certificate = client.offered(session, 1)
        good = client.user_name(taken, certificate, "operator", b"op-secret", session.nonce)
        robot.forget()
        for broken in (
            replace(good, password=b"\x00" * 256),
            replace(good, password=b"short"),
            replace(good, password=good.password and good.password[:-1] + bytes([good.password[-1] ^ 1])),
            client.user_name(taken, certificate, "operator", b"op-secret", b"\x00" * 32),
            client.user_name(taken, certificate, "operator", b"op-secret", b""),
            replace(good, encryption_algorithm=None, password=b"op-secret"),
        ):
            codes.add(client.refused(client.activation(session, user_identity_token=make_extension(broken))))
        assert len(codes) == 1 and codes.pop() & status.BAD
    assert robot.received("ActivateSession") == []


# Messages.


def test_t42_a_replayed_message(url: Url, security: Security, robot: Robot) -> None:
    """T42: the same frame again, as it was: it has a sequence number that was there already."""
    with entered(url(site.FRONT), security) as client:
        session = client.session()
        robot.forget()
        frame = client.frames(write(client, session, 1.0))
        client.wire(frame)
        client.hear()
        client.wire(frame)
        assert client.ended() in CLOSED
        assert arrived(robot) == [1.0]


@pytest.mark.parametrize("by", [-1, 1, 1000, -5])
def test_t42_a_stale_or_early_sequence_number(url: Url, security: Security, robot: Robot, by: int) -> None:
    with entered(url(site.FRONT), security) as client:
        session = client.session()
        works(client, session)
        works(client, session)
        robot.forget()
        client.skip_sequence(by)
        client.wire(client.frames(write(client, session, 66.0)))
        assert client.ended() in CLOSED
        assert arrived(robot) == []


def test_t42_a_message_of_another_channel(url: Url, security: Security, robot: Robot) -> None:
    """T42: frames of one channel put into another connection, of the same application even."""
    with entered(url(site.FRONT), security) as one, entered(url(site.FRONT), security) as two:
        session = one.session()
        two.session()
        robot.forget()
        two.wire(one.frames(write(one, session, 66.0)))
        assert two.ended() in (status.BAD_TCP_SECURE_CHANNEL_UNKNOWN, status.BAD_SECURE_CHANNEL_ID_INVALID, *CLOSED)
        assert arrived(robot) == []


def test_t42_a_token_that_was_not_issued(url: Url, security: Security, robot: Robot) -> None:
    with entered(url(site.FRONT), security) as client:
        session = client.session()
        robot.forget()
        frame = bytearray(client.frames(write(client, session, 66.0)))
        frame[12] ^= 1
        client.wire(frame)
        assert client.ended() in (status.BAD_SECURE_CHANNEL_TOKEN_UNKNOWN, *CLOSED)
        assert arrived(robot) == []


def test_t42_one_bit_of_a_secured_message(url: Url, secured: Security, robot: Robot) -> None:
    """T42: anywhere after the headers; the answer is always the same."""
    for at in (16, 40, -33, -1):
        with entered(url(site.FRONT), secured) as client:
            session = client.session()
            robot.forget()
            frame = bytearray(client.frames(write(client, session, 66.0)))
            frame[at] ^= 4
            client.wire(frame)
            assert client.ended() == status.BAD_SECURITY_CHECKS_FAILED, at
            assert arrived(robot) == []


def test_t43_a_message_that_is_never_final(url: Url, security: Security, robot: Robot) -> None:
    """T43: chunks without an end are cut at 1 MiB or 64 chunks, whatever their request ids."""
    with entered(url(site.FRONT), security) as client:
        client.session()
        chunk = 8_000
        with pytest.raises((Ended, ConnectionError)):
            for _ in range(100):
                out = bytearray()
                client.channel._seal(b"MSG", b"C", 77, b"\x00" * chunk, out)
                client.wire(out)
            raise Ended(client.ended())


def test_t43_an_abort_is_no_end(url: Url, security: Security) -> None:
    """T43: `A` discards what came of a message, and the channel lives on."""
    with entered(url(site.FRONT), security) as client:
        session = client.session()
        out = bytearray()
        client.channel._seal(b"MSG", b"C", 77, b"\x00" * 100, out)
        client.channel._seal(b"MSG", b"A", 77, b"\x00\x00\x00\x80\xff\xff\xff\xff", out)
        client.wire(out)
        works(client, session)


# Certificates and policies.


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", ["self-signed", "expired", "of another authority"])
def test_t01_a_certificate_that_is_not_believed(
    url: Url, applications: Applications, shown: bytes, robot: Robot, policy: str, kind: str
) -> None:
    """T01, T09: it calls itself as the true one does, and it holds its own key."""
    uri = uri_of(site.HMI)
    if kind == "expired":
        forged = applications.issue("forged", uri, since=timedelta(days=3), life=timedelta(days=1))
    elif kind == "of another authority":
        forged = applications.of_another_authority("forged", uri)
    else:
        forged = applications.self_signed(site.HMI, uri, label="forged")
    with RawClient(url(site.FRONT), Security.of(policy, Mode.SIGN, forged, shown), uri=uri, open=False) as client:
        with pytest.raises(Ended) as ended:
            client.open()
        assert ended.value.status == status.BAD_SECURITY_CHECKS_FAILED
    assert robot.received() == []


def test_t01_a_certificate_without_its_key(
    url: Url, applications: Applications, hmi: ApplicationFiles, shown: bytes, robot: Robot
) -> None:
    """T01: the true certificate, shown by somebody who has another key."""
    stolen = Security.of("Basic256Sha256", Mode.SIGN, hmi, shown)
    assert stolen.own is not None
    forged = replace(stolen, own=replace(stolen.own, key=applications.key("forged")))
    with RawClient(url(site.FRONT), forged, open=False) as client:
        with pytest.raises(Ended) as ended:
            client.open()
        assert ended.value.status == status.BAD_SECURITY_CHECKS_FAILED
    assert robot.received() == []


def test_t01_another_application_uri_than_the_certificates(url: Url, secured: Security, robot: Robot) -> None:
    """T01: who speaks is in the certificate; CreateSession must say the same."""
    with (
        RawClient(url(site.FRONT), secured, uri=uri_of(site.STATION)) as client,
        pytest.raises((AssertionError, Ended)),
    ):
        client.session()
    assert robot.received("ActivateSession") == []


def test_t51_a_downgrade_to_none(url: Url, robot: Robot) -> None:
    """T51: a listener without unsafe_none opens a channel with None for discovery, and nothing else goes over it."""
    with RawClient(url(site.STRICT), uri=uri_of(site.HMI)) as client:
        with pytest.raises((AssertionError, Ended)):
            client.session()
    assert robot.received() == []


@pytest.mark.parametrize("name", ["Basic128Rsa15", "Basic256", "Aes512", ""])
def test_t51_a_policy_that_is_broken_or_unknown(url: Url, secured: Security, robot: Robot, name: str) -> None:
    policy = replace(secured.policy, name=name)
    with RawClient(url(site.FRONT), replace(secured, policy=policy), open=False) as client:
        with pytest.raises(Ended) as ended:
            client.open()
        assert ended.value.status in (status.BAD_SECURITY_POLICY_REJECTED, status.BAD_SECURITY_CHECKS_FAILED)
    assert robot.received() == []


def test_t51_a_mode_that_the_listener_does_not_offer(url: Url, hmi: ApplicationFiles, shown: bytes) -> None:
    """T51: Sign where SignAndEncrypt is asked for."""
    with RawClient(url(site.STRICT), Security.of("Basic256Sha256", Mode.SIGN, hmi, shown), open=False) as client:
        with pytest.raises(Ended) as ended:
            client.open()
        assert ended.value.status in (status.BAD_SECURITY_MODE_REJECTED, status.BAD_SECURITY_CHECKS_FAILED)


def test_t51_a_renewal_with_less(url: Url, secured: Security, robot: Robot) -> None:
    """T51: a secured channel cannot be renewed without security."""
    with entered(url(site.FRONT), secured) as client:
        client.session()
        client.channel._setting = replace(client.channel._setting, mode=Mode.SIGN)
        with pytest.raises(Ended):
            client.renew()


# Garbage.

HEL = b"HELF" + (32).to_bytes(4, "little") + b"\x00" * 4 + (65535).to_bytes(4, "little") * 2 + b"\x00" * 8


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"MSGF" + b"\xff" * 4,
        b"HELF\x08\x00\x00\x00",
        HEL * 2,
    ],
    ids=["http", "tls", "huge", "short", "twice"],
)
def test_t45_what_is_no_opc_ua(url: Url, robot: Robot, data: bytes) -> None:
    host, _, port = url(site.FRONT).removeprefix("opc.tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), 5) as sock:
        sock.sendall(data)
        said = b""
        while part := sock.recv(4096):
            said += part
    assert said == b"" or b"ERRF" in said
    assert robot.received() == []


def test_a_good_client_is_served_after_all_of_this(url: Url, secured: Security, robot: Robot) -> None:
    with entered(url(site.FRONT), secured) as client:
        session = client.session("operator")
        speed = NodeId.string(INDEX, SPEED)
        asked = requests.write(client.header(session.token), [(speed, 2.0), (NodeId.string(INDEX, "No.0"), 3.0)])
        assert client.asked(asked, WriteResponse).results == (0, status.BAD_USER_ACCESS_DENIED)
        closed = CloseSessionRequest(client.header(session.token), True)
        assert isinstance(client.ask(closed), CloseSessionResponse)
        assert robot.items("Write") == [node_id(SPEED)]
