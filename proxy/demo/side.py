"""The sides of the plant that a step can be about, as the judge needs to know them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.demo import frames, packets

Cut = Callable[[bytes], tuple[list[bytes], bytes]]


@dataclass(frozen=True, slots=True)
class Side:
    """``name`` stands behind the gateway and receives ``noun``s. ``cut`` takes a client's stream apart, as far as
    broken bytes allow; ``show`` tells one of the contents. ``heard``: the MES listens to it."""

    name: str
    noun: str
    cut: Cut
    show: Callable[[bytes], str]
    heard: bool = False


def _frames(stream: bytes) -> tuple[list[bytes], bytes]:
    """With the rest as a frame of its own, if it is long enough to be meant as one."""
    whole, rest = frames.cut(stream)
    return ([*whole, rest[frames.HEADER :]], b"") if len(rest) > frames.HEADER else (whole, rest)


def _packets(stream: bytes) -> tuple[list[bytes], bytes]:
    whole, rest = packets.cut(stream)
    return ([*whole, rest], b"") if rest else (whole, rest)


def _lines(stream: bytes) -> tuple[list[bytes], bytes]:
    """A client of the robot says what it asked in words, since on the wire it is encrypted."""
    return stream.splitlines(), b""


PLC = Side("PLC", "frame", _frames, lambda content: content.hex(" "))
UNS = Side("UNS", "packet", _packets, packets.show, heard=True)
ROBOT = Side("robot", "request", _lines, lambda content: content.decode(errors="replace"))
