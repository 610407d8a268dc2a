"""The client's subscriptions as the broker has them, and the answers that are still to be put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.protocols.mqtt.answers import suback_codes
from proxy.protocols.mqtt.subscribe import MAX_FILTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from proxy.protocols.mqtt.actions import Subscription
    from proxy.protocols.mqtt.packet_ids import PacketIds

STANDING = 256
"""Filters of one session (protocols.md 2.2)."""
QUESTIONS = 65536
"""Bytes of SUBSCRIBE and UNSUBSCRIBE under way, above which the next one waits: to leave answers unread must not fill
memory (T48)."""
_HEAD = 8
"""Bytes of an UNSUBSCRIBE besides its filters: fixed header, packet id, no properties."""


class _Asked:
    """One SUBSCRIBE under way. ``slots``: our refusal for each filter, or None where the broker's word counts.
    ``fresh``: the filters that did not stand before. ``size``: bytes of the packet."""

    __slots__ = ("filters", "fresh", "size", "slots")

    def __init__(self, filters: tuple[str, ...], slots: list[int | None], fresh: set[str], size: int) -> None:
        self.filters = filters
        self.fresh = fresh
        self.slots = slots
        self.size = size


class Subscriptions:
    """By filter as the client wrote it, `$share/...` included."""

    def __init__(self) -> None:
        self._standing: dict[str, Subscription] = {}
        self._asked: dict[int, _Asked] = {}
        self._leaving: dict[int, int] = {}
        self._questions = 0
        self._withdrawn: set[int] = set()
        self._fresh: set[str] = set()

    def __iter__(self) -> Iterator[tuple[str, Subscription]]:
        return iter(list(self._standing.items()))

    def room(self, filter: str) -> bool:
        return filter in self._standing or len(self._standing) < STANDING

    def stand(self, filter: str, action: Subscription) -> None:
        """From the moment it is sent: a broker may deliver before it answers [MQTT-3.8.4-3]."""
        if filter not in self._standing:
            self._fresh.add(filter)
        self._standing[filter] = action

    def fall(self, filter: str) -> None:
        self._standing.pop(filter, None)

    def asked(self, packet_id: int, filters: tuple[str, ...], slots: list[int | None], size: int) -> None:
        self._asked[packet_id] = _Asked(filters, slots, self._fresh, size)
        self._fresh = set()
        self._questions += size

    def answered(self, level: int, packet_id: int, codes: Sequence[int]) -> list[int] | None:
        """The codes for the client, in the order of its filters. None: the broker's answer fits no question."""
        asked = self._asked.pop(packet_id, None)
        if asked is None or asked.slots.count(None) != len(codes):
            return None
        self._questions -= asked.size
        words = iter(codes)
        merged = [next(words) if slot is None else slot for slot in asked.slots]
        for filter, code, slot in zip(asked.filters, merged, asked.slots, strict=True):
            if slot is None and code >= 0x80 and filter in asked.fresh:
                self.fall(filter)
        return suback_codes(level, merged)

    def leaving(self, packet_id: int, filters: tuple[str, ...], size: int) -> None:
        """The client's UNSUBSCRIBE, of ``size`` bytes, is on its way."""
        self._leaving[packet_id] = size
        self._questions += size
        for filter in filters:
            self.fall(filter)

    def left(self, packet_id: int) -> bool:
        """UNSUBACK for the client's own UNSUBSCRIBE; False if it asked none."""
        size = self._leaving.pop(packet_id, None)
        self._questions -= size or 0
        return size is not None

    def withdraw(self, taken: set[int] | PacketIds, filters: tuple[str, ...]) -> int | None:
        """A packet id for an UNSUBSCRIBE of ours: one that the client does not use. None: there is none."""
        for filter in filters:
            self.fall(filter)
        for packet_id in range(65535, 0, -1):
            if packet_id not in taken and not self.uses(packet_id):
                self._withdrawn.add(packet_id)
                return packet_id
        return None

    def withdrawn(self, packet_id: int) -> bool:
        """UNSUBACK for an UNSUBSCRIBE of ours, which the client must not see."""
        if packet_id not in self._withdrawn:
            return False
        self._withdrawn.discard(packet_id)
        return True

    def uses(self, packet_id: int) -> bool:
        """A question is under way with this id, of the client or of ours."""
        return packet_id in self._asked or packet_id in self._leaving or packet_id in self._withdrawn

    def must_wait(self, packet_id: int) -> bool:
        """The client's question with this id has to wait until another is answered."""
        return self._questions > QUESTIONS or self.uses(packet_id)

    @property
    def ours(self) -> set[int]:
        """Packet ids that our own questions hold; a client packet with one of them waits."""
        return self._withdrawn


def in_packets(filters: Iterable[str], most: int) -> Iterator[tuple[str, ...]]:
    """As many at a time as one UNSUBSCRIBE of ``most`` bytes takes, and not more than we ourselves would."""
    part: list[str] = []
    size = 0
    for filter in filters:
        more = 2 + len(filter.encode())
        if part and (len(part) == MAX_FILTERS or _HEAD + size + more > most):
            yield tuple(part)
            part, size = [], 0
        part.append(filter)
        size += more
    if part:
        yield tuple(part)
