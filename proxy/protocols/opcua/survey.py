"""What is asked of the server before a session may be used: its NamespaceArray, then the watched subtrees.

One request at a time, in the session of the client, so that it sees what the client's user may see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import decode, encode
from proxy.protocols.opcua.namespaces import NAMESPACE_ARRAY, id_of, read_array
from proxy.protocols.opcua.node import parse_node
from proxy.protocols.opcua.services.attribute import ReadRequest, ReadResponse, ReadValueId
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import RequestHeader
from proxy.protocols.opcua.services.view import BrowseNextResponse, BrowseResponse
from proxy.protocols.opcua.subtree import NODES, Subtree
from proxy.protocols.opcua.values import QualifiedName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.protocols.base import Watched
    from proxy.protocols.opcua.memory import Session
    from proxy.protocols.opcua.node import Node

SECONDS = 5.0
"""For everything that is asked. The client waits that long for its session."""
UNDER = "under "
_VALUE = 13
_NEITHER = 3


def watched_roots(watched: Watched) -> frozenset[Node]:
    """The roots of subtrees that policy names now."""
    names = [point.name for point in watched.points if point.protocol == "opcua" and point.name.startswith(UNDER)]
    return frozenset(parse_node(name.removeprefix(UNDER)) for name in names)


class Survey:
    """``first`` is the first request; `answered` takes an answer (None: there was none in time) and gives the next
    request, or None when it is over. Then ``fault`` says why the session cannot be used, empty if it can; ``silent``:
    only because nothing was said."""

    def __init__(self, session: Session, roots: Iterable[Node], now: float, *, again: bool = False) -> None:
        """``again``: of a session that is in use."""
        self.session = session
        self._again = again
        self.until = now + SECONDS
        self.fault = ""
        self.silent = False
        self._roots = tuple(roots)
        self._subtree: Subtree | None = None
        self._namespaces: tuple[str, ...] = ()

    def first(self, handle: int) -> bytes:
        wanted = (ReadValueId(NAMESPACE_ARRAY, _VALUE, None, QualifiedName(0, None)),)
        return encode(ReadRequest(self._header(handle), 0.0, _NEITHER, wanted))

    def answered(self, body: bytes | None, handle: int, now: float) -> bytes | None:
        if self._subtree is None:
            self.fault = self._array(body)
            if self.fault or self._as_before():
                return None
            known = {root: at for root in self._roots if (at := id_of(root, self._namespaces)) is not None}
            self._subtree = Subtree(known, self._namespaces)
        else:
            self._browsed(self._subtree, body)
        if now >= self.until:
            self._subtree.stop()
        request = self._subtree.ask(self._header(handle)) if body is not None else None
        if request is not None:
            return encode(request)
        self.session.know(self._namespaces, *self._subtree.found(), frozenset(self._roots))
        return None

    def _as_before(self) -> bool:
        """A second look that finds the same namespaces, with all roots browsed: an index that is in none of them is no
        reason to browse a plant (T47)."""
        session = self.session
        same = self._namespaces == session.namespaces and frozenset(self._roots) == session.roots
        return self._again and same and not session.partial

    def _header(self, handle: int) -> RequestHeader:
        return RequestHeader.make(token=self.session.token, handle=handle)

    def _array(self, body: bytes | None) -> str:
        """Takes the array from the answer; else why it cannot."""
        if body is None:
            self.silent = True
            return "no answer to a Read of the NamespaceArray"
        answer = decode(body)
        if isinstance(answer, ServiceFault | ReadResponse) and not status.is_good(answer.header.service_result):
            return f"the NamespaceArray cannot be read: {status.name_of(answer.header.service_result)}"
        if not isinstance(answer, ReadResponse) or len(answer.results or ()) != 1:
            return "no fitting answer to a Read of the NamespaceArray"
        (value,) = answer.results or ()
        if value.status is not None and not status.is_good(value.status):
            return f"the NamespaceArray cannot be read: {status.name_of(value.status)}"
        array = read_array(value.value.strings() if value.value is not None and value.value.is_array else None)
        if isinstance(array, str):
            return array
        self._namespaces = array
        return ""

    @staticmethod
    def _browsed(subtree: Subtree, body: bytes | None) -> None:
        if body is None:
            subtree.stop()
            return
        answer = decode(body, 2 * NODES)
        if isinstance(answer, BrowseResponse | BrowseNextResponse):
            if status.is_good(answer.header.service_result):
                subtree.answered(answer.results)
            else:
                subtree.refused(answer.header.service_result)
        elif isinstance(answer, ServiceFault):
            subtree.refused(answer.header.service_result)
        else:
            subtree.refused(status.BAD_DECODING_ERROR)
