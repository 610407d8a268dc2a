"""What a client may make a channel keep, and for how long (T43, T45, T50)."""

from __future__ import annotations

import os
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.reason import Reason
from proxy.protocols.opcua import status
from proxy.protocols.opcua.channel import Broke, Renewed, Said
from proxy.protocols.opcua.chunks import Assembly, Bounds, after, count, follows, split
from proxy.protocols.opcua.north_channel import NorthChannel
from proxy.protocols.opcua.north_opening import Openings
from proxy.protocols.opcua.wire import Malformed
from tests.opcua.channel_forging import RENEW, Opn, plain_chunk
from tests.opcua.channel_world import (
    CLIENT,
    Pair,
    none_pair,
    north_setting,
    own,
    secured_pair,
    status_of,
    wall,
)

TOO_LARGE = status.BAD_TCP_MESSAGE_TOO_LARGE
KIB = 1_024


def _chunks(pair: Pair, sizes: list[int], last: bytes = b"C") -> list[bytes]:
    """Chunks of one message, right in everything but that ``last`` may not be final."""
    start = pair.south._sent + 1
    letters = [b"C"] * (len(sizes) - 1) + [last]
    return [
        plain_chunk(pair, bytes(size), chunk=letter, sequence=start + at)
        for at, (size, letter) in enumerate(zip(sizes, letters, strict=True))
    ]


def test_t43_before_a_session_a_message_is_one_chunk() -> None:
    pair = none_pair(in_session=False)
    assert status_of(pair.gives(_chunks(pair, [10])[0])) == TOO_LARGE


@pytest.mark.parametrize(("size", "fits"), [(8 * KIB - 24, True), (8 * KIB - 23, False)])
def test_t43_before_a_session_a_chunk_is_8_kib(size: int, fits: bool) -> None:
    pair = none_pair(in_session=False)
    got = pair.gives(_chunks(pair, [size], b"F")[0])
    assert got == Said(2, bytes(size)) if fits else status_of(got) == TOO_LARGE


def test_t43_a_session_that_ends_brings_the_small_limits_back() -> None:
    pair = none_pair()
    assert isinstance(pair.gives(pair.says(bytes(9_000))), Said)
    pair.north.in_session = False
    assert status_of(pair.gives(pair.says(bytes(9_000)))) == TOO_LARGE


def test_t43_a_session_sends_64_chunks_and_1_mib() -> None:
    pair = none_pair()
    got = None
    for chunk in _chunks(pair, [16 * KIB] * 64, b"F"):
        got = pair.gives(chunk)
    assert got == Said(2, bytes(1024 * KIB))


@pytest.mark.parametrize("sizes", [[1] * 64, [0] * 64, [60 * KIB] * 18], ids=["chunks", "empty chunks", "bytes"])
def test_t43_more_chunks_or_bytes_end_the_channel(sizes: list[int]) -> None:
    """The 64th chunk may not say that another will come."""
    pair = none_pair()
    got = [status_of(pair.gives(chunk)) for chunk in _chunks(pair, sizes)]
    assert got[-1] == TOO_LARGE
    assert set(got[:-1]) == {None}


def test_t43_an_endless_message_costs_a_mebibyte_at_most() -> None:
    pair = none_pair()
    chunks = _chunks(pair, [60 * KIB] * 40)
    tracemalloc.start()
    try:
        for chunk in chunks:
            pair.gives(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 1_048_576 + 4 * 65_536
    assert pair.north.over
    assert not pair.north._assembly.started


def test_t43_aborts_free_what_was_kept_and_the_channel_lives() -> None:
    pair = none_pair()
    for _ in range(200):
        pair.gives(_chunks(pair, [10_000])[0])
        pair.south._sent += 1
        assert pair.gives(plain_chunk(pair, b"", chunk=b"A", sequence=pair.south._sent + 1)) is None
        pair.south._sent += 1
        assert not pair.north._assembly.started
    assert pair.gives(pair.says(b"still here")) == Said(1, b"still here")


def test_t43_an_abort_of_another_message_ends_the_channel() -> None:
    pair = none_pair()
    pair.gives(_chunks(pair, [10])[0])
    got = pair.gives(plain_chunk(pair, b"", chunk=b"A", sequence=pair.south._sent + 2, request=9))
    assert status_of(got) == status.BAD_DECODING_ERROR


@pytest.mark.parametrize("what", ["chunk", "byte", "half a header"])
def test_t43_a_message_that_never_ends_ends_the_channel_after_10_s(what: str) -> None:
    pair = none_pair()
    data = _chunks(pair, [100])[0]
    pair.gives({"chunk": data, "byte": data[:-1], "half a header": data[:3]}[what], 100.0)
    assert pair.north.deadline() == 110.0
    assert pair.north.overdue(109.9) is None
    broke = pair.north.overdue(110.0, pair.down)
    assert broke is not None
    assert (broke.reason, broke.status) == (Reason.TOO_SLOW, status.BAD_TIMEOUT)
    assert pair.down[:3] == b"ERR"
    assert pair.north.deadline() is None


def test_t43_dripping_does_not_move_the_deadline() -> None:
    pair = none_pair()
    data = pair.says(bytes(200))
    for at in range(9):
        pair.gives(data[at : at + 1], 100.0 + at)
    assert pair.north.deadline() == 110.0
    pair.gives(data[9:], 109.0)
    assert pair.north.deadline() != 110.0


def test_t43_another_chunk_does_not_move_the_deadline() -> None:
    pair = none_pair()
    first, second = _chunks(pair, [100, 100])
    pair.gives(first, 100.0)
    pair.gives(second, 105.0)
    assert pair.north.deadline() == 110.0


def test_t43_each_message_has_its_own_ten_seconds() -> None:
    """The rest of a read after a whole message starts anew; the whole one does not count for it."""
    pair = none_pair()
    first, second = pair.says(b"first"), pair.says(b"second")
    pair.gives(first[:5], 100.0)
    assert pair.gives(first[5:] + second[:5], 108.0) == Said(1, b"first")
    assert pair.north.deadline() == 118.0


@pytest.mark.parametrize("greeted", [True, False])
def test_t45_a_channel_is_open_within_5_s(greeted: bool) -> None:
    pair = Pair()
    if greeted:
        pair.south.start(0.0, pair.up)
        pair.gives(bytes(pair.up), 4.0)
    assert pair.north.deadline() == 5.0
    assert pair.north.overdue(4.9) is None
    broke = pair.north.overdue(5.0)
    assert broke is not None
    assert broke.reason is Reason.TOO_SLOW


def test_t50_an_opn_of_many_rsa_blocks_is_refused_before_the_key_is_used() -> None:
    """16 blocks of 2048 bits would be 16 ms of RSA, for a certificate that anybody may have seen."""
    pair = Pair()
    pair.south.start(0.0, pair.up)
    pair.gives(bytes(pair.up))
    opn = Opn(body=bytes(3_000)).frame()
    pair.north._setting = replace(north_setting(), own=replace(own("server"), key=Unused()))  # type: ignore[arg-type]
    assert status_of(pair.gives(opn)) == status.BAD_SECURITY_CHECKS_FAILED


class Unused:
    """A private key that must not be used."""

    key_size = 2048

    @staticmethod
    def public_key() -> object:
        return own("server").key.public_key()


def test_t43_opns_with_one_certificate_are_few_and_others_are_not_held_up() -> None:
    openings = Openings()
    assert all(openings.take(b"hmi", 5.0) for _ in range(256))
    assert not openings.take(b"hmi", 5.0)
    assert openings.take(b"historian", 5.0)
    taken = sum(openings.take(b"hmi", 5.0 + tenth / 100) for tenth in range(1, 501))
    assert 98 <= taken <= 101  # 20 a second for five seconds, however often it is asked


def test_t43_the_counts_of_certificates_are_bounded() -> None:
    openings = Openings()
    for number in range(5_000):
        openings.take(str(number).encode(), 1.0)
    assert len(openings._left) == 1_024


def test_t43_an_opn_beyond_the_budget_of_its_certificate_costs_no_rsa() -> None:
    setting = replace(north_setting(), own=replace(own("server"), key=Unused()))  # type: ignore[arg-type]
    while setting.openings.take(own(CLIENT).thumbprint, 0.0):
        pass
    pair = Pair(setting)
    pair.south.start(0.0, pair.up)
    pair.gives(bytes(pair.up))
    assert status_of(pair.gives(Opn().frame())) == status.BAD_TCP_SERVER_TOO_BUSY


def test_t50_renewals_are_few() -> None:
    """CVE-2023-32787: eight at once, then one each second."""
    pair = secured_pair()

    def renew(now: float) -> object:
        opn = Opn(kind=RENEW, channel=pair.south.channel_id, sequence=pair.south._next()).frame()
        return pair.gives(opn, now)

    assert {renew(0.0) for _ in range(8)} == {Renewed()}
    assert renew(1.0) == Renewed()
    broke = renew(1.5)
    assert isinstance(broke, Broke)
    assert (broke.reason, broke.status) == (Reason.OVERLOAD, status.BAD_TCP_NOT_ENOUGH_RESOURCES)


@given(st.binary(max_size=3_000), st.integers(1, 700))
def test_a_split_message_comes_back(body: bytes, room: int) -> None:
    parts = list(split(body, room))
    assert len(parts) == count(len(body), room)
    assert [letter for letter, _ in parts] == [b"C"] * (len(parts) - 1) + [b"F"]
    assembly, whole = Assembly(), None
    for letter, part in parts:
        assert len(part) <= room
        whole = assembly.take(letter, 5, part, Bounds(8_192, 3_000, 3_000))
    assert whole == body
    assert not assembly.started


@given(st.lists(st.tuples(st.sampled_from([b"C", b"F", b"A"]), st.integers(1, 2), st.binary(max_size=24)), max_size=40))
def test_t43_an_assembly_never_keeps_more_than_its_bounds(chunks: list[tuple[bytes, int, bytes]]) -> None:
    assembly, bounds = Assembly(), Bounds(8_192, 20, 4)
    for letter, request, body in chunks:
        got = assembly.take(letter, request, body, bounds)
        if isinstance(got, Malformed):
            return
        assert sum(map(len, assembly._parts)) <= bounds.message
        assert len(assembly._parts) < bounds.chunks
        assert got is None or len(got) <= bounds.message


@pytest.mark.parametrize(
    ("last", "number", "good"),
    [
        (None, 0, True),
        (None, 2**32 - 1, True),
        (1, 2, True),
        (1, 1, False),
        (1, 3, False),
        (4_294_966_271, 0, False),
        (4_294_966_271, 4_294_966_272, True),
        (4_294_966_272, 0, True),
        (4_294_966_272, 1_023, True),
        (4_294_966_272, 1_024, False),
        (2**32 - 1, 1, True),
        (2**32 - 1, 0, True),
    ],
)
def test_t42_numbers_follow_each_other_and_start_again(last: int | None, number: int, good: bool) -> None:
    assert follows(last, number) is good


@given(st.integers(0, 2**32 - 1))
def test_t42_our_own_numbers_follow(last: int) -> None:
    assert follows(last, after(last))
    assert 0 < after(last) < 2**32


def test_t43_a_client_that_takes_little_is_sent_no_more() -> None:
    """MaxMessageSize and MaxChunkCount of HEL: the owner answers Bad_ResponseTooLarge instead."""
    pair = none_pair()
    pair.north._limits = pair.north._limits._replace(message=1_000, chunks=0)
    assert not pair.north.send(1, bytes(1_001), pair.down)
    assert pair.north.send(1, bytes(1_000), pair.down)
    pair.north._limits = pair.north._limits._replace(message=0, chunks=2, send=8_192)
    pair.north._send_with(pair.north._token)  # type: ignore[arg-type]
    assert not pair.north.send(1, bytes(2 * 8_168 + 1), pair.down)
    assert pair.north.send(1, bytes(2 * 8_168), pair.down)
    pair.pump()
    assert [event for event in pair.heard_south if isinstance(event, Said)] == [
        Said(1, bytes(1_000)),
        Said(1, bytes(2 * 8_168)),
    ]


def test_a_channel_without_a_token_sends_nothing() -> None:
    channel, out = NorthChannel(north_setting(), os.urandom, 0.0, wall), bytearray()
    assert not channel.send(1, b"x", out)
    assert not out
