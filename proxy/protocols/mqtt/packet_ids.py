"""Packet ids under way, for a client that has thousands of them (T48)."""

from __future__ import annotations

from collections.abc import Iterable

MANY = 1024
"""Ids from which on a set takes more memory than a bit for each id there is: 64 bytes each, against 8 KiB in all."""
_ROOM = 65536 // 8


class PacketIds:
    """As a set of packet ids, slower and bounded."""

    __slots__ = ("_bits", "_count")

    def __init__(self, ids: Iterable[int]) -> None:
        self._bits = bytearray(_ROOM)
        self._count = 0
        self.update(ids)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, packet_id: int) -> bool:
        return bool(self._bits[packet_id >> 3] >> (packet_id & 7) & 1)

    def add(self, packet_id: int) -> None:
        if packet_id not in self:
            self._bits[packet_id >> 3] |= 1 << (packet_id & 7)
            self._count += 1

    def discard(self, packet_id: int) -> None:
        if packet_id in self:
            self._bits[packet_id >> 3] ^= 1 << (packet_id & 7)
            self._count -= 1

    def update(self, ids: Iterable[int]) -> None:
        for packet_id in ids:
            self.add(packet_id)


def bounded(ids: set[int] | PacketIds) -> set[int] | PacketIds:
    """The same ids, in less memory if there are many."""
    return ids if len(ids) <= MANY or isinstance(ids, PacketIds) else PacketIds(ids)
