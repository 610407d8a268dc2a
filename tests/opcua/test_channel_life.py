"""The life of a channel at both ends: renewal in time, old and new tokens, what is said when it ends."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from proxy.core.reason import Reason
from proxy.protocols.opcua import status
from proxy.protocols.opcua.channel import Broke, Opened, Renewed, Said
from proxy.protocols.opcua.decode import encode
from proxy.protocols.opcua.framing import ErrorMessage
from proxy.protocols.opcua.opening import OpenBody, seal_open
from proxy.protocols.opcua.security.policies import NONE, Mode, Policy
from proxy.protocols.opcua.services.channel import ChannelSecurityToken, OpenSecureChannelResponse
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import ResponseHeader
from proxy.protocols.opcua.south_channel import OWN_IDS, SouthChannel
from proxy.protocols.opcua.wire import date_time
from tests.opcua.channel_forging import Opn
from tests.opcua.channel_world import Pair, none_pair, secured_pair, south_setting, status_of, taken, wall

HOUR = 3_600.0


def test_a_channel_opens_and_both_ends_know_what() -> None:
    pair = secured_pair("Aes128_Sha256_RsaOaep", Mode.SIGN)
    assert pair.heard_south == [Opened("Aes128_Sha256_RsaOaep", Mode.SIGN, pair.south.peer)]
    assert pair.north.hello is not None
    assert pair.north.hello.endpoint_url == "opc.tcp://plc:4840"
    assert pair.north.channel_id == pair.south.channel_id != 0
    assert pair.gives(pair.says(b"hello")) == Said(1, b"hello")


def test_ids_are_not_guessed() -> None:
    ids = {none_pair().north.channel_id for _ in range(20)}
    assert len(ids) == 20


def test_the_client_renews_at_three_quarters() -> None:
    pair = secured_pair()
    assert pair.south.deadline() == 0.75 * HOUR
    assert pair.south.tick(0.75 * HOUR - 1, pair.up) == []
    assert not pair.up
    pair.south.tick(0.75 * HOUR, pair.up)
    assert pair.up[:3] == b"OPN"
    pair.pump(0.75 * HOUR)
    assert pair.heard_north[-1] == Renewed() == pair.heard_south[-1]
    assert pair.south.deadline() == 1.5 * HOUR


def _renewed() -> Pair:
    pair = secured_pair()
    pair.gives(pair.says(b"first"))
    pair.south.tick(0.75 * HOUR, pair.up)
    return pair.pump(0.75 * HOUR)


def test_the_server_answers_with_the_old_token_until_the_client_uses_the_new() -> None:
    pair = _renewed()
    old, new = pair.north._token, pair.north._next_token
    assert old is not None
    assert new is not None
    pair.north.send(1, b"old", pair.down)
    assert int.from_bytes(pair.down[12:16], "little") == old.id
    pair.pump(0.8 * HOUR)
    assert pair.heard_south[-1] == Said(1, b"old")
    assert pair.gives(pair.says(b"new"), 0.8 * HOUR) == Said(1, b"new")
    pair.north.send(1, b"new", pair.down)
    assert int.from_bytes(pair.down[12:16], "little") == new.id
    pair.pump(0.8 * HOUR)
    assert pair.heard_south[-1] == Said(1, b"new")


def test_a_late_message_with_the_old_token_is_taken() -> None:
    pair = secured_pair()
    pair.gives(pair.says(b"first"))
    late = pair.says(b"sent before the renewal")
    pair.south.tick(0.75 * HOUR, pair.up)
    assert pair.gives(late, 0.75 * HOUR) == Said(1, b"sent before the renewal")
    pair.pump(0.75 * HOUR)
    assert pair.heard_south[-1] == Renewed()


def test_a_silent_client_is_spoken_to_with_the_new_token_when_the_old_one_is_over() -> None:
    """It may only listen: a subscription. What the old token secures it need not take any more."""
    pair = _renewed()
    assert pair.north.deadline() == HOUR
    assert pair.north.overdue(HOUR, pair.down) is None
    assert pair.north.deadline() == 0.75 * HOUR + 1.25 * HOUR
    pair.north.send(1, b"notification", pair.down)
    pair.pump(HOUR)
    assert pair.heard_south[-1] == Said(1, b"notification")


def test_the_old_token_ends_with_the_first_use_of_the_new_one() -> None:
    """In both directions, and also where time had moved the server on."""
    for over in (False, True):
        pair = secured_pair()
        pair.gives(pair.says(b"first"))
        old_north, old_south = pair.north._token, pair.south._token
        assert old_north is not None
        assert old_south is not None
        pair.south.tick(0.75 * HOUR, pair.up)
        pair.pump(0.75 * HOUR)
        if over:
            pair.north.overdue(HOUR)
        pair.gives(pair.says(b"new"), HOUR)
        pair.north.send(1, b"new", pair.down)
        pair.pump(HOUR)
        late = old_south.seal(b"MSG", b"F", pair.south.channel_id, pair.south._next(), 1, b"old")
        assert status_of(pair.gives(late, HOUR)) == status.BAD_SECURE_CHANNEL_TOKEN_UNKNOWN
        late = old_north.seal(b"MSG", b"F", pair.south.channel_id, pair.north._next(), 1, b"old")
        assert status_of(pair.south.receive(late, HOUR, pair.up)[-1]) == status.BAD_SECURE_CHANNEL_TOKEN_UNKNOWN


def test_a_token_that_is_over_is_refused() -> None:
    pair = secured_pair()
    pair.gives(pair.says(b"first"))
    assert pair.gives(pair.says(b"in time"), 1.25 * HOUR - 1) == Said(1, b"in time")
    got = pair.gives(pair.says(b"too late"), 1.25 * HOUR)
    assert status_of(got) == status.BAD_SECURE_CHANNEL_TOKEN_UNKNOWN


def test_a_channel_that_is_not_renewed_ends() -> None:
    pair = secured_pair()
    pair.gives(pair.says(b"first"))
    assert pair.north.deadline() == 1.25 * HOUR
    broke = pair.north.overdue(1.25 * HOUR, pair.down)
    assert broke is not None
    assert broke.status == status.BAD_SECURE_CHANNEL_CLOSED
    assert bytes(pair.down) == ErrorMessage(status.BAD_SECURE_CHANNEL_CLOSED, None).encode()


@pytest.mark.parametrize(("asked", "given"), [(0, 3_600_000), (1, 2_000), (60_000, 60_000), (2**32 - 1, 3_600_000)])
def test_the_server_sets_the_lifetime(asked: int, given: int) -> None:
    pair = Pair(south=replace(south_setting(), lifetime_ms=asked)).open()
    token = pair.south._token
    assert token is not None
    assert token.life == given / 1000


def test_numbers_go_on_over_a_renewal() -> None:
    pair = _renewed()
    before = pair.south._sent
    assert pair.gives(pair.says(b"x"), 0.8 * HOUR) == Said(1, b"x")
    assert pair.south._sent == before + 1


def test_a_channel_lives_through_the_wrap_of_its_numbers() -> None:
    pair = none_pair()
    pair.south._sent = pair.north._heard = 4_294_966_270
    for _ in range(4):
        assert pair.gives(pair.says(b"x")) == Said(1, b"x")
    assert pair.south._sent == 2


def test_the_owner_ends_it_with_an_error() -> None:
    pair = none_pair()
    pair.north.fail(status.BAD_SECURE_CHANNEL_CLOSED, pair.down)
    pair.pump()
    assert pair.heard_south[-1] == Broke(
        Reason.UPSTREAM_REFUSED,
        status.BAD_SECURE_CHANNEL_CLOSED,
        "the server ended the connection with an error message",
    )
    assert pair.north.receive(b"MSGF", 0.0, pair.down) == []


def test_requests_of_the_channel_stay_out_of_the_owners_ids() -> None:
    pair = secured_pair()
    pair.south.tick(0.75 * HOUR, pair.up)
    assert pair.south._asked is not None
    assert pair.south._asked >= OWN_IDS


def test_times_are_those_of_the_wire() -> None:
    assert date_time(0.0) == 116_444_736_000_000_000
    assert date_time(wall()) - date_time(wall() - 1) == 10_000_000


def test_a_server_that_does_not_open_is_given_up() -> None:
    south, out = SouthChannel(south_setting(), os.urandom, wall), bytearray()
    assert south.deadline() is None
    south.start(7.0, out)
    assert south.deadline() == 17.0
    (broke,) = south.tick(17.0, out)
    assert isinstance(broke, Broke)
    assert broke.reason is Reason.UPSTREAM_SILENT


def test_a_server_that_does_not_renew_is_given_up() -> None:
    pair = secured_pair()
    pair.south.tick(0.75 * HOUR, pair.up)
    assert pair.south.deadline() == 1.25 * HOUR
    assert isinstance(pair.south.tick(1.25 * HOUR, pair.up)[0], Broke)


def test_t43_a_message_of_the_server_that_never_ends_is_given_up() -> None:
    pair = none_pair()
    pair.north.send(1, bytes(100_000), pair.down)
    pair.south.receive(taken(pair.down)[:70_000], 5.0, pair.up)
    assert pair.south.deadline() == 15.0
    assert isinstance(pair.south.tick(15.0, pair.up)[0], Broke)


def test_t43_an_answer_of_the_server_is_16_mib_at_most() -> None:
    pair = none_pair()
    piece = bytes(60_000)
    token = pair.north._token
    assert token is not None
    for number in range(2, 282):
        chunk = token.seal(b"MSG", b"C", pair.north.channel_id, number, 1, piece)
        for event in pair.south.receive(chunk, 0.0, pair.up):
            assert status_of(event) == status.BAD_TCP_MESSAGE_TOO_LARGE
            assert number * len(piece) > 16_777_216
            return
    raise AssertionError("never refused")


def _answer(
    south: SouthChannel, *, channel: int = 5, body: bytes = b"", policy: Policy = NONE, sequence: int = 1
) -> bytes:
    """An OPN response of security None."""
    issued = ChannelSecurityToken(channel, 1, 0, 60_000)
    made = body or encode(OpenSecureChannelResponse(ResponseHeader.make(0), 0, issued, None))
    return seal_open(policy, 5, None, None, OpenBody(sequence, south._asked or 0, made))


def _asking() -> SouthChannel:
    pair = Pair(south=south_setting("None"))
    pair.south.start(0.0, pair.up)
    pair.north.receive(taken(pair.up), 0.0, pair.down)
    pair.south.receive(taken(pair.down), 0.0, pair.up)
    return pair.south


def test_an_open_answer_is_taken() -> None:
    south = _asking()
    assert south.receive(_answer(south), 0.0, bytearray()) == [Opened("None", Mode.NONE, None)]


@pytest.mark.parametrize(
    "what", ["channel", "policy", "fault", "bad result", "request instead", "another request", "twice"]
)
def test_t42_an_open_answer_that_does_not_fit_ends_the_channel(what: str) -> None:
    south, out = _asking(), bytearray()
    header = ResponseHeader.make(0, status.BAD_TCP_SERVER_TOO_BUSY)
    bad = OpenSecureChannelResponse(header, 0, ChannelSecurityToken(5, 1, 0, 60_000), None)
    if what == "twice":
        south.receive(_answer(south), 0.0, out)
    if what == "another request":
        south._asked = 1
        frame = _answer(south)
        south._asked = 2
    else:
        frame = {
            "channel": lambda: _answer(south, channel=6),
            "policy": lambda: _answer(south, policy=replace(NONE, name="Basic256Sha256")),
            "fault": lambda: _answer(south, body=encode(ServiceFault(header))),
            "bad result": lambda: _answer(south, body=encode(bad)),
            "request instead": lambda: Opn(
                policy=NONE, mode=1, nonce=None, channel=5, request=south._asked or 0
            ).frame(),
            "twice": lambda: _answer(south),
        }[what]()
    (broke,) = south.receive(frame, 0.0, out)
    assert isinstance(broke, Broke)
    assert (broke.reason is Reason.UPSTREAM_REFUSED) == (what in ("fault", "bad result"))


def test_t42_a_renewal_brings_another_token() -> None:
    south, out = _asking(), bytearray()
    south.receive(_answer(south), 0.0, out)
    south.tick(45.0, out)
    assert south._asked is not None
    (broke,) = south.receive(_answer(south, sequence=2), 45.0, out)
    assert status_of(broke) == status.BAD_SECURE_CHANNEL_TOKEN_UNKNOWN


def test_t51_a_server_nonce_that_is_ours_is_refused() -> None:
    """Who sends our own nonce back makes both directions' keys the same."""
    pair = Pair()
    nonces = [bytes(range(32))] * 2
    pair.south._entropy = lambda size: nonces.pop() if size == 32 else os.urandom(size)
    pair.north._entropy = lambda size: bytes(range(32)) if size == 32 else os.urandom(size)
    pair.open()
    assert status_of(pair.heard_south[-1]) == status.BAD_NONCE_INVALID


def test_a_secured_setting_wants_certificates() -> None:
    for setting in (
        replace(south_setting(), own=None),
        replace(south_setting(), server=None),
        replace(south_setting(), mode=Mode.NONE),
    ):
        with pytest.raises(ValueError, match="certificate"):
            SouthChannel(setting, os.urandom, wall)
