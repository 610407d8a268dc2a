"""The scanner against the decoder, which is its oracle: it passes what the decoder would take and it has learnt, all of
that, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocols.mqtt.framing import Malformed, frame_end
from proxy.protocols.mqtt.packets import Publish, decode, encode
from proxy.protocols.mqtt.properties import P, Property
from proxy.protocols.mqtt.scan import Scanner
from tests.mqtt.harness import ref

pytestmark = pytest.mark.grows("properties")

RULE = ref("rule")
TOPICS = ["a", "a/b", "b", "é"]
levels = st.sampled_from([4, 5])
sizes = st.sampled_from([0, 1, 2, 3, 120, 121, 122, 123, 124, 125, 126, 127, 200])


@st.composite
def messages(draw: st.DrawFn) -> Publish:
    qos = draw(st.integers(0, 2))
    packet_id = draw(st.sampled_from([1, 2, 256, 65535])) if qos else None
    properties = (Property(P.MESSAGE_EXPIRY, 1),) if draw(st.integers(0, 5)) == 0 else ()
    payload = bytes([draw(st.integers(0, 255))]) * draw(sizes)
    return Publish(draw(st.sampled_from(TOPICS)), payload, qos, draw(st.booleans()), False, packet_id, properties)


def first_of(message: Publish) -> int:
    return encode(message, 4)[0]


class Learnt:
    """What a scanner was told, written down another way."""

    def __init__(self, level: int, told: list[Publish]) -> None:
        self.level = level
        self.scanner = Scanner(level)
        self.spans: dict[tuple[int, str], tuple[int, int]] = {}
        for one in told:
            key, size = (first_of(one), one.topic), len(one.payload)
            least, most = self.spans.get(key, (size, size))
            self.spans[key] = (min(least, size), max(most, size))
            self.scanner.learn(key[0], one.topic.encode(), RULE, size)

    def knows(self, frame: bytes) -> bool:
        """By the decoder."""
        packet = decode(frame, self.level, to_broker=True)
        if not isinstance(packet, Publish) or packet.properties:
            return False
        span = self.spans.get((frame[0], packet.topic))
        return span is not None and span[0] <= len(packet.payload) <= span[1]

    def run(self, data: bytes, at: int, room: int) -> int:
        """Where a walk from ``at`` must end."""
        while True:
            end = frame_end(data, at, 1 << 28)
            if isinstance(end, Malformed) or end is None or end > len(data) or not self.knows(data[at:end]):
                return at
            if data[at] & 6:
                if not room:
                    return at
                room -= 1
            at = end


@given(levels, st.lists(messages(), max_size=6), st.lists(messages(), max_size=8), st.data())
def test_it_passes_what_it_learnt_and_nothing_else(
    level: int, told: list[Publish], said: list[Publish], data: st.DataObject
) -> None:
    learnt = Learnt(level, told)
    again = data.draw(st.lists(st.sampled_from(told + said), max_size=6)) if told + said else []
    stream = bytearray(b"".join(encode(one, level) for one in (*again, *said)))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=2)):
        if at < len(stream):
            stream[at] = value
    stream = stream[: data.draw(st.integers(0, len(stream)))] if data.draw(st.booleans()) else stream
    room = data.draw(st.sampled_from([0, 1, 2, 65535]))
    end = learnt.scanner.walk(bytes(stream), 0, room)
    assert end == learnt.run(bytes(stream), 0, room)
    packets = [decode(frame, level, to_broker=True) for frame in frames(bytes(stream[:end]))]
    ids = {qos: [one.packet_id for one in packets if isinstance(one, Publish) and one.qos == qos] for qos in (1, 2)}
    assert (learnt.scanner.ids1, learnt.scanner.ids2) == (ids[1], ids[2])
    assert sum(learnt.scanner.tally().values()) == len(packets)


@given(levels, messages(), st.integers(2, 4), st.data())
def test_a_run_ends_where_anything_before_the_payload_differs(
    level: int, message: Publish, count: int, data: st.DataObject
) -> None:
    message = replace(message, properties=())
    learnt = Learnt(level, [message])
    frame = encode(message, level)
    at = data.draw(st.integers(0, len(frame) - len(message.payload)))
    other = bytearray(frame)
    if at < len(frame):
        other[at] ^= data.draw(st.sampled_from([1, 2, 0x80, 0xFF]))
    stream = frame * count + bytes(other) + frame * count
    assert learnt.scanner.walk(stream, 0, 99) == learnt.run(stream, 0, 99)


def frames(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        end = frame_end(data, at, 1 << 28)
        assert isinstance(end, int)
        found.append(data[at:end])
        at = end
    return found


def test_it_forgets_before_it_has_learnt_too_much_and_loses_no_count() -> None:
    scanner = Scanner(4)
    for number in range(3000):
        topic = f"t/{number}".encode()
        scanner.learn(0x30, topic, RULE, 1)
        frame = encode(Publish(topic.decode(), b"x"), 4)
        assert scanner.walk(frame, 0, 0) == len(frame)
    assert scanner.tally() == {RULE: 3000}
    assert scanner.walk(encode(Publish("t/0", b"x"), 4), 0, 0) == 0
