"""What a message, a Will or a packet asks for: actions, all of which must be allowed (T26), and their record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.protocols.mqtt.actions import Message, Subscription
from proxy.protocols.mqtt.properties import P, number_of, text_of

if TYPE_CHECKING:
    from proxy.core.verdict import Verdict
    from proxy.protocols.mqtt.actions import MqttAction
    from proxy.protocols.mqtt.packets import Publish, Will
    from proxy.protocols.mqtt.properties import Properties
    from proxy.protocols.mqtt.service import MqttService

Asked = tuple["MqttAction", ...]


def asked_by(packet: Publish, service: MqttService) -> Asked:
    """A PUBLISH whose topic is written out."""
    topic, qos, size = packet.topic, packet.qos, len(packet.payload)
    asked: list[MqttAction] = []
    command = service.is_command(topic)
    if command:
        asked.append(Message("command", topic, qos, size))
    if packet.retain and not size:
        asked.append(Message("clear-retained", topic, qos, size))
    else:
        if not command:
            asked.append(Message("publish", topic, qos, size))
        if packet.retain:
            asked.append(Message("retain", topic, qos, size))
    return (*asked, *_response(packet.properties, qos, service))


def asked_by_will(will: Will, service: MqttService) -> Asked:
    """The broker will publish it for the client, when nobody can be asked any more (T28, mosquitto#3552)."""
    size = len(will.payload)
    asked: list[MqttAction] = [Message("will", will.topic, will.qos, size)]
    if service.is_command(will.topic):
        asked.append(Message("command", will.topic, will.qos, size))
    if will.retain:
        asked.append(Message("retain" if size else "clear-retained", will.topic, will.qos, size))
    return (*asked, *_response(will.properties, will.qos, service))


def is_what_it_says(properties: Properties, payload: bytes) -> bool:
    """Payload Format Indicator 1 promises UTF-8 (3.3.2.3.2); a consumer may believe it."""
    if number_of(properties, P.PAYLOAD_FORMAT, 0) != 1:
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def refusal(asked: Asked, verdict: Verdict) -> Event:
    return Event("refuse", reason=verdict.reason, action=describe(asked), detail=verdict.detail, verdict=verdict)


def describe(asked: Asked) -> str:
    return "; ".join(action.describe() for action in asked)


def _response(properties: Properties, qos: int, service: MqttService) -> Asked:
    """Whoever answers may be let to write where the requester may not even look, or may not command (confused
    deputy)."""
    topic = text_of(properties, P.RESPONSE_TOPIC)
    if topic is None:
        return ()
    asked: Asked = (Message("reply-to", topic, qos, 0), Subscription("subscribe", topic, 0))
    return (*asked, Message("command", topic, qos, 0)) if service.is_command(topic) else asked
