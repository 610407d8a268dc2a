"""Reads what the tap in front of the broker wrote down, connection by connection."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.demo import packets
from proxy.demo.ledger import Said
from proxy.demo.recording import Arrived, Lines

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


@dataclass(slots=True)
class BrokerLink:
    """One connection of the gateway to the broker. ``client`` is the id that its CONNECT gave the broker, empty before
    one came. ``standing``: it is of one of the floor's own clients."""

    client: str = ""
    standing: bool = False
    rest: bytes = b""


class UnsRecording:
    """``floor``: client ids of those who speak all the time. Only the first connection with such an id is theirs: a
    second one would be somebody who took the id. Raises as `Lines` does.

    ``said``: the floor's packets so far, as `packets.show` tells them.
    """

    def __init__(self, path: Path, floor: frozenset[str]) -> None:
        self._lines = Lines(path)
        self._awaited = set(floor)
        self._open: dict[int, BrokerLink] = {}
        self._fresh = Arrived()
        self.said: Counter[Said] = Counter()

    def take(self) -> Arrived:
        """What came since the last time, on all connections but the floor's."""
        self.refresh()
        arrived, self._fresh = self._fresh, Arrived()
        arrived.rest += b"".join(link.rest for link in self._open.values() if not link.standing)
        return arrived

    def open_clients(self) -> Collection[str]:
        """Client ids on connections that are up, but the floor's."""
        self.refresh()
        return [link.client for link in self._open.values() if not link.standing]

    def refresh(self) -> None:
        for line in self._lines.fresh():
            link = self._open.setdefault(line.link, BrokerLink())
            contents, link.rest = packets.cut(link.rest + line.data)
            for content in contents:
                self._note(link, content)
            if not line.data:
                self._fresh.rest += link.rest  # half a packet that will never be whole
                del self._open[line.link]

    def _note(self, link: BrokerLink, content: bytes) -> None:
        if content[0] >> 4 == packets.CONNECT and not link.client:
            link.client = packets.opening(content).client_id
            link.standing = link.client in self._awaited
            self._awaited.discard(link.client)
        if link.standing:
            self.said[Said(link.client, packets.show(content))] += 1
        else:
            self._fresh.frames[content] += 1
