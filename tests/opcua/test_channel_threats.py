"""Attacks on a secure channel (threats.md T42, T43, T51): each ends the channel, and nothing of it goes on."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.reason import Reason
from proxy.protocols.opcua import status
from proxy.protocols.opcua.channel import Broke, Closed, Opened, Renewed, Said
from proxy.protocols.opcua.framing import ErrorMessage
from proxy.protocols.opcua.security.certificates import OwnCertificate, Trust
from proxy.protocols.opcua.security.policies import BY_NAME, NONE, Mode
from tests.opcua.channel_forging import RENEW, Opn, plain_chunk
from tests.opcua.channel_oracle import AsyncuaClient
from tests.opcua.channel_world import (
    CLIENT,
    MODES,
    OTHER,
    SECURED,
    SERVER,
    Pair,
    Wanted,
    certificate,
    der,
    none_pair,
    north_setting,
    own,
    peer,
    pem_of,
    rsa_key,
    secured_pair,
    south_setting,
    status_of,
    taken,
)

CHECKS = status.BAD_SECURITY_CHECKS_FAILED


def _greeted(*policies: str, trusted: list[OwnCertificate] | None = None) -> Pair:
    """HEL and ACK are over, nothing else happened."""
    setting = replace(north_setting(*policies), trust=Trust([one.der for one in trusted or [own(CLIENT)]]))
    pair = Pair(setting)
    pair.south.start(0.0, pair.up)
    pair.gives(taken(pair.up))
    pair.down.clear()
    return pair


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("policy", SECURED)
def test_t42_a_replayed_message_is_refused(policy: str, mode: Mode) -> None:
    pair = secured_pair(policy, mode)
    write = pair.says(b"write 80 to the override")
    assert pair.gives(write) == Said(1, b"write 80 to the override")
    assert status_of(pair.gives(write)) == status.BAD_SEQUENCE_NUMBER_INVALID
    assert pair.gives(pair.says(b"anything")) is None


def test_t42_a_replay_after_a_renewal_is_refused() -> None:
    pair = secured_pair()
    write = pair.says(b"write")
    assert pair.gives(write) == Said(1, b"write")
    pair.south.tick(2_700.0, pair.up)
    pair.pump(2_700.0)
    assert pair.gives(pair.says(b"with the new token"), 2_700.0) == Said(1, b"with the new token")
    assert status_of(pair.gives(write, 2_700.0)) == status.BAD_SECURE_CHANNEL_TOKEN_UNKNOWN


@pytest.mark.parametrize("step", [0, -1, -5, 2, 1_000, 2**31])
def test_t42_a_sequence_number_that_does_not_follow_is_refused(step: int) -> None:
    pair = none_pair()
    sequence = pair.south._sent + step
    if step == 0:
        assert pair.gives(plain_chunk(pair, b"first", sequence=sequence + 1)) == Said(2, b"first")
        sequence += 1
    got = pair.gives(plain_chunk(pair, b"stale", sequence=sequence % 2**32))
    assert status_of(got) == status.BAD_SEQUENCE_NUMBER_INVALID


def test_t42_a_dropped_message_is_noticed() -> None:
    pair = secured_pair()
    pair.says(b"dropped on the way")
    assert status_of(pair.gives(pair.says(b"the next"))) == status.BAD_SEQUENCE_NUMBER_INVALID


@pytest.mark.parametrize("mode", [Mode.NONE, *MODES])
def test_t42_a_message_of_another_channel_is_refused(mode: Mode) -> None:
    """As it is, with this channel's id, and with this channel's token id too: then the keys differ."""
    policy = "None" if mode is Mode.NONE else "Basic256Sha256"
    for known in (0, 4, 8):
        ours, theirs = [none_pair() if mode is Mode.NONE else secured_pair(policy, mode) for _ in range(2)]
        stolen = bytearray(theirs.says(b"stolen"))
        stolen[8 : 8 + known] = ours.says(b"")[8 : 8 + known]
        got = ours.gives(bytes(stolen))
        wanted = (status.BAD_TCP_SECURE_CHANNEL_UNKNOWN, status.BAD_SECURE_CHANNEL_TOKEN_UNKNOWN, CHECKS)[known // 4]
        if mode is Mode.NONE and known == 8:  # nothing secures a None channel but the ids that nobody else is told
            assert got == Said(1, b"stolen")
        else:
            assert status_of(got) == wanted


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("policy", SECURED)
def test_t42_every_changed_byte_of_a_secured_message_is_noticed(policy: str, mode: Mode) -> None:
    size = len(secured_pair(policy, mode).says(b"set 80"))
    pair = secured_pair(policy, mode)
    message = pair.says(b"set 80")
    token = pair.north._token
    assert token is not None
    assert len(message) == size
    for at in range(16, size):
        assert token.open(message[:at] + bytes((message[at] ^ 1,)) + message[at + 1 :]) is None
    changed = message[:30] + bytes((message[30] ^ 0x80,)) + message[31:]
    assert pair.gives(changed) == Broke(Reason.MALFORMED, CHECKS, "a chunk that its token does not secure")


def test_t42_chunks_of_two_messages_do_not_mix() -> None:
    pair = none_pair()
    first = plain_chunk(pair, b"one", chunk=b"C", sequence=pair.south._sent + 1, request=5)
    second = plain_chunk(pair, b"two", chunk=b"F", sequence=pair.south._sent + 2, request=6)
    assert pair.gives(first) is None
    assert status_of(pair.gives(second)) == status.BAD_DECODING_ERROR


def test_t42_a_channel_that_broke_takes_nothing_more() -> None:
    pair = none_pair()
    good = pair.says(b"good")
    events = pair.north.receive(b"XYZF" + bytes(20) + good, 0.0, pair.down)
    assert [type(event) for event in events] == [Broke]
    assert pair.north.receive(good, 0.0, pair.down) == []
    assert not pair.north.send(1, b"answer", pair.down)


@pytest.mark.parametrize("policy", ["Basic128Rsa15", "Basic256"])
@pytest.mark.parametrize("mode", MODES)
def test_t51_old_policies_are_rejected(policy: str, mode: Mode) -> None:
    client = AsyncuaClient(policy, mode, own(CLIENT), peer(SERVER))
    pair = _greeted()
    assert status_of(pair.gives(client.open())) == status.BAD_SECURITY_POLICY_REJECTED


def test_who_is_not_trusted_is_told_by_his_thumbprint() -> None:
    broke = _greeted(trusted=[own(OTHER)]).gives(Opn().frame())
    assert isinstance(broke, Broke)
    assert (broke.reason, broke.status) == (Reason.UNKNOWN_DEVICE, CHECKS)
    assert broke.why.endswith(f"(SHA-1 {own(CLIENT).thumbprint.hex()})")


def test_t51_none_is_rejected_where_it_is_not_offered() -> None:
    pair = _greeted()
    opn = Opn(policy=NONE, mode=Mode.NONE.value, nonce=None)
    assert status_of(pair.gives(opn.frame())) == status.BAD_SECURITY_POLICY_REJECTED


def test_t51_none_for_discovery_says_so() -> None:
    pair = Pair(replace(north_setting(), discovery_in_none=True), south_setting("None")).open()
    assert pair.heard_north == [Opened("None", Mode.NONE, None)]
    assert pair.north.discovery_only
    assert not none_pair().north.discovery_only


@pytest.mark.parametrize("mode", [0, 1, 4, 2**31])
def test_t51_a_secured_policy_without_security_is_rejected(mode: int) -> None:
    assert status_of(_greeted().gives(Opn(mode=mode).frame())) == status.BAD_SECURITY_MODE_REJECTED


def test_t51_a_mode_that_is_not_offered_is_rejected() -> None:
    setting = replace(north_setting(), modes=frozenset({Mode.SIGN_AND_ENCRYPT}))
    pair = Pair(setting, south_setting(mode=Mode.SIGN)).open()
    assert status_of(pair.heard_north[-1]) == status.BAD_SECURITY_MODE_REJECTED


@pytest.mark.parametrize("policy", [name for name in SECURED if name != "Basic256Sha256"])
def test_t51_a_policy_that_is_not_offered_is_rejected(policy: str) -> None:
    pair = Pair(north_setting("Basic256Sha256"), south_setting(policy)).open()
    assert status_of(pair.heard_north[-1]) == status.BAD_SECURITY_POLICY_REJECTED


def _renewal(pair: Pair, opn: Opn) -> Opn:
    return replace(opn, kind=RENEW, channel=pair.south.channel_id, sequence=pair.south._sent + 1)


RENEWALS: dict[str, tuple[Callable[[], Opn], int]] = {
    "certificate": (lambda: Opn(own=own(OTHER)), CHECKS),
    "to none": (lambda: Opn(policy=NONE, mode=1, nonce=None), CHECKS),
    "policy": (lambda: Opn(policy=BY_NAME["Aes256_Sha256_RsaPss"]), CHECKS),
    "mode": (lambda: Opn(mode=Mode.SIGN.value), status.BAD_SECURITY_MODE_REJECTED),
    "short nonce": (lambda: Opn(nonce=bytes(31)), status.BAD_NONCE_INVALID),
    "no nonce": (lambda: Opn(nonce=None), status.BAD_NONCE_INVALID),
}


def _with_both() -> Pair:
    """Both certificates are trusted; the client's opened the channel."""
    return Pair(replace(north_setting(), trust=Trust([own(CLIENT).der, own(OTHER).der]))).open()


@pytest.mark.parametrize("what", RENEWALS)
def test_t51_a_renewal_is_the_same_peer_policy_and_mode(what: str) -> None:
    make, wanted = RENEWALS[what]
    pair = _with_both()
    assert status_of(pair.gives(_renewal(pair, make()).frame())) == wanted


def test_t51_an_honest_renewal_passes_where_the_forged_ones_do_not() -> None:
    pair = _with_both()
    assert pair.gives(_renewal(pair, Opn()).frame()) == Renewed()


def test_t51_a_nonce_is_not_taken_twice() -> None:
    pair = _greeted()
    nonce = bytes(range(32))
    pair.gives(Opn(nonce=nonce).frame())
    again = Opn(nonce=nonce, kind=RENEW, channel=pair.north.channel_id, sequence=2)
    assert status_of(pair.gives(again.frame())) == status.BAD_NONCE_INVALID


def test_t51_a_second_issue_on_the_channel_is_refused() -> None:
    pair = secured_pair()
    opn = replace(_renewal(pair, Opn()), kind=0)
    assert status_of(pair.gives(opn.frame())) == status.BAD_REQUEST_TYPE_INVALID


def test_t51_a_renewal_of_another_channel_is_refused() -> None:
    pair = secured_pair()
    opn = replace(_renewal(pair, Opn()), channel=pair.south.channel_id ^ 1)
    assert status_of(pair.gives(opn.frame())) == status.BAD_TCP_SECURE_CHANNEL_UNKNOWN


def test_t51_a_replayed_opn_is_refused() -> None:
    """On the channel that it was for. On another it opens a channel whose keys the attacker cannot know."""
    pair = secured_pair()
    renewal = _renewal(pair, Opn()).frame()
    assert pair.gives(renewal) == Renewed()
    assert status_of(pair.gives(renewal)) == status.BAD_SEQUENCE_NUMBER_INVALID


def test_t51_a_recorded_opn_proves_nobody() -> None:
    """It opens a channel, for it holds nothing of ours that is fresh. Its keys the attacker cannot know, so no message
    of his is taken, the owner of the certificate is never said to be here, and after 5 s the link ends."""
    recorded = Opn().frame()
    honest, attacked = _greeted(), _greeted()
    assert honest.north.receive(recorded, 0.0, honest.down) == []
    assert attacked.north.receive(recorded, 0.0, attacked.down) == []
    token = honest.north._token
    assert token is not None
    assert attacked.north.deadline() == 5.0
    broke = attacked.north.overdue(5.0)
    assert broke is not None
    assert broke.reason is Reason.TOO_SLOW
    attacked = _greeted()
    attacked.gives(recorded)
    own_id = struct.pack("<II", attacked.north.channel_id, attacked.north._token.id)  # type: ignore[union-attr]
    message = token.seal(b"MSG", b"F", 0, 2, 2, b"whatever it may be")
    assert attacked.north.receive(message[:8] + own_id + message[16:], 0.0, attacked.down) == [
        Broke(Reason.MALFORMED, CHECKS, "a chunk that its token does not secure")
    ]


class SpyKey:
    """A private key that counts what it is used for."""

    def __init__(self) -> None:
        self._key = rsa_key(SERVER)
        self.used = 0

    def __getattr__(self, name: str) -> object:
        self.used += name in ("decrypt", "sign")
        return getattr(self._key, name)


FORGED: dict[str, Callable[[], bytes]] = {
    "thumbprint of another server": lambda: Opn(server=peer(OTHER)).frame(),
    "certificate of a stranger": lambda: Opn(own=own(OTHER)).frame(),
    "certificate of the same name by another key": lambda: Opn(own=_namesake()).frame(),
    "key of another": lambda: Opn(own=replace(own(CLIENT), key=rsa_key(OTHER))).frame(),
    "cipher text changed": lambda: Opn().frame()[:-1] + b"\x00",
    "a block missing": lambda: _sized(Opn().frame()[:-256]),
    "a byte missing": lambda: _sized(Opn().frame()[:-1]),
    "nothing encrypted": lambda: _sized(Opn().frame()[: -256 * 2]),
    "no certificate": lambda: _sized(_without_certificate(Opn().frame())),
}
STRANGERS = ["thumbprint of another server", "certificate of a stranger", "no certificate"]


def _namesake() -> OwnCertificate:
    forged = certificate(replace(Wanted(OTHER), issuer=OTHER, name=CLIENT))
    return OwnCertificate.load(der(forged), pem_of(rsa_key(OTHER)))


def _sized(frame: bytes) -> bytes:
    return frame[:4] + struct.pack("<I", len(frame)) + frame[8:]


def _without_certificate(frame: bytes) -> bytes:
    at = frame.index(own(CLIENT).der)
    return frame[: at - 4] + struct.pack("<i", -1) + frame[at + len(own(CLIENT).der) :]


@pytest.mark.parametrize("what", FORGED)
def test_t51_every_forged_opn_gets_the_same_answer(what: str) -> None:
    pair = _greeted()
    got = pair.gives(FORGED[what]())
    assert status_of(got) == CHECKS
    assert bytes(pair.down) == ErrorMessage(CHECKS, None).encode()


@given(at=st.integers(0, 2_000), byte=st.integers(1, 255))
def test_t51_no_changed_byte_of_an_opn_passes(at: int, byte: int) -> None:
    """Headers, certificate and cipher text: each byte is compared, signed or means something."""
    frame = bytearray(Opn().frame())
    frame[at % len(frame)] ^= byte
    pair = _greeted()
    events = pair.north.receive(bytes(frame), 0.0, pair.down)
    assert not pair.north.channel_id
    assert all(isinstance(event, Broke) for event in events)


@pytest.mark.parametrize("what", STRANGERS)
def test_t51_the_private_key_is_not_used_for_strangers(what: str) -> None:
    """CVE-2023-32787: otherwise an OPN of a few hundred bytes costs us milliseconds."""
    key = SpyKey()
    pair = _greeted()
    pair.north._setting = replace(north_setting(), own=replace(own(SERVER), key=key))  # type: ignore[arg-type]
    assert status_of(pair.gives(FORGED[what]())) == CHECKS
    assert key.used == 0
    honest = _greeted()
    honest.north._setting = pair.north._setting
    honest.gives(Opn().frame())
    assert honest.north.channel_id
    assert key.used > 0


def test_t51_a_server_that_is_not_the_pinned_one_is_not_believed() -> None:
    """Whoever sits on the address of the device, with a certificate and a key of his own."""
    setting = replace(north_setting(), own=own(OTHER))
    pair = Pair(setting, replace(south_setting(), server=peer(SERVER))).open()
    assert isinstance(pair.heard_north[-1], Broke)
    taken_in = Pair(setting, replace(south_setting(), server=peer(OTHER)))
    taken_in.south._setting = south_setting()
    taken_in.south.start(0.0, taken_in.up)
    taken_in.gives(taken(taken_in.up))
    taken_in.south.receive(taken(taken_in.down), 0.0, taken_in.up)
    opn = replace(Opn(), server=peer(OTHER)).frame()
    taken_in.gives(opn)
    (broke,) = taken_in.south.receive(taken(taken_in.down), 0.0, taken_in.up)
    assert isinstance(broke, Broke)
    assert broke.reason is Reason.DIFFERS_FROM_PIN


def test_t42_a_close_ends_the_channel() -> None:
    pair = secured_pair()
    late = pair.says(b"after the close")
    pair.south.close(pair.up)
    assert not pair.south.send(1, b"ours too", bytearray())
    closing = taken(pair.up)
    assert pair.gives(late + closing + late) == Closed()
    assert pair.north.receive(late, 0.0, pair.down) == []
