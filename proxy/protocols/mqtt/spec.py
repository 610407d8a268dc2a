"""What the rest of Bulkhead sees of this protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from proxy.protocols.mqtt.actions import Connect, Message, Subscription
from proxy.protocols.mqtt.beyond import beyond
from proxy.protocols.mqtt.inspector import MqttInspector
from proxy.protocols.mqtt.learn import learn
from proxy.protocols.mqtt.outright import outright, pointless
from proxy.protocols.mqtt.rules import parse_never, parse_rule
from proxy.protocols.mqtt.schema import SCHEMA
from proxy.protocols.mqtt.sections import sections
from proxy.protocols.mqtt.service import MqttService, parse_service
from proxy.protocols.mqtt.texts import parse_actions, text_of
from proxy.protocols.relay import RelayUpstream

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.names import Names
    from proxy.core.process import Point
    from proxy.core.reason import Reason
    from proxy.protocols.base import Client, Decide, Far, Inspector, Proposal, ProtocolSpec, Report, Setting, Upstream


class MqttProtocol:
    """See `proxy.protocols.base.ProtocolSpec`."""

    name = "mqtt"
    ports = frozenset({1883, 8883})
    shareable = False

    def deny_styles(self, *, secured: bool) -> tuple[str, ...]:
        return ("nack", "ack-and-drop", "disconnect")

    def answers_strangers(self, *, secured: bool) -> bool:
        """A CONNECT deserves a CONNACK that says no: clients of both versions take a mere close for a bad network."""
        return True

    def parse_service(self, value: object, report: Report) -> object | None:
        return parse_service(value, report)

    def parse_listener(self, value: object, report: Report) -> object | None:
        if value is not None:
            report((), "mqtt has no settings of a listener", "delete the section")
        return None

    def secrets(self, options: object) -> tuple[str, ...]:
        login = _service(options).login
        return () if login is None else (login,)

    def introduces(self, options: object) -> bool:
        return False

    def memory(self, options: object) -> object:
        return None

    def parse_rule(self, value: object, report: Report) -> tuple[Target, ...]:
        return parse_rule(value, report)

    def parse_never(self, value: object, report: Report) -> tuple[Target, ...]:
        return parse_never(value, report)

    def parse_actions(self, text: str) -> tuple[Action, ...]:
        return parse_actions(text)

    def text_of(self, asked: Sequence[Action]) -> str:
        return text_of([action for action in asked if isinstance(action, Connect | Message | Subscription)])

    def parse_point(self, text: str) -> Point:
        raise ValueError("mqtt shows no values that a rule may depend on; take it out")

    def beyond(self, targets: tuple[Target, ...], others: tuple[Target, ...]) -> tuple[Target, ...]:
        return beyond(targets, others)

    def outright(self, asked: tuple[Action, ...], options: object) -> tuple[Reason, str] | None:
        return outright(tuple(a for a in asked if isinstance(a, Connect | Message | Subscription)), _service(options))

    def sections(self, text: str, refused: tuple[Action, ...]) -> Iterable[object]:
        return sections(refused)

    def learn(self, asked: Sequence[Action], names: Names) -> Iterable[Proposal]:
        return learn(asked, names)

    def pointless(self, target: Target, options: object) -> tuple[str, str] | None:
        return pointless(target, _service(options))

    def schema(self) -> Mapping[str, Mapping[str, object]]:
        return SCHEMA

    def inspector(self, decide: Decide, setting: Setting, options: object, client: Client) -> Inspector:
        return MqttInspector(decide, setting, _service(options), client)

    def upstream(self, options: object, far: Far) -> Upstream:
        _service(options)
        return RelayUpstream()


def _service(options: object) -> MqttService:
    if not isinstance(options, MqttService):
        raise TypeError(f"options of an mqtt service, not {type(options).__name__}")
    return options


PROTOCOL: ProtocolSpec = MqttProtocol()
