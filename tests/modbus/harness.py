"""What stands in for the link, the policy and the driver around the two Modbus machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.origin import Origin, RuleRef
from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.protocols.base import Effects, UpstreamEffects
from proxy.protocols.modbus.device import ModbusDevice
from proxy.protocols.modbus.inspector import ModbusInspector
from proxy.protocols.modbus.rules import parse_never, parse_rule
from proxy.protocols.modbus.service import ModbusService
from tests.support.setting import FakeSetting

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.core.action import Action, Target
    from proxy.core.events import Event
    from proxy.protocols.base import Decide, Path, Watched

REASONS = {reason.code: reason for reason in Reason}
ANY_SERVICE = ModbusService()
EVERYTHING = {
    "units": [*range(248), 255],
    "read": "all",
    "write": "all",
    "read-fifo": "all",
    "read-file": [f"{file} 0-9999" for file in (1, 4, 65535)],
    "write-file": [f"{file} 0-9999" for file in (1, 4, 65535)],
    "identify": "extended",
    "diagnose": [0, 2, *range(11, 19), "function 7", "function 11", "function 12"],
    "control": [1, 3, 4, 10, 20],
    "program": [40, 42, 90, 125, 126],
    "vendor": [*range(65, 73), *range(100, 111)],
}
"""A rule for all that can be named, broadcast included. Files: the three that tests use."""


PLAIN = FakeSetting()


def ref(name: str) -> RuleRef:
    return RuleRef("test", name, Origin("test.yaml", 1))


ALLOW, DEFAULT, NEVER = ref("allow"), ref("default"), ref("never")


def targets(rule: object, *, never: bool = False) -> tuple[Target, ...]:
    """Parses a rule that must be right."""

    def report(path: Path, wrong: str, mend: str = "") -> None:
        raise AssertionError(f"{path}: {wrong} ({mend})")

    return (parse_never if never else parse_rule)(rule, report)


class Policy:
    """`Decide` for one set of targets: never, then every atom admitted by some target. ``asked`` logs the questions,
    ``recorded`` which of them were about a held message that now goes."""

    def __init__(
        self, rule: object = None, never: object = None, *, reusable: bool = True, record_first: bool = False
    ) -> None:
        self._allow = targets(EVERYTHING if rule is None else rule)
        self._never = targets(never, never=True) if never is not None else ()
        self._reusable = reusable
        self._record_first = record_first
        self.asked: list[tuple[Action, ...]] = []
        self.recorded: list[bool] = []

    def __call__(self, asked: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict:
        self.asked.append(asked)
        self.recorded.append(recorded)
        if any(target.covers(action) for action in asked for target in self._never):
            return Verdict(NEVER, Reason.NEVER_RULE, reusable=self._reusable)
        for action in asked:
            if self._union(action, admits=True) != action.atoms:
                covered = self._union(action, admits=False) == action.atoms
                reason = Reason.VALUE_OUTSIDE if covered else Reason.DEFAULT_DENY
                return Verdict(DEFAULT, reason, reusable=self._reusable)
        changes = any(action.changes for action in asked)
        return Verdict(ALLOW, reusable=self._reusable, record_first=self._record_first and changes)

    def _union(self, action: Action, *, admits: bool) -> int:
        mask = 0
        for target in self._allow:
            mask |= (target.admits if admits else target.covers)(action)
        return mask


def event_text(event: Event) -> str:
    return f"{event.what} {event.reason.code}" if event.reason is not None else event.what


class Told:
    """Everything an inspector wanted since the last look."""

    def __init__(self) -> None:
        self.device: list[bytes] = []
        self.answers: list[bytes] = []
        self.events: list[str] = []
        self.holds: list[int] = []
        self.closes: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Told) and vars(self) == vars(other)

    def __repr__(self) -> str:
        shown = {name: [x.hex() if isinstance(x, bytes) else x for x in value] for name, value in self._lists()}
        return f"<{shown} closes={self.closes}>"

    def _lists(self) -> list[tuple[str, list[object]]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, list)]


class Client:
    """One master's side of an inspector: plays the link. Nothing is fed any more once the inspector has closed."""

    def __init__(
        self,
        decide: Decide,
        setting: FakeSetting = PLAIN,
        service: ModbusService = ANY_SERVICE,
        now: float = 0.0,
        watched: Watched | None = None,
    ) -> None:
        self.inspector = ModbusInspector(decide, setting, service, watched)
        self.seen: list[tuple[str, float]] = []
        self.now = now
        self.told = Told()
        self.all_events: list[Event] = []
        self.closed = False
        self._out = Effects()

    def send(self, data: bytes) -> None:
        self._do(lambda: self.inspector.from_client(data, self.now, self._out))

    def reply(self, message: bytes) -> None:
        self._do(lambda: self.inspector.from_upstream(message, self.now, self._out))

    def eof(self) -> None:
        self._do(lambda: self.inspector.eof(self.now, self._out))

    def again(self) -> None:
        self._do(lambda: self.inspector.decide_again(self.now, self._out))

    def resume(self, token: int, recorded: bool) -> None:
        self._do(lambda: self.inspector.resume(token, recorded, self.now, self._out))

    def end(self, reason: Reason) -> None:
        self._do(lambda: self.inspector.end(reason, self.now, self._out))

    def tick(self, now: float) -> None:
        self.now = now
        self._do(lambda: self.inspector.tick(now, self._out))

    def look(self) -> Told:
        """What came since the last look."""
        told, self.told = self.told, Told()
        return told

    def _do(self, step: Callable[[], None]) -> None:
        if self.closed:
            return
        step()
        out, told = self._out, self.told
        told.device += out.upstream
        told.answers += out.client
        told.events += [event_text(event) for event in out.events]
        told.holds += [token for token, _ in out.held]
        self.all_events += out.events
        self.seen += [(point.name, value) for point, value in out.seen]
        out.seen.clear()
        for some in (out.upstream, out.client, out.events, out.held):
            some.clear()
        if out.closing:
            self.closed = True
            told.closes = out.why.code if out.why is not None else "quietly"


class DeviceTold:
    """Everything a device machine wanted since the last look."""

    def __init__(self) -> None:
        self.sends: dict[int, list[bytes]] = {}
        self.answers: list[tuple[int, bytes]] = []
        self.dials: list[int] = []
        self.hangs_up: list[int] = []
        self.events: list[str] = []


class Device:
    """The driver's side of a `ModbusDevice`, one call at a time."""

    def __init__(self, service: ModbusService = ANY_SERVICE, now: float = 0.0) -> None:
        self.machine = ModbusDevice(service)
        self.now = now
        self.told = DeviceTold()
        self._out = UpstreamEffects()

    def submit(self, client: int, message: bytes) -> None:
        self._do(lambda: self.machine.submit(client, message, self.now, self._out))

    def opened(self, connection: int) -> None:
        self._do(lambda: self.machine.opened(connection, self.now, self._out))

    def receive(self, connection: int, data: bytes) -> None:
        self._do(lambda: self.machine.from_device(connection, data, self.now, self._out))

    def lost(self, connection: int) -> None:
        self._do(lambda: self.machine.lost(connection, self.now, self._out))

    def leave(self, client: int) -> None:
        self._do(lambda: self.machine.leave(client, self.now, self._out))

    def tick(self, now: float) -> None:
        self.now = now
        self._do(lambda: self.machine.tick(now, self._out))

    def look(self) -> DeviceTold:
        told, self.told = self.told, DeviceTold()
        return told

    def _do(self, step: Callable[[], None]) -> None:
        step()
        out, told = self._out, self.told
        for number, frames in out.device.items():
            told.sends.setdefault(number, []).extend(frames)
        told.answers += out.clients
        told.dials += out.dial
        told.hangs_up += out.hang_up
        told.events += [event_text(event) for _, event in out.events]
        out.device.clear()
        for some in (out.clients, out.dial, out.hang_up, out.events, out.states):
            some.clear()


def connected(service: ModbusService = ANY_SERVICE, *, master: int = 99) -> Device:
    """A device whose first connection is up and idle: a master's broadcast opened it, and nothing answers that.

    The first transaction id is spent, so the next request has 0002.
    """
    device = Device(service)
    device.submit(master, bytes.fromhex("0000 0000 0006 00 06 0000 0000"))
    device.opened(0)
    device.look()
    return device
