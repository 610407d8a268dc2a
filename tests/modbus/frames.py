"""Modbus/TCP frames for tests, made and cut without any code of ours: the vectors' notation and a plain framer.

``0001/01 03 0000 0001`` is transaction id, unit and PDU in hex; ``0001..0010/01 ...`` is sixteen such frames with
rising ids; ``raw 0001 0000...`` is bytes as they stand. `` + `` joins. ``FF*246`` repeats a group.
"""

from __future__ import annotations

import re

_FRAME = re.compile(r"([0-9A-F]{4})(?:\.\.([0-9A-F]{4}))?/([0-9A-F]{2}) ([0-9A-F* ]+)", re.IGNORECASE)


def frame(tid: int, unit: int, pdu: bytes) -> bytes:
    """One ADU, whatever the PDU."""
    return tid.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + bytes((unit,)) + pdu


def hexes(text: str) -> bytes:
    """``06 0000 FF*3`` as bytes."""
    found = b""
    for group in text.split():
        digits, _, times = group.partition("*")
        found += bytes.fromhex(digits) * int(times or 1)
    return found


def read(text: str) -> list[bytes]:
    """The frames (or raw chunks) that ``text`` stands for."""
    found = []
    for part in text.split("+"):
        part = part.strip()
        if part.startswith("raw"):
            found.append(hexes(part.removeprefix("raw")))
            continue
        match = _FRAME.fullmatch(part)
        if match is None:
            raise ValueError(f"not a frame: {part!r}")
        first, last = int(match[1], 16), int(match[2] or match[1], 16)
        found += [frame(tid, int(match[3], 16), hexes(match[4])) for tid in range(first, last + 1)]
    return found


def read_all(texts: list[str]) -> list[bytes]:
    return [found for text in texts for found in read(text)]


def cut(stream: bytes) -> list[bytes]:
    """The ADUs of a stream that is known to be well framed; raises ValueError otherwise."""
    frames = []
    while stream:
        size = 6 + int.from_bytes(stream[4:6], "big")
        if len(stream) < 8 or stream[2:4] != b"\0\0" or len(stream) < size or size > 260:
            raise ValueError(f"not framed: {stream[:16].hex()}")
        frames.append(stream[:size])
        stream = stream[size:]
    return frames


def show(frames: list[bytes]) -> list[str]:
    """For assertion messages: one hex line each."""
    return [f"{f[:2].hex()}/{f[6:7].hex()} {f[7:].hex()}" if len(f) > 7 else f"raw {f.hex()}" for f in frames]
