"""What the rest of Bulkhead sees of this protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from proxy.protocols.modbus.actions import Call, Span
from proxy.protocols.modbus.beyond import beyond
from proxy.protocols.modbus.device import ModbusDevice
from proxy.protocols.modbus.inspector import ModbusInspector
from proxy.protocols.modbus.learn import learn
from proxy.protocols.modbus.outright import outright
from proxy.protocols.modbus.points import parse_register
from proxy.protocols.modbus.rules import parse_never, parse_rule
from proxy.protocols.modbus.schema import SCHEMA
from proxy.protocols.modbus.sections import sections
from proxy.protocols.modbus.service import ModbusService, parse_service
from proxy.protocols.modbus.texts import parse_actions, text_of

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.names import Names
    from proxy.core.process import Point
    from proxy.core.reason import Reason
    from proxy.protocols.base import Client, Decide, Far, Inspector, Proposal, ProtocolSpec, Report, Setting, Upstream


class ModbusProtocol:
    """See `proxy.protocols.base.ProtocolSpec`."""

    name = "modbus"
    ports = frozenset({502, 802})
    shareable = True

    def deny_styles(self, *, secured: bool) -> tuple[str, ...]:
        """A device on a plain line may be played; on mbaps a refusal is exception 01 (R-31)."""
        return ("refuse",) if secured else ("refuse", "device")

    def answers_strangers(self, *, secured: bool) -> bool:
        """On mbaps only: its client proved a certificate of the site, and refusal is exception 01 (R-31)."""
        return secured

    def parse_service(self, value: object, report: Report) -> object | None:
        return parse_service(value, report)

    def parse_listener(self, value: object, report: Report) -> object | None:
        if value is not None:
            report((), "modbus has no settings of a listener", "delete the section")
        return None

    def secrets(self, options: object) -> tuple[str, ...]:
        return ()

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
        return text_of([action for action in asked if isinstance(action, Span | Call)])

    def parse_point(self, text: str) -> Point:
        return parse_register(text).point

    def beyond(self, targets: tuple[Target, ...], others: tuple[Target, ...]) -> tuple[Target, ...]:
        return beyond(targets, others)

    def outright(self, asked: tuple[Action, ...], options: object) -> tuple[Reason, str] | None:
        return outright(tuple(a for a in asked if isinstance(a, Span | Call)), _service(options))

    def sections(self, text: str, refused: tuple[Action, ...]) -> Iterable[object]:
        return sections(text, refused)

    def learn(self, asked: Sequence[Action], names: Names) -> Iterable[Proposal]:
        return learn(asked, names)

    def pointless(self, target: Target, options: object) -> tuple[str, str] | None:
        return None

    def schema(self) -> Mapping[str, Mapping[str, object]]:
        return SCHEMA

    def inspector(self, decide: Decide, setting: Setting, options: object, client: Client) -> Inspector:
        return ModbusInspector(decide, setting, _service(options), client.watched)

    def upstream(self, options: object, far: Far) -> Upstream:
        return ModbusDevice(_service(options))


def _service(options: object) -> ModbusService:
    if not isinstance(options, ModbusService):
        raise TypeError(f"options of a modbus service, not {type(options).__name__}")
    return options


PROTOCOL: ProtocolSpec = ModbusProtocol()
