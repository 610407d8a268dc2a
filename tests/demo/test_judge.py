"""The judge: a step is as expected if all four witnesses say so, and not if one of them does not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.demo.connection import Answer
from proxy.demo.frames import adu, content, read_holding, write_register
from proxy.demo.packets import PING, connect, publish
from proxy.demo.packets import content as packet_content
from proxy.demo.recording import Arrived
from proxy.demo.side import UNS
from proxy.demo.step import Claim, Expect, Result, Ruling, Seen, Step, forbidden, judge

if TYPE_CHECKING:
    from proxy.demo.plant import Plant

ALLOWED, FORBIDDEN, OTHER = content(read_holding(1, 1)), content(write_register(41, 7)), content(read_holding(2, 2))
FINE = Claim("SCADA polls on", "SCADA polls on", True)
RULING = Ruling(("cell/counters",), "BH-1201", "cell/default", "cell.yaml:7")


def never_played(plant: Plant) -> Seen:
    raise AssertionError


STEP = Step(
    "intruder",
    "glues two frames",
    never_played,
    Expect(("answered", "exception 01"), allowed=("cell/counters",), reason="BH-1201", arrives=(ALLOWED,)),
)
SEEN = Seen(
    (Answer("answered", 0.001), Answer("exception 01", 0.002)),
    ("127.0.0.66:1",),
    (adu(1, ALLOWED[1:]) + adu(2, FORBIDDEN[1:]),),
)


def arrived(*frames: bytes, rest: bytes = b"") -> Arrived:
    return Arrived(Counter(frames), rest)


def judged(
    seen: Seen = SEEN,
    at_plc: Arrived | None = None,
    ruling: Ruling = RULING,
    undisturbed: Claim = FINE,
    *,
    alone: bool = True,
) -> Result:
    return judge(STEP, seen, at_plc or arrived(ALLOWED), ruling, undisturbed, alone=alone)


def test_all_as_expected() -> None:
    result = judged()
    assert result.ok
    assert result.expected == (
        "answered, exception 01; allowed by cell/counters, refused with BH-1201; PLC receives 1 frame; SCADA polls on"
    )
    assert result.observed == (
        "answered, exception 01; allowed by cell/counters, refused with BH-1201 by cell/default (cell.yaml:7);"
        " PLC received 1 frame; SCADA polls on"
    )
    assert result.seconds == 0.002


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(
    ("at_plc", "said"),
    [
        (arrived(ALLOWED, FORBIDDEN), f"PLC received 2 frames ({ALLOWED.hex(' ')}, {FORBIDDEN.hex(' ')})"),
        (arrived(FORBIDDEN), f"PLC received 1 frame ({FORBIDDEN.hex(' ')})"),
        (arrived(), "PLC received nothing"),
    ],
    ids=["forbidden too", "forbidden alone", "allowed missing"],
)
def test_what_the_plc_received_decides(at_plc: Arrived, said: str, alone: bool) -> None:
    result = judged(at_plc=at_plc, alone=alone)
    assert not result.ok
    assert said in result.observed


@pytest.mark.parametrize(
    "at_plc",
    [arrived(ALLOWED, OTHER), arrived(ALLOWED, ALLOWED), arrived(ALLOWED, rest=b"\0\1")],
    ids=["a stranger's frame", "the allowed one twice", "bytes that are no frame"],
)
def test_whatever_is_not_accounted_for_counts_when_nobody_else_is_there(at_plc: Arrived) -> None:
    assert not judged(at_plc=at_plc).ok
    assert judged(at_plc=at_plc, alone=False).ok


@pytest.mark.parametrize("kinds", [("answered", "answered"), ("exception 01", "answered"), ("answered",), ("closed",)])
def test_the_clients_answers_decide(kinds: tuple[str, ...]) -> None:
    assert not judged(replace(SEEN, answers=tuple(Answer(kind, 0.0) for kind in kinds))).ok


@pytest.mark.parametrize(
    "ruling",
    [Ruling(), replace(RULING, reason="BH-1202"), replace(RULING, allowed=()), replace(RULING, allowed=("a/b",))],
)
def test_the_gateways_record_decides(ruling: Ruling) -> None:
    assert not judged(ruling=ruling).ok


def test_a_disturbed_scada_and_a_broken_claim_decide() -> None:
    wrong = Claim("cut within 1 s", "cut after 3.00 s", False)
    assert not judged(undisturbed=replace(FINE, ok=False)).ok
    result = judged(replace(SEEN, claims=(wrong,)))
    assert not result.ok
    assert "cut after 3.00 s" in result.observed


def at_the_broker(arrived: Arrived, *, alone: bool = True) -> Result:
    good, bad = publish("a/b", b"1", qos=1), publish("a/c", b"1", qos=1)
    step = replace(
        STEP, side=UNS, expect=replace(STEP.expect, arrives=(packet_content(connect("me:x")), good), heard=("a/b",))
    )
    seen = replace(SEEN, sent=(connect("x") + good + bad + PING,))
    assert forbidden(step, seen) == {packet_content(connect("x")), bad}
    return judge(step, seen, arrived, RULING, FINE, alone=alone)


def broker_saw(*frames: bytes, heard: tuple[str, ...] = ("a/b",), left_open: int = 0) -> Arrived:
    return Arrived(Counter(map(packet_content, frames)), heard=heard, left_open=left_open)


def test_a_step_at_the_broker_is_judged_by_packets_and_by_what_the_mes_hears() -> None:
    good, bad = publish("a/b", b"1", qos=1), publish("a/c", b"1", qos=1)
    opened = connect("me:x", keep_alive=7)
    result = at_the_broker(broker_saw(opened, good))
    assert result.ok
    assert "UNS received 2 packets; MES hears of a/b" in result.observed
    leak = at_the_broker(broker_saw(opened, good, bad))
    assert not leak.ok
    assert "PUBLISH a/c qos 1" in leak.observed
    assert not at_the_broker(broker_saw(opened, good, bad), alone=False).ok
    assert not at_the_broker(broker_saw(connect("x"), good)).ok, "the client id is not the broker's"
    assert not at_the_broker(broker_saw(opened, good, heard=())).ok
    assert not at_the_broker(broker_saw(opened, good, heard=("a/b", "a/c"))).ok
    assert at_the_broker(broker_saw(opened, good, heard=("a/b", "a/c")), alone=False).ok
    still_there = at_the_broker(broker_saw(opened, good, left_open=1), alone=False)
    assert not still_there.ok
    assert "1 connection left open" in still_there.observed


def test_forbidden_is_all_that_was_sent_but_what_may_arrive() -> None:
    lie = adu(3, FORBIDDEN[1:], protocol=1)
    assert forbidden(STEP, replace(SEEN, sent=(*SEEN.sent, lie))) == {FORBIDDEN}
    assert forbidden(STEP, replace(SEEN, sent=(adu(3, OTHER[1:], length=250),))) == {OTHER}


@pytest.mark.parametrize(
    ("records", "ruling"),
    [
        ([{"what": "connect", "verdict": "allow", "rule": "c/r", "at": "f:1"}], Ruling()),
        (
            [
                {"what": "connect", "reason": "BH-1001", "rule": "c/default", "at": "f:7", "slug": "unknown-device"},
                {"what": "refuse", "reason": "BH-1201", "rule": "c/default", "at": "f:7", "slug": "default-deny"},
                {"what": "close", "allowed": {}, "refused": {"BH-1201": 1}},
            ],
            Ruling((), "BH-1201", "c/default", "f:7", "default-deny"),
        ),
        (
            [{"what": "connect", "reason": "BH-1007", "slug": "tls-failed", "detail": "verify failed"}],
            Ruling((), "BH-1007", "", "", "verify failed"),
        ),
        (
            [{"what": "close", "allowed": {"c/r": 2}, "reason": "BH-1004", "slug": "certificate-ended"}],
            Ruling(("c/r",), "BH-1004", "", "", "certificate-ended"),
        ),
    ],
    ids=["nothing was asked", "a refused message", "a refused connection", "an ended link"],
)
def test_what_the_audit_log_says_of_a_step(records: list[dict[str, object]], ruling: Ruling) -> None:
    assert Ruling.of(records) == ruling
