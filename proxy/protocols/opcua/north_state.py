"""What the client's side must know of a session, wherever its client speaks from (Part 4, 5.7).

Identity belongs to the session, not to the connection: several sessions of different users may share one channel, and
a session may move to another channel of the same client. So this stands in `memory.Session.north` and not in a link.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.core.names import Names
    from proxy.protocols.opcua.memory import Session
    from proxy.protocols.opcua.subscriptions import Subscription

MOST_POINTS = 100


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
    """``channel``: the `Sessions` of the channel that the session is on, None when that is gone. ``nonce``: the last
    that we gave the client, to be signed once. ``user``: None for an anonymous one. ``active``: a user was accepted.
    ``changing``: so many requests for another user are on their way, and nobody knows for whom the server acts.
    ``points``: continuation points of Browse, oldest first."""

    owner: Owner
    channel: object
    nonce: bytes
    user: str | None = None
    active: bool = False
    changing: int = 0
    waiting: Waiting = field(default_factory=Waiting)
    points: dict[bytes, None] = field(default_factory=dict)
    subscriptions: dict[int, Subscription] = field(default_factory=dict)

    def keep_point(self, point: bytes) -> None:
        """A server keeps few of them; of ours the oldest goes first."""
        self.points[point] = None
        if len(self.points) > MOST_POINTS:
            del self.points[next(iter(self.points))]


def north_of(session: Session) -> NorthState | None:
    """None for a session that was created without us."""
    return session.north if isinstance(session.north, NorthState) else None
