"""Properties of the inspector: a master's stream in any cut, under any rules, with the cache and without."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.reason import Reason
from proxy.protocols.modbus import pdu
from proxy.protocols.modbus.mbap import adu
from tests.modbus import meaning, oracle
from tests.modbus.frames import cut, frame
from tests.modbus.harness import Client, Policy
from tests.modbus.oracle import CLOSE
from tests.modbus.strategies import adus, any_pdus, cuts, many_pdus, nevers, ready_made, requests, rules, u16, units

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.grows("properties")

crowded = st.one_of(st.integers(1, 3), u16)
"""Transaction ids that meet each other."""
policies = st.one_of(st.just(None), rules())
good_or_wrong = adus(st.one_of(requests, many_pdus))
chunks = st.one_of(adus(), adus(many_pdus), adus(ready_made), adus(ready_made), st.binary(max_size=20))


def play(pieces: Iterable[bytes], policy: Policy) -> tuple[Client, Any]:
    client = Client(policy)
    for piece in pieces:
        client.send(piece)
    return client, (client.look(), client.inspector.deadline(), dict(client.inspector.tally()))


@given(st.lists(chunks, max_size=8), policies, st.data())
def test_cutting_the_stream_changes_nothing(parts: list[bytes], rule: object, data: st.DataObject) -> None:
    stream = b"".join(parts)
    _, whole = play([stream], Policy(rule))
    _, pieces = play(data.draw(cuts(stream)), Policy(rule))
    assert pieces == whole


@given(st.lists(chunks, max_size=4), st.booleans())
def test_byte_by_byte_changes_nothing(parts: list[bytes], record_first: bool) -> None:
    stream = b"".join(parts)
    _, whole = play([stream], Policy(record_first=record_first))
    _, pieces = play([stream[at : at + 1] for at in range(len(stream))], Policy(record_first=record_first))
    assert pieces == whole


def judged(one: bytes, rule: dict[str, Any] | None, never: dict[str, Any] | None) -> str | int | None:
    """What becomes of one frame, by the oracles: `CLOSE`, an exception code, or None for forward."""
    unit, function = one[6], one[7]
    found = oracle.judge(one[7:])
    if isinstance(found, str | int):
        return found
    if 248 <= unit <= 254 or (unit == 0 and function not in (5, 6, 15, 16)):
        return 1
    if never is not None and any(meaning.forbids(never, unit, function, touch) for touch in found):
        return 1
    allowed = rule is None or all(_allowed(rule, unit, found))
    return None if allowed else 1


def _allowed(rule: dict[str, Any], unit: int, found: list[oracle.Touch]) -> Iterable[bool]:
    """Each half of FC 23 for itself: a register read is no neighbour of a register written."""
    for verb in dict.fromkeys(touch.verb for touch in found):
        half = [touch for touch in found if touch.verb == verb]
        yield from (meaning.allows(rule, unit, half, at) for at in range(len(half)))


@given(
    st.lists(st.one_of(good_or_wrong, chunks), max_size=8), st.one_of(st.none(), rules()), st.one_of(st.none(), nevers)
)
def test_the_oracles_agree_on_every_frame(
    parts: list[bytes], rule: dict[str, Any] | None, never: dict[str, Any] | None
) -> None:
    """What reaches the device and the master is what the specification and the YAML say, and nothing else."""
    frames, malformed = oracle.frames(b"".join(parts))
    if len({one[:2] for one in frames}) < len(frames) or any(_files_unknown(one) for one in frames):
        return
    device, answers, closes = [], [], None
    for one in frames:
        verdict = judged(one, rule, never)
        if verdict == CLOSE:
            closes = "BH-1102"
            break
        if verdict is None:
            device.append(one)
        else:
            answers.append(frame(int.from_bytes(one[:2], "big"), one[6], bytes((one[7] | 0x80, int(verdict)))))
    else:
        closes = "BH-1102" if malformed else None
    client, (told, _, _) = play([b"".join(parts)], Policy(rule, never))
    assert (told.device, told.answers, told.closes) == (device, answers, closes)
    assert len(told.events) == len(answers) + (closes is not None)
    assert client.closed == (closes is not None)


def _files_unknown(one: bytes) -> bool:
    """The allow-all policy of these tests names three files."""
    found = oracle.judge(one[7:])
    files = {"file 1", "file 4", "file 65535"}
    return isinstance(found, list) and any(t.space.startswith("file") and t.space not in files for t in found)


@given(st.lists(chunks, max_size=8), policies)
def test_what_is_forwarded_encodes_to_the_same_bytes(parts: list[bytes], rule: object) -> None:
    _, (told, _, _) = play(parts, Policy(rule))
    for one in told.device:
        request = pdu.decode(one[7:])
        assert not isinstance(request, pdu.Malformed | pdu.Wrong | pdu.Unknown)
        assert adu(int.from_bytes(one[:2], "big"), one[6], request.encode()) == one


@given(st.lists(chunks, max_size=8), policies)
def test_what_is_forwarded_was_sent_in_this_order(parts: list[bytes], rule: object) -> None:
    sent, _ = oracle.frames(b"".join(parts))
    _, (told, _, _) = play(parts, Policy(rule))
    left = iter(sent)
    assert all(one in left for one in told.device), "a subsequence of what was sent"


def reply(to: bytes, serial: int) -> bytes:
    """An answer that tells which request it is for. The inspector takes any: its upstream has matched it."""
    return to[:2] + frame(0, to[6], to[7:8] + serial.to_bytes(4, "big"))[2:]


def silent(one: bytes) -> bool:
    return one[6] == 0 or one[7:10] == b"\x08\x00\x04"


@given(
    st.lists(adus(many_pdus, crowded), max_size=16),
    rules(),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_each_request_gets_its_own_answer_once(
    sent: list[bytes], rule: dict[str, Any], record_first: bool, random: Any
) -> None:
    """The device answers in any order, records come in any order. Of one id the answers keep the order of requests."""
    sent = [one for one in sent if oracle.judge(one[7:]) != CLOSE]
    client = Client(Policy(rule, record_first=record_first))
    client.send(b"".join(sent))
    waiting: list[bytes] = []
    answers: list[bytes] = []
    forwarded: list[bytes] = []
    held: list[int] = []
    unrecorded = 0
    while True:
        told = client.look()
        answers += told.answers
        forwarded += told.device
        held += told.holds
        waiting += [reply(one, sent_index(sent, forwarded, at)) for at, one in _numbered(forwarded, told.device)]
        if held and (not waiting or random.random() < 0.5):
            recorded = random.random() < 0.8
            unrecorded += not recorded
            client.resume(held.pop(random.randrange(len(held))), recorded)
        elif waiting:
            client.reply(waiting.pop(random.randrange(len(waiting))))
        else:
            break
    expected = {tid: [index for index, one in enumerate(sent) if one[:2] == tid] for tid in {o[:2] for o in sent}}
    by_tid = defaultdict(list)
    for one in answers:
        by_tid[one[:2]].append(one)
    assert len(answers) == len(sent) - sum(silent(one) for one in forwarded)
    for tid, indexes in expected.items():
        owed = [i for i in indexes if not (silent(sent[i]) and sent[i] in forwarded)]
        for index, answer in zip(owed, by_tid[tid], strict=True):
            assert answer[6] == sent[index][6]
            serial = answer[8:] if len(answer) == 12 else None
            assert serial is None or int.from_bytes(serial, "big") == index
            assert serial is not None or answer[7] == sent[index][7] | 0x80


def _numbered(forwarded: list[bytes], fresh: list[bytes]) -> list[tuple[int, bytes]]:
    start = len(forwarded) - len(fresh)
    return [(start + at, one) for at, one in enumerate(fresh) if not silent(one)]


def sent_index(sent: list[bytes], forwarded: list[bytes], at: int) -> int:
    """Which request the forwarded frame number ``at`` is: the n-th of equal frames is the n-th of these sent."""
    before = sum(one == forwarded[at] for one in forwarded[:at])
    return [index for index, one in enumerate(sent) if one == forwarded[at]][before]


@st.composite
def polling(draw: st.DrawFn) -> list[bytes]:
    """What a polling master sends: a few questions to a few units again and again, with other ids."""
    asked = draw(st.lists(many_pdus, min_size=1, max_size=3))
    order = draw(
        st.lists(st.tuples(st.sampled_from([1, 1, 2, 0, 255]), st.sampled_from(asked)), min_size=2, max_size=24)
    )
    return [frame(number, *which) for number, which in enumerate(order)]


def answered(frames: list[bytes], client: Client) -> list[Any]:
    """Each frame with an answer at once: what came of each."""
    log: list[Any] = []
    for one in frames:
        client.send(one)
        told = client.look()
        for sent in told.device:
            if not silent(sent):
                client.reply(reply(sent, 0))
        log.append((told.device, told.answers, client.look().answers, told.events, told.closes))
    return log


@given(polling(), st.one_of(st.none(), rules()), st.one_of(st.none(), nevers))
def test_cached_equals_uncached(frames: list[bytes], rule: object, never: object) -> None:
    cached = Policy(rule, never)
    uncached = Policy(rule, never, reusable=False)
    with_cache, without = Client(cached), Client(uncached)
    assert answered(frames, with_cache) == answered(frames, without)
    assert with_cache.inspector.tally() == without.inspector.tally()
    assert len(cached.asked) <= len(uncached.asked)
    fresh = []
    for one in frames:
        fresh += answered([one], Client(Policy(rule, never)))
        if fresh[-1][-1] is not None:
            break
    assert fresh == answered(frames[: len(fresh)], Client(Policy(rule, never)))


@given(polling(), rules(), rules())
def test_a_new_epoch_forgets_every_verdict(frames: list[bytes], before: object, after: object) -> None:
    policies = [Policy(before), Policy(after)]
    client = Client(lambda *question: policies[0](*question))
    answered(frames, client)
    policies.pop(0)
    client.again()
    if not client.closed:
        assert answered(frames, client) == answered(frames, Client(Policy(after)))


def test_the_cache_is_used_and_bounded() -> None:
    policy = Policy()
    client = Client(policy)
    answered([frame(1, 1, bytes.fromhex("0300000001"))] * 10, client)
    assert len(policy.asked) == 1
    answered([frame(1, 1, b"\x03" + at.to_bytes(2, "big") + b"\0\1") for at in range(3000)], client)
    assert len(policy.asked) == 3000
    answered([frame(1, 1, b"\x03" + at.to_bytes(2, "big") + b"\0\1") for at in range(3000)], client)
    assert 3000 + 3000 - 1024 == len(policy.asked)


def test_what_must_not_be_reused_is_asked_each_time() -> None:
    for policy, data in [
        (Policy(reusable=False), "0300000001"),
        (Policy(record_first=True), "0600000001"),
        (Policy({"read": ["coil 0"]}), "0300000001"),
    ]:
        client = Client(policy)
        for _ in range(3):
            client.send(frame(1, 1, bytes.fromhex(data)))
            for token in client.look().holds:
                client.resume(token, True)
                client.look()
            client.reply(frame(1, 1, bytes.fromhex(data)))
        assert len(policy.asked) >= 3


@given(st.lists(adus(ready_made, crowded), max_size=30), st.booleans())
def test_the_end_answers_everything_that_is_owed(sent: list[bytes], record_first: bool) -> None:
    why = Reason.POLICY_CHANGED
    client = Client(Policy(record_first=record_first))
    client.send(b"".join(sent))
    told = client.look()
    client.end(why)
    last = client.look()
    owed = len(sent) - sum(silent(one) for one in told.device)
    assert len(told.answers) + len(last.answers) == owed
    assert Counter(one[:2] for one in cut(b"".join(told.answers + last.answers))) <= Counter(one[:2] for one in sent)
    assert (last.device, last.closes) == ([], why.code)
    client.send(b"".join(sent))
    client.reply(frame(1, 1, b"\x03\x02\x00\x00"))
    assert vars(client.look()) == vars(Client(Policy()).look())


@given(any_pdus, units)
def test_the_answer_of_a_refusal_is_one_byte_and_nothing_else(data: bytes, unit: int) -> None:
    client = Client(Policy({"read": ["coil 9999"]}))
    client.send(frame(0xABCD, unit, data))
    for answer in client.look().answers:
        assert answer == frame(0xABCD, unit, bytes((data[0] | 0x80, answer[8])))
        assert answer[8] in (1, 2, 3)
