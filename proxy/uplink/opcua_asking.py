"""Requests of an OPC UA client on their way, and what becomes of each answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import decode, encode
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.fault import ServiceFault
from proxy.protocols.opcua.services.messages import RequestHeader, Response
from proxy.protocols.opcua.wire import date_time

if TYPE_CHECKING:
    from proxy.protocols.opcua.channel import Said
    from proxy.protocols.opcua.south_channel import SouthChannel
    from proxy.protocols.opcua.structures import Struct

R = TypeVar("R", bound=Response)
Answered = Callable[[Response, float], None]
Refused = Callable[[int, float], None]

ANSWERS_WITHIN = 10.0
"""Seconds for every answer but that to Publish."""


@dataclass(slots=True)
class _Asked:
    answered: Answered
    until: float
    refused: Refused | None


class Asking:
    """``token`` is the session's. ``end`` is told why nothing more will come of the connection; ``out`` takes bytes."""

    def __init__(
        self, channel: SouthChannel, wall: Callable[[], float], end: Callable[[str], None], out: bytearray
    ) -> None:
        self.token = NodeId.NULL
        self._channel = channel
        self._wall = wall
        self._end = end
        self._out = out
        self._asked: dict[int, _Asked] = {}
        self._ids = 0

    def header(self) -> RequestHeader:
        """With a new handle, which `send` takes for the request's id too."""
        self._ids += 1
        return RequestHeader.make(self.token, self._ids, timestamp=date_time(self._wall()))

    def send(self, request: Struct, answered: Answered, now: float, refused: Refused | None = None) -> None:
        """With the header made last. Without ``refused`` a refusal is the end. ``now`` infinite: it may take ever so
        long."""
        self._asked[self._ids] = _Asked(answered, now + ANSWERS_WITHIN, refused)
        if not self._channel.send(self._ids, encode(request), self._out):
            self._end("the server takes no message of this size")

    def expecting(self, kind: type[R], then: Callable[[R, float], None]) -> Answered:
        def answered(answer: Response, now: float) -> None:
            if isinstance(answer, kind):
                then(answer, now)
            else:
                self._end(f"{type(answer).__name__} where {kind.__name__} was due")

        return answered

    def said(self, said: Said, now: float) -> None:
        asked = self._asked.pop(said.request_id, None)
        answer = decode(said.body)
        if asked is None:
            return  # what was given up
        if not isinstance(answer, Response):
            self._end("an answer that cannot be read")
            return
        code = answer.header.service_result
        if not status.is_bad(code) and not isinstance(answer, ServiceFault):
            asked.answered(answer, now)
        elif asked.refused is not None:
            asked.refused(code, now)
        else:
            self._end(f"the server refused: {status.name_of(code)}")

    def deadline(self) -> float:
        return min((one.until for one in self._asked.values()), default=float("inf"))
