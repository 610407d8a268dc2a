"""What the parts of the inspector share: one client's channel, who it is, what was asked and is still to be answered.

A part (`sessions`, `itemwise`, `monitoring` ...) is handed an `Ask` and does one of four things with it: `answer`,
`fault`, `forward`, `hold`. Everything that the client is owed goes through here, and every question to policy.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct as Layout
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.events import Event
from proxy.core.names import NOBODY
from proxy.core.reason import Reason
from proxy.protocols.opcua import status
from proxy.protocols.opcua.actions import NOWHERE, Access
from proxy.protocols.opcua.decode import encode
from proxy.protocols.opcua.node import node_of
from proxy.protocols.opcua.quick import READ_ANSWER, QuickReads
from proxy.protocols.opcua.services.messages import Request, RequestHeader, ResponseHeader, ServiceFault
from proxy.protocols.opcua.type_ids import prefix
from proxy.protocols.opcua.wire import date_time

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.core.names import Names
    from proxy.core.verdict import Verdict
    from proxy.protocols.base import Client, Decide, Effects
    from proxy.protocols.opcua.listener import OpcUaListener
    from proxy.protocols.opcua.memory import Key, Memory, Session
    from proxy.protocols.opcua.node import Node
    from proxy.protocols.opcua.node_id import NodeId
    from proxy.protocols.opcua.north_channel import NorthChannel
    from proxy.protocols.opcua.north_state import NorthState
    from proxy.protocols.opcua.services.messages import Response

MOST_PENDING = 256
"""Requests of one client that wait for their answers. More is a flood (T43)."""
MOST_EVENTS = 32
"""Refused elements of one message that are put on record one by one; the last one says how many more there were."""
MOST_QUICK = 8
"""Sessions of one link whose reads are remembered."""
MOST_VERDICTS = 4096
"""Verdicts that are remembered for one session."""
ACCESS_DENIED = status.BAD_USER_ACCESS_DENIED

NUMBER = Layout("<I")
"""What a message to or from the upstream begins with: the number by which we know the request."""
_LOOK = NUMBER.pack(0)
_HEAD = Layout("<QII")
"""Of a response, behind its type: timestamp, handle, service result."""
_BODY = 4
_SMALLEST = _BODY + _BODY + _HEAD.size


@dataclass(slots=True)
class Ask:
    """One request of the client. ``session`` and ``north`` are None for those that need no session. ``recorded``: it
    was held for its records, of which ``owed`` are not written yet, and goes on now."""

    request_id: int
    header: RequestHeader
    request: Request
    body: bytes
    session: Session | None = None
    north: NorthState | None = None
    recorded: bool = False
    owed: int = 0

    def spent(self) -> None:
        """It is on its way. What is needed for its answer stays: a Publish waits for hours, and may be 1 MiB (T43)."""
        self.body = b""
        self.header = RequestHeader.make(self.header.authentication_token, self.header.request_handle)
        self.request = Request(self.header)

    @property
    def held_by(self) -> tuple[Session, NorthState]:
        """Of a request that needs a session, which is checked before it gets anywhere."""
        if self.session is None or self.north is None:
            raise RuntimeError("a request without a session where one is needed")
        return self.session, self.north


class Then(NamedTuple):
    """What is done with an answer. ``told`` makes of a response's body what the client is given; None: nothing, it was
    answered already. ``failed`` is called instead when there is a fault, or no answer at all."""

    told: Callable[[bytes], bytes | None]
    failed: Callable[[], None] | None = None


class Pending(NamedTuple):
    """``kind``: the first bytes of the answer that is due. ``request_id`` None: a request of our own."""

    request_id: int | None
    handle: int
    kind: bytes
    then: Then | None

    def fails(self) -> None:
        if self.then is not None and self.then.failed is not None:
            self.then.failed()


def service_result(body: bytes) -> int:
    """Of a response whose beginning was checked."""
    code: int = _HEAD.unpack_from(body, _BODY)[2]
    return code


FAULT = prefix(ServiceFault.ID)


class Conversation:
    """One per link. ``now`` and ``out`` are those of the call that is being carried out."""

    def __init__(
        self, decide: Decide, listener: OpcUaListener, client: Client, memory: Memory, channel: NorthChannel
    ) -> None:
        self.listener = listener
        self.client = client
        self.memory = memory
        self.channel = channel
        self.names: Names = NOBODY
        self.now = client.opened
        self.out: Effects | None = None
        self.held: dict[int, Ask] = {}
        self.pending: dict[int, Pending] = {}
        self.counts: dict[Hashable, int] = {}
        self.quick: dict[Key, QuickReads] = {}
        self._decide = decide
        self._verdicts: dict[tuple[Hashable, ...], Verdict] = {}
        self._numbers = 0
        self._tokens = 0

    @property
    def effects(self) -> Effects:
        if self.out is None:
            raise RuntimeError("effects outside of a call")
        return self.out

    @property
    def mode(self) -> str:
        return self.channel.mode.name.lower()

    # To the client.

    def say(self, request_id: int, body: bytes) -> None:
        """A response, as chunks. One that the client said it cannot take becomes a fault (Part 6, 6.7.3)."""
        said = bytearray()
        if not self.channel.send(request_id, body, said) and body[:_BODY] != FAULT and len(body) >= _SMALLEST:
            (_, handle, _) = _HEAD.unpack_from(body, _BODY)
            header = ResponseHeader.make(handle, status.BAD_RESPONSE_TOO_LARGE, self.time())
            self.channel.send(request_id, encode(ServiceFault(header)), said)
        if said:
            self.effects.client.append(bytes(said))

    def answer(self, ask: Ask, response: Response) -> None:
        self.say(ask.request_id, encode(response))

    def fault(self, ask: Ask, code: int) -> None:
        """A ServiceFault: the code and nothing else (CVE-2023-31048)."""
        self.say(ask.request_id, encode(ServiceFault(self.header(ask, code))))

    def header(self, ask: Ask, code: int = status.GOOD) -> ResponseHeader:
        return ResponseHeader.make(ask.header.request_handle, code, self.time())

    def own_header(self, session: Session) -> RequestHeader:
        """Of a request of our own in a session of the client."""
        return RequestHeader.make(session.token, 0, timestamp=self.time())

    def time(self) -> int:
        """Now, as a DateTime."""
        return date_time(self.client.wall())

    # To the server.

    def forward(self, ask: Ask, response: type[Response], then: Then | None = None, body: bytes | None = None) -> None:
        """Hands the request on, or ``body`` in its place. ``then`` makes the client's answer of the server's."""
        pending = Pending(ask.request_id, ask.header.request_handle, prefix(response.ID), then)
        if len(self.pending) >= MOST_PENDING:
            pending.fails()
            self.refused(Reason.OVERLOAD, "", "too many requests wait for their answers")
            self.fault(ask, status.BAD_TOO_MANY_OPERATIONS)
            return
        self.pending[self._submit(ask.body if body is None else body)] = pending
        ask.spent()

    def forward_read(self, request_id: int, handle: int, body: bytes) -> None:
        """As `forward`, of a Read that was judged before."""
        self._numbers = number = self._numbers % 0xFFFFFFFF + 1
        self.pending[number] = Pending(request_id, handle, READ_ANSWER, None)
        self.effects.upstream.append(NUMBER.pack(number) + body)

    def submit(self, request: Request, response: type[Response]) -> None:
        """A request of our own, whose answer nobody is told."""
        number = self._submit(encode(request))
        self.pending[number] = Pending(None, request.header.request_handle, prefix(response.ID), None)

    def _submit(self, body: bytes) -> int:
        self._numbers = self._numbers % 0xFFFFFFFF + 1
        self.effects.upstream.append(NUMBER.pack(self._numbers) + body)
        return self._numbers

    def look_again(self) -> None:
        """A namespace index that nobody knows: the server may have added one since (`device`)."""
        if self.effects.upstream[-1:] != [_LOOK]:
            self.effects.upstream.append(_LOOK)

    def answered(self, message: bytes) -> None:
        """A message of the upstream: the answer to one request."""
        (number,) = NUMBER.unpack_from(message)
        pending = self.pending.pop(number, None)
        if pending is None:
            return
        body = message[NUMBER.size :]
        code = self._misfit(pending, body)
        if code is not None:
            self.effects.events.append(
                Event("device", reason=Reason.UPSTREAM_INVALID, detail="an answer that does not fit the question")
            )
            pending.fails()
            body = _fault(pending.handle, code, self.time())
        elif body.startswith(FAULT):
            pending.fails()
            body = _fault(pending.handle, service_result(body), self.time())
        elif pending.then is not None:
            told = pending.then.told(body)
            if told is None:
                return
            body = told
        if pending.request_id is not None:
            self.say(pending.request_id, body)

    def _misfit(self, pending: Pending, body: bytes) -> int | None:
        if len(body) < _SMALLEST or (body[:_BODY] != pending.kind and body[:_BODY] != FAULT):
            return status.BAD_UNKNOWN_RESPONSE
        return None if _HEAD.unpack_from(body, _BODY)[1] == pending.handle else status.BAD_UNKNOWN_RESPONSE

    def all_fail(self, code: int) -> None:
        """Whatever is owed is answered with a fault."""
        owed, self.pending = self.pending, {}
        for pending in owed.values():
            pending.fails()
            if pending.request_id is not None:
                self.say(pending.request_id, _fault(pending.handle, code, self.time()))

    def forget_all(self) -> None:
        """The channel is gone: nothing that is owed will be answered."""
        owed, self.pending = self.pending, {}
        for pending in owed.values():
            pending.fails()

    # To policy.

    def node(self, session: Session, node_id: NodeId) -> Node | None:
        """The node as policy names it. None: its index means nothing in this server, which may have learnt it since."""
        node = node_of(node_id.key, session.namespaces)
        if node is None:
            self.look_again()
        return node

    def access(self, ask: Ask, verb: str, node: Node, attribute: int) -> Access:
        session, north = ask.held_by
        above, perhaps = self.around(session, node)
        return Access(verb, node, attribute, north.user, above, perhaps, self.mode)

    def around(self, session: Session, node: Node) -> tuple[frozenset[Node], frozenset[Node]]:
        """Roots of subtrees that the node lies under, and such that it may."""
        above = session.above.get(node, NOWHERE)
        return above, session.partial - above if session.partial else NOWHERE

    def judge(self, ask: Ask | None, action: Action) -> Verdict:
        """Of one element; asked anew each time. ``ask`` None: nobody asks, it stands already."""
        return self._decide((action,), self.now, ask is not None and ask.recorded)

    def judge_access(self, ask: Ask, verb: str, node_id: NodeId, attribute: int) -> tuple[Verdict | None, Node | None]:
        """Of one element whose value nobody looks at, remembered. (None, None): the index means nothing."""
        session, north = ask.held_by
        key = (session.token.key, session.surveyed, north.user, verb, node_id.key, attribute)
        known = self._verdicts.get(key)
        if known is not None:
            return known, node_of(node_id.key, session.namespaces)
        node = self.node(session, node_id)
        if node is None:
            return None, None
        verdict = self.judge(ask, self.access(ask, verb, node, attribute))
        if verdict.reusable and not verdict.record_first:
            if len(self._verdicts) >= MOST_VERDICTS:
                self._verdicts.clear()
            self._verdicts[key] = verdict
        return verdict, node

    def forget(self) -> None:
        """Verdicts that were remembered."""
        self._verdicts.clear()
        for quick in self.quick.values():
            quick.forget()

    def remember(self, ask: Ask, tags: list[Hashable]) -> None:
        """The same Read may go on without being decoded."""
        session, _ = ask.held_by
        quick = self.quick.get(session.token.key)
        if quick is None or not quick.holds(session):
            if quick is not None or len(self.quick) >= MOST_QUICK:
                self.settle()
            quick = self.quick[session.token.key] = QuickReads(session)
        quick.learn(ask.body, tags)

    def settle(self) -> None:
        """What the quick way counted goes to the other counts, and its tables go."""
        for quick in self.quick.values():
            quick.forget()
            for tag, count in quick.counts.items():
                self.counts[tag] = self.counts.get(tag, 0) + count
        self.quick.clear()

    def count(self, tags: Iterable[Hashable]) -> None:
        counts = self.counts
        for tag in tags:
            counts[tag] = counts.get(tag, 0) + 1

    def tally(self) -> Mapping[Hashable, int]:
        if not self.quick:
            return self.counts
        sums = dict(self.counts)
        for quick in self.quick.values():
            for tag, count in quick.tally().items():
                sums[tag] = sums.get(tag, 0) + count
        return sums

    # To the record.

    def refused(self, reason: Reason, action: str, detail: str = "", verdict: Verdict | None = None) -> None:
        self.effects.events.append(Event("refuse", reason=reason, action=action, detail=detail, verdict=verdict))

    def refusal(self, action: Action, verdict: Verdict) -> None:
        if verdict.reason is not None:
            self.refused(verdict.reason, action.describe(), verdict.detail, verdict)

    def hold(self, ask: Ask, acts: Sequence[tuple[str, Verdict]]) -> None:
        """The records of the acts come first, each its own: what matters must not stand behind what does not. `resume`
        goes on with the last of them."""
        ask.owed = len(acts)
        ask.recorded = True
        for described, verdict in acts:
            self._tokens += 1
            self.held[self._tokens] = ask
            self.effects.held.append((self._tokens, Event("act", action=described[:120], verdict=verdict)))

    def resume(self, token: int, recorded: bool) -> Ask | None:
        """The request that may go on, or be answered, now that nothing of it is held any more. ``recorded`` of it is
        whether all is on record."""
        ask = self.held.pop(token, None)
        if ask is None:
            return None
        ask.owed -= 1
        ask.recorded &= recorded
        return None if ask.owed else ask


def _fault(handle: int, code: int, time: int) -> bytes:
    return encode(ServiceFault(ResponseHeader.make(handle, code if code >= 0x8000_0000 else status.BAD, time)))
