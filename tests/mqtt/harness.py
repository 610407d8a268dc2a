"""What stands in for the link and the policy around the MQTT inspector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.names import Names
from proxy.core.origin import Origin, RuleRef
from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.protocols.base import Effects, UpstreamState
from proxy.protocols.mqtt.inspector import MqttInspector
from proxy.protocols.mqtt.rules import parse_never, parse_rule
from proxy.protocols.mqtt.service import MqttService, parse_service
from tests.support.setting import FakeSetting, client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from proxy.core.action import Action, Target
    from proxy.core.events import Event
    from proxy.protocols.base import Decide, Path

REASONS = {reason.code: reason for reason in Reason}
SENSOR = Names("sensor-1", "hall-1")
PLAIN = FakeSetting(deny_style="nack")
ANY_SERVICE = MqttService()

USUAL: Mapping[str, object] = {
    "will": ["ok/#", "spBv1.0/ok/#"],
    "publish": "ok/#",
    "command": "spBv1.0/ok/#",
    "retain": ["ok/kept/#", "spBv1.0/ok/#"],
    "clear-retained": "ok/kept/#",
    "subscribe": ["ok/#", "{place}/{device}/#"],
    "share": "$share/crew/ok/#",
    "reply-to": "ok/#",
}
"""The rule of tests that name none. Whatever begins with ``no/`` is refused."""


def ref(name: str) -> RuleRef:
    return RuleRef("test", name, Origin("test.yaml", 1))


DEFAULT, NEVER = ref("default"), ref("never")


def _must_be_right(path: Path, wrong: str, mend: str = "") -> None:
    raise AssertionError(f"{path}: {wrong} ({mend})")


def service(value: Mapping[str, object]) -> MqttService:
    made = parse_service(value, _must_be_right)
    assert made is not None
    return made


class Policy:
    """`Decide` for a few named rules, the first that admits an action counting; ``rules`` may be one nameless rule.

    As the real one, an answer is reusable though it looked at size and QoS. ``asked`` logs the questions, and
    ``recorded`` which of them were about something held that now goes.
    """

    def __init__(
        self,
        rules: Mapping[str, object] | None = None,
        never: Mapping[str, object] | None = None,
        *,
        names: Names = SENSOR,
        reusable: bool = True,
        record_first: bool = False,
    ) -> None:
        rules = USUAL if rules is None else rules
        named = rules if all(isinstance(rule, dict) and key != "connect" for key, rule in rules.items()) else None
        self._rules: list[tuple[RuleRef, tuple[Target, ...]]] = [
            (ref(name), tuple(target.bound(names) for target in parse_rule(rule, _must_be_right)))
            for name, rule in (named or {"allow": rules}).items()
        ]
        self._never = () if never is None else tuple(t.bound(names) for t in parse_never(never, _must_be_right))
        self._reusable = reusable
        self._record_first = record_first
        self.asked: list[tuple[Action, ...]] = []
        self.recorded: list[bool] = []

    def __call__(self, asked: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict:
        self.asked.append(asked)
        self.recorded.append(recorded)
        verdict = self.judge(asked)
        if self._record_first and any(action.changes for action in asked):
            verdict.record_first = verdict.allowed
        return verdict

    def judge(self, asked: Sequence[Action]) -> Verdict:
        """The answer, not logged."""
        found = [self._one(action) for action in asked]
        for verdict in found:
            if verdict.reason is not None:
                part = verdict.reason if len(asked) == 1 else Reason.PART_REFUSED
                return Verdict(verdict.rule, part, reusable=self._reusable)
        return Verdict(found[0].rule, reusable=self._reusable)

    def _one(self, action: Action) -> Verdict:
        if any(target.covers(action) for target in self._never):
            return Verdict(NEVER, Reason.NEVER_RULE)
        rule = self._first(action)
        if rule is not None:
            return Verdict(rule)
        covered = any(target.covers(action) for _, targets in self._rules for target in targets)
        return Verdict(DEFAULT, Reason.VALUE_OUTSIDE if covered else Reason.DEFAULT_DENY)

    def _first(self, action: Action) -> RuleRef | None:
        for name, targets in self._rules:
            if any(target.admits(action) for target in targets):
                return name
        return None


class Epochs:
    """A policy that is exchanged for the next one at each `next`."""

    def __init__(self, *policies: Policy) -> None:
        self._policies = list(policies)

    @property
    def now(self) -> Policy:
        return self._policies[0]

    def __call__(self, asked: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict:
        return self._policies[0](asked, now, recorded)

    def next(self) -> None:
        self._policies.pop(0)

    def exchange(self, policy: Policy) -> None:
        self._policies[0] = policy


def event_text(event: Event) -> str:
    """``refuse BH-1201 publish no/x qos 0 bytes 1``; details of what is malformed are the codec's matter."""
    parts = [event.what, event.reason.code if event.reason is not None else "", event.action]
    return " ".join(part for part in parts if part)


class Told:
    """Everything an inspector wanted since the last look. The broker's and the client's bytes are streams: where a
    run is cut means nothing."""

    def __init__(self) -> None:
        self.broker = b""
        self.client = b""
        self.events: list[str] = []
        self.holds: list[int] = []
        self.closes: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Told) and vars(self) == vars(other)

    def __repr__(self) -> str:
        shown = {name: value.hex() if isinstance(value, bytes) else value for name, value in vars(self).items()}
        return f"<{shown}>"


class Link:
    """One client's side of an inspector: plays the gateway's link. Nothing is fed any more once it has closed.

    It never asks for a deadline but after a `tick`, and holds the inspector to having told (`Effects.wake`).
    """

    def __init__(
        self,
        decide: Decide,
        setting: FakeSetting = PLAIN,
        service: MqttService = ANY_SERVICE,
        names: Names = SENSOR,
        now: float = 0.0,
    ) -> None:
        self.inspector = MqttInspector(decide, setting, service, client(names))
        self.now = now
        self.told = Told()
        self.all_events: list[Event] = []
        self.closed = False
        self._wakes = self.inspector.deadline()
        self._out = Effects()

    def send(self, data: bytes) -> None:
        """From the client."""
        self._do(lambda: self.inspector.from_client(data, self.now, self._out))

    def reply(self, data: bytes) -> None:
        """From the broker."""
        self._do(lambda: self.inspector.from_upstream(data, self.now, self._out))

    def upstream_is(self, state: UpstreamState) -> None:
        self._do(lambda: self.inspector.upstream_is(state, self.now, self._out))

    def eof(self) -> None:
        self._do(lambda: self.inspector.eof(self.now, self._out))

    def again(self) -> None:
        self._do(lambda: self.inspector.decide_again(self.now, self._out))

    def resume(self, token: int, recorded: bool = True) -> None:
        self._do(lambda: self.inspector.resume(token, recorded, self.now, self._out))

    def end(self, reason: Reason) -> None:
        self._do(lambda: self.inspector.end(reason, self.now, self._out))

    def at(self, now: float) -> None:
        """Time passes as for the gateway's link: `tick` is called only when the alarm has rung and it is due."""
        while not self.closed and self._wakes is not None and self._wakes <= now:
            self.now, self._wakes = max(self.now, self._wakes), None
            due = self.inspector.deadline()
            if due is not None and due <= self.now:
                self._do(lambda: self.inspector.tick(self.now, self._out), asked=True)
                due = self.inspector.deadline()
                assert due is None or due > self.now, f"ticked at {self.now}, and still due since {due}"
            self._wakes = due
        self.now = now

    def look(self) -> Told:
        """What came since the last look."""
        told, self.told = self.told, Told()
        return told

    def _do(self, step: Callable[[], None], *, asked: bool = False) -> None:
        if self.closed:
            return
        step()
        out, told = self._out, self.told
        told.broker += b"".join(out.upstream)
        told.client += b"".join(out.client)
        told.events += [event_text(event) for event in out.events]
        told.holds += [token for token, _ in out.held]
        self.all_events += out.events
        for some in (out.upstream, out.client, out.events, out.held):
            some.clear()
        if out.closing:
            self.closed = True
            told.closes = out.why.code if out.why is not None else "quietly"
        if not self.closed and not asked:
            self._check_alarm()

    def _check_alarm(self) -> None:
        wake, self._out.wake = self._out.wake, None
        if wake is not None and (self._wakes is None or wake < self._wakes):
            self._wakes = wake
        due = self.inspector.deadline()
        assert due is None or (self._wakes is not None and self._wakes <= due), f"due at {due}, rings at {self._wakes}"
