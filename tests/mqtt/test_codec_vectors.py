"""Vectors: what one control packet is, clause by clause, in each version and direction the vector names."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.protocols.mqtt.packets import Malformed, decode, encode
from tests.mqtt.notation import load, packet

VECTORS = load("packets")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


CASES = [
    pytest.param(level, to == "broker", packet(text), gives, id=f"{vector['name']}, {level} to {to}: {what}")
    for vector in VECTORS
    for level in _list(vector["level"])
    for to in _list(vector["to"])
    for what, text, gives in vector["rows"]
]


@pytest.mark.parametrize(("level", "to_broker", "frame", "gives"), CASES)
def test_a_packet_gives(level: int, to_broker: bool, frame: bytes, gives: str) -> None:
    found = decode(frame, level, to_broker=to_broker)
    if isinstance(found, Malformed):
        assert f"{found.code:02X}{' ours' if found.ours else ''}" == gives, found.what
        assert found.what.isascii()
        assert found.what.isprintable()
        assert len(found.what) <= 120
    else:
        assert gives == "ok", found
        assert encode(found, level) == frame


@pytest.mark.parametrize(("level", "to_broker", "frame", "gives"), CASES)
def test_no_packet_survives_a_cut_or_an_extra_byte(level: int, to_broker: bool, frame: bytes, gives: str) -> None:
    if gives == "ok":
        for size in (*range(min(len(frame), 40)), len(frame) - 1):
            assert isinstance(decode(frame[:size], level, to_broker=to_broker), Malformed)
        assert isinstance(decode(frame + b"\0", level, to_broker=to_broker), Malformed)


def test_every_packet_type_passes_and_fails_in_each_version() -> None:
    """A vector file that forgets a type would say nothing about it."""
    passes: set[tuple[object, int]] = set()
    fails: set[tuple[object, int]] = set()
    for case in CASES:
        level, _, frame, gives = case.values
        assert isinstance(frame, bytes)
        (passes if gives == "ok" else fails).add((level, frame[0] >> 4 if frame else 0))
    assert passes == {(4, kind) for kind in range(1, 15)} | {(5, kind) for kind in range(1, 16)}
    assert fails >= passes


def test_every_refusal_has_a_row() -> None:
    codes = {str(gives) for *_, gives in (case.values for case in CASES)}
    assert codes == {
        "ok", "81", "82", "84", "85", "8F", "90", "94", "81 ours", "85 ours", "86 ours", "8F ours", "90 ours",
        "97 ours",
    }  # fmt: skip
