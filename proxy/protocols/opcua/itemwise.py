"""Services that ask for many things at once: each is judged, the allowed go on, the answers are put together again.

    items asked     a  b  C  d        C is refused: the server is asked for a, b, d,
    server answers  1  2     3        and the client is told 1, 2, Bad_UserAccessDenied, 3 (T26; protocols.md 4.8)

What may be done to one item is its service's own affair: `elements` has a judge for each. A judge gives what it found,
or the status to refuse the item with where policy need not be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from proxy.core.reason import Reason
from proxy.protocols.opcua import status
from proxy.protocols.opcua.actions import Write
from proxy.protocols.opcua.conversation import ACCESS_DENIED, MOST_EVENTS, Then, service_result
from proxy.protocols.opcua.decode import encode
from proxy.protocols.opcua.services.attribute import ReadRequest
from proxy.protocols.opcua.spans import join_results, split_results
from proxy.protocols.opcua.wire import Malformed

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.core.verdict import Verdict
    from proxy.protocols.opcua.conversation import Ask, Conversation
    from proxy.protocols.opcua.services.messages import Request, Response

MOST_ITEMS = 1000
"""Of one request. More is Bad_TooManyOperations (protocols.md 4.1)."""
NO_DIAGNOSTICS = b"\0"
_NOTHING = b"\xff\xff\xff\xff" * 2
"""Null results and diagnostics."""


Refusal = tuple["Action | None", "Verdict | None", str]


class Found(NamedTuple):
    """What became of one item: ``asked`` with its verdict each, or ``wrong``, why nobody need be asked."""

    asked: Sequence[tuple[Action, Verdict]] = ()
    wrong: str = ""

    @property
    def refused_by(self) -> Refusal | None:
        """What stands in the way; None: nothing."""
        if self.wrong:
            return None, None, self.wrong
        return next(((action, verdict, "") for action, verdict in self.asked if verdict.reason is not None), None)


Judge = Callable[["Conversation", "Ask", Any], Found]


@dataclass(frozen=True, slots=True)
class Service:
    """``field`` has the items of ``request``. ``told(code)`` is the result of one item that was refused."""

    request: type[Request]
    response: type[Response]
    field: str
    judge: Judge
    told: Callable[[int], bytes]
    refused: int = ACCESS_DENIED


@dataclass(slots=True)
class Sorted:
    """Items of one request. ``refused`` by place. ``tags`` of those that go on. ``reusable``: the same request may get
    the same answer unasked."""

    allowed: list[Any]
    refused: dict[int, int]
    tags: list[Hashable]
    first: list[tuple[str, Verdict]]
    """What has to be on record before the message goes on."""
    reusable: bool = True


Going = Callable[[list[Any]], "Then"]
"""Called with the items that go on; what it gives sees the server's answer to them, before refusals are put in."""


def handle(talk: Conversation, ask: Ask, service: Service, going: Going | None = None) -> None:
    items: tuple[Any, ...] = getattr(ask.request, service.field) or ()
    if not items or len(items) > MOST_ITEMS:
        talk.fault(ask, status.BAD_TOO_MANY_OPERATIONS if items else status.BAD_NOTHING_TO_DO)
        return
    found = sort(talk, ask, service, items)
    if found.first and not ask.recorded and found.allowed:
        talk.hold(ask, found.first)
    else:
        send(talk, ask, service, found, len(items), going)


def sort(talk: Conversation, ask: Ask, service: Service, items: Sequence[Any]) -> Sorted:
    """Judges each item and puts refusals on record, unless the message is to be held first."""
    sorted_ = Sorted([], {}, [], [])
    refusals: list[Refusal] = []
    once: dict[Hashable, bool] = {}
    for place, item in enumerate(items):
        found = service.judge(talk, ask, item)
        found = _again(found, once) or found
        if (refusal := found.refused_by) is not None:
            sorted_.refused[place] = service.refused
            refusals.append(refusal)
            continue
        sorted_.allowed.append(item)
        for action, verdict in found.asked:
            sorted_.tags.append(verdict.tag)
            sorted_.reusable &= verdict.reusable
            if verdict.record_first:
                sorted_.first.append((action.describe(), verdict))
    if not sorted_.first or ask.recorded or not sorted_.allowed:
        _record(talk, service, refusals)
    return sorted_


def _again(found: Found, once: dict[Hashable, bool]) -> Found | None:
    """One value written twice is refused the second time: which of them counts is the server's affair, and each was
    judged as if it were alone (protocols.md 4.7). Parts of an array may differ."""
    for action, _ in found.asked:
        if isinstance(action, Write):
            what = action.node, action.attribute
            if not once.get(what, True) or (what in once and not action.part):
                return Found(wrong=f"{action.describe()}: a second time in one request")
            once[what] = action.part
    return None


def _record(talk: Conversation, service: Service, refusals: Sequence[Refusal]) -> None:
    name = service.request.__name__.removesuffix("Request")
    for refusal in refusals[:MOST_EVENTS]:
        record(talk, name, refusal)
    if (more := len(refusals) - MOST_EVENTS) > 0:
        talk.refused(Reason.DEFAULT_DENY, name, f"and {more} more in the same request")


def record(talk: Conversation, name: str, refusal: Refusal) -> None:
    """Of one item that was refused in a request called ``name``."""
    action, verdict, wrong = refusal
    if action is not None and verdict is not None:
        talk.refusal(action, verdict)
    else:
        talk.refused(Reason.DEFAULT_DENY, name, wrong)


def send(talk: Conversation, ask: Ask, service: Service, found: Sorted, total: int, going: Going | None) -> None:
    talk.count(found.tags)
    if not found.allowed:
        talk.say(ask.request_id, _all_refused(talk, ask, service, found, total))
        return
    then = None if going is None else going(found.allowed)
    if not found.refused:
        if service.request is ReadRequest and found.reusable and not found.first:
            talk.remember(ask, found.tags)
        talk.forward(ask, service.response, then)
    else:
        fewer: dict[str, Any] = {service.field: tuple(found.allowed)}
        body = encode(replace(ask.request, **fewer))
        parts = Parts(len(found.allowed), found.refused, total)
        talk.forward(ask, service.response, _merging(talk, ask, service, parts, then), body)


def _all_refused(talk: Conversation, ask: Ask, service: Service, found: Sorted, total: int) -> bytes:
    """Our own answer: the server is not asked."""
    make: Callable[..., Response] = service.response
    head = encode(make(talk.header(ask), None, None))[: -len(_NOTHING)]
    return join_results(head, [service.told(found.refused[place]) for place in range(total)], None)


class Parts(NamedTuple):
    """Of ``total`` items ``allowed`` went on; ``refused`` by place. The items themselves are not kept."""

    allowed: int
    refused: dict[int, int]
    total: int


def _merging(talk: Conversation, ask: Ask, service: Service, parts: Parts, then: Then | None) -> Then:
    def merge(body: bytes) -> bytes | None:
        told = body if then is None else then.told(body)
        return None if told is None else merged(talk, ask, service, parts, told)

    return Then(merge, None if then is None else then.failed)


def merged(talk: Conversation, ask: Ask, service: Service, parts: Parts, body: bytes) -> bytes | None:
    """The server's results and our refusals, in the order in which the client asked."""
    results = split_results(body, MOST_ITEMS)
    if isinstance(results, Malformed):
        talk.fault(ask, status.BAD_UNKNOWN_RESPONSE)
        return None
    if len(results.results or ()) != parts.allowed:
        # A bad service result has no results; then that is the answer to all.
        talk.fault(ask, max(service_result(results.head), status.BAD_UNKNOWN_RESPONSE))
        return None
    elements, infos = iter(results.results or ()), iter(results.diagnostics or ())
    _, refused, total = parts
    told = [service.told(refused[place]) if place in refused else next(elements) for place in range(total)]
    diagnostics = None
    if results.diagnostics:
        diagnostics = [NO_DIAGNOSTICS if place in refused else next(infos, NO_DIAGNOSTICS) for place in range(total)]
    return join_results(results.head, told, diagnostics)
