"""Writes packet captures by hand (libpcap format, raw IPv4), so that another program can read what we send."""

from __future__ import annotations

import struct

RAW_IPV4 = 228
"""LINKTYPE_IPV4."""


def capture(segments: list[tuple[int, bytes]], port: int = 502) -> bytes:
    """A capture of TCP segments from a client to ``port``: (client's port, payload), sequence numbers kept by port."""
    found = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IPV4)
    sequence: dict[int, int] = {}
    for number, (source, payload) in enumerate(segments):
        at = sequence.get(source, 1)
        sequence[source] = at + len(payload)
        packet = _ipv4(_tcp(source, port, at, payload))
        found += struct.pack("<IIII", 1_700_000_000, number, len(packet), len(packet)) + packet
    return found


def _tcp(source: int, port: int, sequence: int, payload: bytes) -> bytes:
    push_ack = 0x18
    return struct.pack(">HHIIBBHHH", source, port, sequence, 1, 5 << 4, push_ack, 65535, 0, 0) + payload


def _ipv4(payload: bytes) -> bytes:
    return struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, 6, 0, bytes((10, 3, 0, 1)), bytes((10, 3, 0, 11))
    ) + payload  # fmt: skip
