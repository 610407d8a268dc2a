"""The quick way for a run of PUBLISH packets whose like was judged before.

Spans on a hit, objects on a miss (style.md 3): the walk looks at every byte that policy can look at (flags, topic,
size of the payload, that there are no properties), finds the answer with one look-up, and builds nothing. What it
does not settle (a miss, a refusal, a property, a long packet) is left to the decoder, which is its oracle.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping


CACHED = 1024
CACHED_BYTES = 1 << 17
"""Pairs of flags and topic kept per link and direction, and the bytes of their topics: whoever publishes on ever other
topics must not fill memory (T48)."""


class Known:
    """Packets with the same first byte and topic that are allowed: payloads of ``least``..``limit`` bytes."""

    __slots__ = ("count", "ids", "least", "limit", "skip", "tag")

    def __init__(self, tag: Hashable, least: int, limit: int, skip: int, ids: list[int] | None) -> None:
        self.tag = tag
        self.least = least
        self.limit = limit
        self.skip = skip
        """Bytes between topic and payload: packet id, and in MQTT 5 the length of no properties."""
        self.ids = ids
        self.count = 0


class Scanner:
    """One direction of one link. ``ids1`` and ``ids2`` gather the packet ids of QoS 1 and 2 that a walk passed."""

    __slots__ = ("_bytes", "_counted", "_five", "_size", "_tables", "ids1", "ids2")

    def __init__(self, level: int) -> None:
        self._five = level == 5
        self._tables: dict[int, dict[bytes, Known]] = {}
        self._size = 0
        self._bytes = 0
        self._counted: Counter[Hashable] = Counter()
        self.ids1: list[int] = []
        self.ids2: list[int] = []

    def walk(self, data: bytes, at: int, room: int) -> int:
        """The end of the run of known packets that begins at ``at``; ``at`` itself if there is none.

        Complete packets only, in their canonical form. At most ``room`` of them have a packet id.
        """
        tables, five = self._tables, self._five
        end = len(data)
        last = end - 5  # the shortest PUBLISH has five bytes
        before: Known | None = None
        while at <= last:
            table = tables.get(data[at])
            if table is None:
                break
            size = data[at + 1]
            if size < 128:
                topic = at + 4
            else:
                high = data[at + 2]
                if not 0 < high < 128:
                    break  # a third byte of length, or not the shortest form
                size += (high << 7) - 128
                topic = at + 5
            after = topic + size - 2
            if after > end:
                break
            stop = topic + (data[topic - 2] << 8 | data[topic - 1])
            known = table.get(data[topic:stop])
            if known is None:
                break
            payload = stop + known.skip
            if not known.least <= after - payload <= known.limit or (five and data[payload - 1]):
                break
            if known.ids is not None:
                number = data[stop] << 8 | data[stop + 1]
                if not number or not room:
                    break
                room -= 1
                known.ids.append(number)
                known.count += 1
                at = after
            elif known is before:
                # The same topic again: as long as all bytes up to the payload are the same, so is the answer.
                head, width, start = data[at:payload], after - at, at
                at = after
                while at + width <= end and data.startswith(head, at):
                    at += width
                known.count += (at - start) // width
            else:
                known.count += 1
                at = after
            before = known
        return at

    def learn(self, first: int, topic: bytes, tag: Hashable, size: int) -> None:
        """A packet without properties, with this first byte and a payload of ``size``, is allowed; ``tag`` counts it.

        Sizes between two of one tag are that tag's as well. What lies outside goes the long way once more:
        a cap may lie between, and below one another rule may come first; no payload in a retained packet clears.
        """
        table = self._tables.setdefault(first, {})
        known = table.get(topic)
        if known is not None and known.tag == tag:
            known.least = min(known.least, size)
            known.limit = max(known.limit, size)
            return
        if self._size >= CACHED or self._bytes + len(topic) > CACHED_BYTES:
            self.forget()
            table, known = self._tables.setdefault(first, {}), None
        qos = first >> 1 & 3
        skip = (2 if qos else 0) + (1 if self._five else 0)
        if known is not None:
            self._counted[known.tag] += known.count
        else:
            self._size += 1
            self._bytes += len(topic)
        table[topic] = Known(tag, size, size, skip, (None, self.ids1, self.ids2)[qos])

    def count(self, tag: Hashable) -> None:
        """One that went the long way."""
        self._counted[tag] += 1

    def forget(self) -> None:
        for table in self._tables.values():
            for known in table.values():
                self._counted[known.tag] += known.count
        self._tables.clear()
        self._size = self._bytes = 0

    def tally(self) -> Mapping[Hashable, int]:
        total = Counter(self._counted)
        for table in self._tables.values():
            for known in table.values():
                total[known.tag] += known.count
        return {tag: count for tag, count in total.items() if count}
