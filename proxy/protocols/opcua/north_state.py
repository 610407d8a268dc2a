"""What the client's side must know of a session, wherever its client speaks from (Part 4, 5.7).

Identity belongs to the session, not to the connection: several sessions of different users may share one channel, and
a session may move to another channel of the same client. So this stands in `memory.Session.north` and not in a link.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.core.names import Names
    from proxy.protocols.opcua.memory import Key, Session
    from proxy.protocols.opcua.subscriptions import Subscription

MOST_POINTS = 100
MOST_PAGES = 1000
"""Continuation points of Browse, and of HistoryRead."""
_SHORT = 64


@dataclass(frozen=True, slots=True)
class Owner:
    """Who created a session. ``address``: where from, as the inventory names the speaker; ``certificate``: SHA-256 of
    the channel's, empty under policy None, where only the names tell."""

    names: Names
    certificate: bytes
    policy: str
    mode: str


@dataclass(slots=True)
class Waiting:
    """Requests of a session whose answers are due on the channel that it is on: limits count what is under way, too.
    A session that comes to another channel has a new one, because what the old one owed is never answered."""

    publish: int = 0
    subscriptions: int = 0


@dataclass(slots=True)
class NorthState:
    """``channel``: what stands for the channel that the session is on, None when that is gone. ``nonce``: the last
    that we gave the client, to be signed once. ``user``: None for an anonymous one. ``active``: a user was accepted.
    ``changing``: so many requests for another user are on their way, and nobody knows for whom the server acts.
    ``points``: continuation points of Browse, oldest first; ``pages``: of HistoryRead, with the node of each."""

    owner: Owner
    channel: object
    nonce: bytes
    user: str | None = None
    active: bool = False
    changing: int = 0
    waiting: Waiting = field(default_factory=Waiting)
    points: dict[bytes, None] = field(default_factory=dict)
    pages: dict[bytes, Key] = field(default_factory=dict)
    subscriptions: dict[int, Subscription] = field(default_factory=dict)

    def keep_point(self, point: bytes) -> None:
        """A server keeps few of them; of ours the oldest goes first."""
        self.points[_short(point)] = None
        if len(self.points) > MOST_POINTS:
            del self.points[next(iter(self.points))]

    def take_point(self, point: bytes | None) -> bool:
        """It was given to this session; it is good once."""
        return point is not None and self.points.pop(_short(point), False) is None

    def keep_page(self, point: bytes, node: Key) -> None:
        self.pages.pop(_short(point), None)
        self.pages[_short(point)] = node
        if len(self.pages) > MOST_PAGES:
            del self.pages[next(iter(self.pages))]

    def has_page(self, point: bytes, node: Key) -> bool:
        return self.pages.get(_short(point)) == node


def _short(point: bytes) -> bytes:
    """The server says how long its points are."""
    return point if len(point) < _SHORT else hashlib.sha256(point).digest() + b"long"


def north_of(session: Session) -> NorthState | None:
    """None for a session that was created without us."""
    return session.north if isinstance(session.north, NorthState) else None
