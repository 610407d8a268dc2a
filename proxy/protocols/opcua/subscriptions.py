"""Subscriptions and their monitored items, as far as delivery must be judged (protocols.md 4.7).

A notification names its item by the client's own handle and nothing else. So the node behind each handle is kept from
CreateMonitoredItems on, and whether it may still be told. Two items may have one handle, which is then told only while
both may be; and a handle that was another item's before, only while that one may be, because the server still has what
it said of it (Republish).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from proxy.protocols.opcua.node_id import NodeId

MOST_SUBSCRIPTIONS = 16
"""Of one session (CVE-2022-25897, CVE-2022-24375, CVE-2022-24298)."""
MOST_ITEMS = 5000
"""Of one session."""
MOST_PAST = 5000
"""Handles of one subscription that were an item's and are not any more. One that may not be told stays."""


@dataclass(slots=True, eq=False)
class Item:
    """``id`` is the server's, 0 until it has said so. ``uri``: what its namespace index meant when it was asked for.
    ``allowed``: at the last decision. ``disabled``: the server was told to send no more of it."""

    node_id: NodeId
    attribute: int
    handle: int
    id: int = 0
    uri: str = ""
    allowed: bool = True
    disabled: bool = False


@dataclass(slots=True)
class Subscription:
    """``surveyed``: what the session knew of its server when the items were judged. ``items`` by the server's id;
    ``_told`` by the client's handle, and ``_past``, what had the handle before."""

    id: int
    surveyed: int = 0
    items: dict[int, Item] = field(default_factory=dict)
    _told: dict[int, list[Item]] = field(default_factory=dict)
    _past: dict[int, list[Item]] = field(default_factory=dict)

    def expect(self, item: Item) -> None:
        """It is asked for. Its first value may come before the answer that gives it an id."""
        self._told.setdefault(item.handle, []).append(item)

    def made(self, item: Item, id: int) -> None:
        item.id = id
        self.items[id] = item

    def never_was(self, item: Item) -> None:
        """The server did not make it."""
        self._remove(item)

    def forget(self, item: Item) -> None:
        """It is over, or nobody knows whether it ever was."""
        self._remove(item)
        past = self._past.setdefault(item.handle, [])
        if not any((one.node_id, one.attribute) == (item.node_id, item.attribute) for one in past):
            past.append(replace(item))
        if len(self._past) > MOST_PAST:
            free = (handle for handle, some in self._past.items() if all(one.allowed for one in some))
            if (oldest := next(free, None)) is not None:
                del self._past[oldest]

    def _remove(self, item: Item) -> None:
        self.items.pop(item.id, None)
        some = self._told.get(item.handle, [])
        if item in some:
            some.remove(item)
        if not some:
            self._told.pop(item.handle, None)

    def rename(self, item: Item, handle: int) -> None:
        """ModifyMonitoredItems gives an item another handle."""
        id = item.id
        self.forget(item)
        item.handle = handle
        self.expect(item)
        self.made(item, id)

    def may_tell(self, handle: int) -> bool:
        some = self._told.get(handle)
        if some is None or not all(item.allowed for item in some):
            return False
        past = self._past.get(handle)
        return past is None or all(item.allowed for item in past)

    def named(self, handle: int) -> list[Item]:
        return self._told.get(handle, [])

    def past(self) -> Iterator[Item]:
        for some in self._past.values():
            yield from some

    def __iter__(self) -> Iterator[Item]:
        for some in self._told.values():
            yield from some

    def __len__(self) -> int:
        return sum(map(len, self._told.values()))


def items_of(subscriptions: Iterable[Subscription]) -> int:
    return sum(map(len, subscriptions))


def uri_at(namespaces: Sequence[str], id: NodeId) -> str:
    """What the index of a node means; empty: nothing."""
    return namespaces[id.namespace] if id.namespace < len(namespaces) else ""
