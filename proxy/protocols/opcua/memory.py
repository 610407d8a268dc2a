"""What outlives a link: the sessions of one device.

An OPC UA session belongs to its authenticationToken, not to a connection (Part 4 5.7): a client may lose its TCP
connection and activate the same session on another one. So whatever both sides must still know then is kept here, in
one object for all links to a device (`Client.memory`, `Far.memory`), and never in an inspector or an upstream.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.protocols.opcua.south_identity import Identities

if TYPE_CHECKING:
    from collections.abc import Hashable

    from proxy.protocols.opcua.node import Node
    from proxy.protocols.opcua.node_id import NodeId

Key = tuple[int, str, int | str | bytes]
"""`NodeId.key`: the canonical form, so that two encodings of one token are one session."""

SESSIONS = 256
"""Sessions that are remembered for one device. A PLC takes a few dozen."""
COMPARED = 8
"""Trees that a new one is held against, 2 ms each at most."""


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """One UserTokenPolicy of the server (Part 4 7.42), of the endpoint that we use. ``kind``: 0 anonymous, 1 user name,
    2 certificate, 3 issued. ``policy``: the security policy's URI for the secret; empty means that of the endpoint."""

    id: str
    kind: int
    policy: str


@dataclass(slots=True)
class SouthState:
    """What the upstream needs of a session to activate it again, on this channel or another.

    ``nonce``: the last one of the server, which the next signature and the next password must carry. ``certificate``:
    the server's, as it sent it. ``tokens``: what users it takes.
    """

    nonce: bytes = b""
    certificate: bytes = b""
    tokens: tuple[TokenPolicy, ...] = ()


@dataclass(slots=True)
class Session:
    """One session. ``timeout`` in seconds, as the server revised it. ``namespaces``: index to URI, empty while unknown.

    ``above``: node to those of the watched roots that it lies under. ``partial``: roots below which not everything was
    found, so that a node that is not in ``above`` may still lie there. ``roots``: all that were looked for.
    ``surveyed``: how often that or the namespaces changed, for whoever remembers something made of it. ``holder``: the
    upstream that created or activated it last, None when that has left; ``left``: when, monotonic seconds. ``north``
    belongs to the inspector.
    """

    token: NodeId
    id: NodeId
    timeout: float
    namespaces: tuple[str, ...] = ()
    above: dict[Node, frozenset[Node]] = field(default_factory=dict)
    partial: frozenset[Node] = frozenset()
    roots: frozenset[Node] = frozenset()
    surveyed: int = 0
    south: SouthState = field(default_factory=SouthState)
    north: object | None = None
    holder: object | None = None
    left: float = 0.0

    def know(
        self,
        namespaces: tuple[str, ...],
        above: dict[Node, frozenset[Node]],
        partial: frozenset[Node],
        roots: frozenset[Node],
    ) -> None:
        """What a survey found."""
        if (namespaces, above, partial) != (self.namespaces, self.above, self.partial):
            self.surveyed += 1
        self.namespaces, self.above, self.partial, self.roots = namespaces, above, partial, roots

    def watch(self, roots: frozenset[Node]) -> bool:
        """Policy names ``roots`` now. True if there are some that nobody looked for: all may lie below them."""
        if new := roots - self.roots - self.partial:
            self.surveyed += 1
            self.partial |= new
        return bool(new)

    @property
    def attached(self) -> bool:
        return self.holder is not None


class Memory:
    """All sessions of one device, oldest first. ``entries``: what its listeners are to their clients (`entry`).
    ``identities``: what we are to the server."""

    __slots__ = ("entries", "identities", "sessions")

    def __init__(self) -> None:
        self.sessions: dict[Key, Session] = {}
        self.entries: dict[Hashable, object] = {}
        self.identities = Identities()

    def find(self, token: NodeId) -> Session | None:
        return self.sessions.get(token.key)

    def add(self, session: Session, now: float) -> bool:
        """False when there is no room, because all that are here are in use. A token that the server gave out again
        replaces the session that it belonged to, with everything that was known of it."""
        self.drop(session.token)
        if len(self.sessions) >= SESSIONS:
            self._make_room(now)
        if len(self.sessions) >= SESSIONS:
            return False
        self.sessions[session.token.key] = session
        return True

    def drop(self, token: NodeId) -> Session | None:
        """Nobody who still knows the session may use it."""
        session = self.sessions.pop(token.key, None)
        if session is not None:
            session.north = None
        return session

    def held_by(self, holder: object) -> list[Session]:
        return [session for session in self.sessions.values() if session.holder is holder]

    def release(self, holder: object, now: float) -> None:
        """The holder is gone. Its sessions stay: somebody may activate them again until the server lets them end, and
        they are surveyed then."""
        for session in self.held_by(holder):
            session.holder = None
            session.know(session.namespaces, {}, session.partial | session.roots, frozenset())
            session.left = now

    def share(self, session: Session) -> None:
        """Sessions that see the same keep it once: 10,000 nodes are 3 MB."""
        size = len(session.above)
        others = [one for one in self.sessions.values() if one is not session and size and len(one.above) == size]
        for other in others[:COMPARED]:
            if other.above == session.above:
                session.above = other.above
                return

    def _make_room(self, now: float) -> None:
        """What the server has let end by now goes; if nothing has, the oldest that nobody holds."""
        free = [(key, session) for key, session in self.sessions.items() if not session.attached]
        ended = [key for key, session in free if now > session.left + session.timeout]
        for key in ended or [key for key, _ in free[:1]]:
            del self.sessions[key]
