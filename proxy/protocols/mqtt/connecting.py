"""Whether a client may have the session that its CONNECT asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.mqtt import answers, reasons
from proxy.protocols.mqtt.actions import Connect as ConnectAction
from proxy.protocols.mqtt.asking import asked_by_will, describe, is_what_it_says, refusal
from proxy.protocols.mqtt.properties import P, get

if TYPE_CHECKING:
    from collections.abc import Hashable

    from proxy.core.names import Names
    from proxy.protocols.base import Decide
    from proxy.protocols.mqtt.asking import Asked
    from proxy.protocols.mqtt.packets import Connect, Will
    from proxy.protocols.mqtt.service import MqttService


WILD = frozenset("+#/")
"""What a user name may not hold where it goes on to the broker, whose `%u` patterns would take it for more than a name
(CVE-2017-7650, T12). The client id never goes on as it is."""


class Judged:
    """``code`` is set when it is refused, ``hold`` when a record must come first. Else ``will`` is what is left of
    the client's, and ``standing`` what must stay allowed as long as the session lives, each with its tag; the Will,
    if there is one, is the second."""

    __slots__ = ("code", "events", "hold", "standing", "will")

    def __init__(self, code: int | None = None, event: Event | None = None) -> None:
        self.code = code
        self.events = [] if event is None else [event]
        self.hold: Event | None = None
        self.will: Will | None = None
        self.standing: list[tuple[Asked, Hashable]] = []


def judge(
    packet: Connect, names: Names, decide: Decide, service: MqttService, now: float, *, recorded: bool = False
) -> Judged:
    """Identity comes from evidence and never from client id or user name; policy sees all three."""
    asked: Asked = (ConnectAction(packet.client_id, packet.user, packet.level),)
    if get(packet.properties, P.AUTHENTICATION_METHOD) is not None:
        detail = "enhanced authentication is not relayed: it could change who speaks"
        event = Event("refuse", reason=Reason.DEFAULT_DENY, action=describe(asked), detail=detail)
        return Judged(answers.BAD_AUTHENTICATION_METHOD, event)
    if names.device is None:
        event = Event("refuse", reason=Reason.UNKNOWN_DEVICE, action=describe(asked))
        return Judged(answers.NOT_AUTHORIZED, event)
    if service.login_of_client and not WILD.isdisjoint(packet.user or ""):
        detail = "the broker may read this user name as a pattern"
        event = Event("refuse", reason=Reason.DEFAULT_DENY, action=describe(asked), detail=detail)
        return Judged(reasons.USER_OR_PASSWORD, event)
    verdict = decide(asked, now)
    if verdict.reason is not None:
        return Judged(answers.NOT_AUTHORIZED, refusal(asked, verdict))
    judged = Judged()
    judged.standing.append((asked, verdict.tag))
    if packet.will is not None:
        _judge_will(judged, packet.will, decide, service, now, recorded)
    return judged


def _judge_will(judged: Judged, will: Will, decide: Decide, service: MqttService, now: float, recorded: bool) -> None:
    asked = asked_by_will(will, service)
    if not is_what_it_says(will.properties, will.payload):
        judged.events.append(Event("refuse", reason=Reason.PAYLOAD, action=describe(asked), detail="not UTF-8"))
        judged.code = None if service.strip_will else answers.PAYLOAD_INVALID
        return
    verdict = decide(asked, now, True) if recorded else decide(asked, now)
    if verdict.reason is not None:
        judged.events.append(refusal(asked, verdict))
        judged.code = None if service.strip_will else answers.NOT_AUTHORIZED
    elif verdict.record_first and not recorded:
        judged.hold = Event("act", action=describe(asked), verdict=verdict)
    else:
        judged.will = will
        judged.standing.append((asked, verdict.tag))
