"""What the rest of Bulkhead sees of this protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from proxy.protocols.opcua.actions import OpcUaAction
from proxy.protocols.opcua.beyond import beyond
from proxy.protocols.opcua.device import OpcUaDevice
from proxy.protocols.opcua.inspector import OpcUaInspector
from proxy.protocols.opcua.learn import learn
from proxy.protocols.opcua.listener import OpcUaListener, parse_listener
from proxy.protocols.opcua.memory import Memory
from proxy.protocols.opcua.outright import outright
from proxy.protocols.opcua.rules import parse_never, parse_rule
from proxy.protocols.opcua.schema import SCHEMA
from proxy.protocols.opcua.sections import sections
from proxy.protocols.opcua.service import OpcUaService, parse_service
from proxy.protocols.opcua.signed import SignedInspector
from proxy.protocols.opcua.texts import parse_actions, parse_point, text_of
from proxy.protocols.relay import RelayUpstream

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.names import Names
    from proxy.core.process import Point
    from proxy.core.reason import Reason
    from proxy.protocols.base import Client, Decide, Far, Inspector, Proposal, ProtocolSpec, Report, Setting, Upstream


class OpcUaProtocol:
    """See `proxy.protocols.base.ProtocolSpec`."""

    name = "opcua"
    ports = frozenset({4840, 4843})
    shareable = False

    def deny_styles(self, *, secured: bool) -> tuple[str, ...]:
        """Bad_UserAccessDenied for the item, or a ServiceFault: clients know both (protocols.md 4.8)."""
        return ("refuse",)

    def answers_strangers(self, *, secured: bool) -> bool:
        """A client whom no rule lets in has no session, and nothing but a session has answers to give."""
        return False

    def parse_service(self, value: object, report: Report) -> object | None:
        return parse_service(value, report)

    def parse_listener(self, value: object, report: Report) -> object | None:
        return parse_listener(value, report)

    def secrets(self, options: object) -> tuple[str, ...]:
        return options.secrets if isinstance(options, OpcUaListener) else _service(options).secrets

    def introduces(self, options: object) -> bool:
        """Where the channel is ours, its certificate says who speaks. A relay knows the address alone."""
        return isinstance(options, OpcUaListener) and options.mode == "terminate"

    def memory(self, options: object) -> object:
        _service(options)
        return Memory()

    def parse_rule(self, value: object, report: Report) -> tuple[Target, ...]:
        return parse_rule(value, report)

    def parse_never(self, value: object, report: Report) -> tuple[Target, ...]:
        return parse_never(value, report)

    def parse_actions(self, text: str) -> tuple[Action, ...]:
        return parse_actions(text)

    def text_of(self, asked: Sequence[Action]) -> str:
        return text_of([action for action in asked if isinstance(action, OpcUaAction)])

    def parse_point(self, text: str) -> Point:
        return parse_point(text)

    def beyond(self, targets: tuple[Target, ...], others: tuple[Target, ...]) -> tuple[Target, ...]:
        return beyond(targets, others)

    def outright(self, asked: tuple[Action, ...], options: object) -> tuple[Reason, str] | None:
        return outright(asked)

    def sections(self, text: str, refused: tuple[Action, ...]) -> Iterable[object]:
        return sections(refused)

    def learn(self, asked: Sequence[Action], names: Names) -> Iterable[Proposal]:
        return learn(asked)

    def pointless(self, target: Target, options: object) -> tuple[str, str] | None:
        return None

    def schema(self) -> Mapping[str, Mapping[str, object]]:
        return SCHEMA

    def inspector(self, decide: Decide, setting: Setting, options: object, client: Client) -> Inspector:
        _service(options)
        kind = SignedInspector if _signed(setting) else OpcUaInspector
        return kind(decide, setting, client)

    def upstream(self, options: object, far: Far) -> Upstream:
        service = _service(options)
        return RelayUpstream() if _signed(far.setting) else OpcUaDevice(service, far)


def _signed(setting: Setting) -> bool:
    """The channel is the client's and the server's own."""
    return isinstance(setting.options, OpcUaListener) and setting.options.signed


def _service(options: object) -> OpcUaService:
    if not isinstance(options, OpcUaService):
        raise TypeError(f"options of an opcua service, not {type(options).__name__}")
    return options


PROTOCOL: ProtocolSpec = OpcUaProtocol()
