"""All live links, and who may have how many.

The handshake cap must not become the attack (threats.md 7.3): when it is full, the oldest unproved connection of the
source that holds most makes room, and a source that holds none is never turned away.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from proxy.core.reason import Reason

if TYPE_CHECKING:
    from proxy.gateway.ports import ClientLink, Limits


class Links:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._live: dict[int, ClientLink] = {}
        self._unproved: dict[str, OrderedDict[int, ClientLink]] = {}
        self._unproved_count = 0
        self._by_source: Counter[str] = Counter()
        self._by_identity: Counter[str] = Counter()
        self.evicted = 0

    def limit(self, limits: Limits) -> None:
        """Other limits, for those who come from here on."""
        self._limits = limits

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[ClientLink]:
        return iter(list(self._live.values()))

    def get(self, number: int) -> ClientLink | None:
        return self._live.get(number)

    @property
    def unproved(self) -> int:
        return self._unproved_count

    def arrive(self, link: ClientLink) -> None:
        """A connection that has shown nothing yet."""
        if self._unproved_count >= self._limits.handshakes:
            self._evict()
        self._unproved.setdefault(link.facts.peer_ip, OrderedDict())[link.number] = link
        self._unproved_count += 1

    def admit(self, link: ClientLink) -> Reason | None:
        """It has proved who it is; None when there is room for it."""
        source, identity = link.facts.peer_ip, _identity(link)
        if (
            len(self._live) >= self._limits.links
            or self._by_source[source] >= self._limits.links_per_source
            or self._by_identity[identity] >= self._limits.links_per_identity
        ):
            return Reason.CONNECTION_LIMIT
        self._forget_unproved(link)
        self._live[link.number] = link
        self._by_source[source] += 1
        self._by_identity[identity] += 1
        return None

    def gone(self, link: ClientLink) -> None:
        self._forget_unproved(link)
        if self._live.pop(link.number, None) is not None:
            _take_one(self._by_source, link.facts.peer_ip)
            _take_one(self._by_identity, _identity(link))

    def everyone(self) -> list[ClientLink]:
        """Live links and those still shaking hands."""
        return [*self._live.values(), *(link for held in self._unproved.values() for link in held.values())]

    def _evict(self) -> None:
        worst = max(self._unproved.values(), key=len)
        oldest = next(iter(worst.values()))
        self.evicted += 1
        oldest.evict()

    def _forget_unproved(self, link: ClientLink) -> None:
        held = self._unproved.get(link.facts.peer_ip)
        if held is not None and held.pop(link.number, None) is not None:
            self._unproved_count -= 1
            if not held:
                del self._unproved[link.facts.peer_ip]


def _identity(link: ClientLink) -> str:
    principal = link.principal
    if principal is None or principal.id is None:
        certificate = link.facts.certificate
        return f"certificate {certificate.sha256}" if certificate is not None else f"address {link.facts.peer_ip}"
    return principal.id


def _take_one(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
