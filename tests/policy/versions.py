"""Pairs of versions of a small site, and every question that can be put to both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from proxy.core.inventory import Device
from proxy.core.process import Point, Predicate
from proxy.core.surface import Monitor, Rule
from proxy.policy import reference
from proxy.policy.plan import Plan
from proxy.protocols.modbus.actions import Span
from proxy.protocols.modbus.spec import PROTOCOL as MODBUS
from proxy.protocols.modbus.targets import Spans
from proxy.protocols.mqtt.actions import Message, Subscription
from proxy.protocols.mqtt.filters import Filter
from proxy.protocols.mqtt.spec import PROTOCOL as MQTT
from proxy.protocols.mqtt.targets import Filters, Forbidden, Topics
from tests.policy.toy import never, origin, role, rule, surface, who

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.action import Action, Target
    from proxy.core.principal import Principal
    from proxy.core.surface import Never, Role, Surface
    from proxy.policy.entry import Entry

SPECS = {spec.name: spec for spec in (MODBUS, MQTT)}
PEOPLE = ("scada", "mes", "hmi")
MEMBERS = ("plc", "robot")
TERMS = (*PEOPLE, "role:masters", "mbaps:Operator")
UNTIL = 1000.0
POINT = Point("modbus", "holding 9 u16 (unit 1)")


def beyond(protocol: str, targets: tuple[Target, ...], others: tuple[Target, ...]) -> tuple[Target, ...]:
    return SPECS[protocol].beyond(targets, others)


@dataclass(frozen=True)
class Shift:
    """Hours of which nothing is known but what they are called and mean."""

    name: str
    meaning: str
    origin = origin(1, "policies/shifts/x.yaml")

    def open_at(self, wall: float) -> bool:
        return True

    def next_change(self, wall: float) -> float | None:
        return None

    def describe(self) -> str:
        return self.meaning


MEANINGS = ("mornings", "evenings")
TRUE_OF = (0.0, 1.0)
"""Values of the one point that predicates look at."""


class Question(NamedTuple):
    """``hours`` are the meanings that are open, ``value`` is what the point shows, ``now`` the time of day."""

    who: str | None
    kinds: tuple[str, ...]
    attributes: frozenset[str]
    device: str
    action: Action
    hours: frozenset[str]
    value: float
    now: float

    def principal(self, plan: Plan) -> Principal:
        id = self.who if self.who in plan.devices else None
        place = None if id is None else plan.devices[id].place
        return replace(who(id, *self.kinds, attributes=self.attributes), place=place)


class Judge:
    """What the reference evaluator says of one version: in each circumstances of the rules that are then in force."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._meanings = {one.name: one.describe() for one in plan.hours}
        self._zones: dict[tuple[frozenset[str], float, float], list[Surface]] = {}

    def allows(self, asked: Question) -> bool:
        zones = self._in_force(asked)
        homes = [zone for zone in zones if asked.device in zone.members]
        principal = asked.principal(self.plan)
        if homes and all(zone.monitor is not None for zone in homes):
            return not any(reference.forbidding(zones, self.plan.roles, principal, asked.device, asked.action))
        zones = [zone if zone.monitor is None else replace(zone, rules=()) for zone in zones]
        return reference.allows(zones, self.plan.roles, principal, asked.device, asked.action)

    def _in_force(self, asked: Question) -> list[Surface]:
        key = asked.hours, asked.value, asked.now
        if key not in self._zones:
            self._zones[key] = [_in_force(zone, asked, self._meanings) for zone in self.plan.surfaces]
        return self._zones[key]


def _in_force(zone: Surface, asked: Question, meanings: dict[str, str]) -> Surface:
    live = [one for one in zone.rules if not _watched(one.monitor, asked.now)]
    gone = {name for one in live if one.monitor is not None for name in one.replaces}
    rules = [
        replace(one, when=(), whilst=(), monitor=None)
        for one in live
        if one.ref.name not in gone
        and (not one.when or any(meanings[name] in asked.hours for name in one.when))
        and all(predicate.holds(asked.value) for predicate in one.whilst)
    ]
    nevers = [replace(one, monitor=None) for one in zone.nevers if not _watched(one.monitor, asked.now)]
    monitor = zone.monitor if _watched(zone.monitor, asked.now) else None
    return replace(zone, rules=tuple(rules), nevers=tuple(nevers), monitor=monitor)


def _watched(monitor: Monitor | None, now: float) -> bool:
    return monitor is not None and (now < monitor.until or monitor.then == "alarm")


def told(entries: tuple[Entry, ...], asked: Question, plan: Plan, *, kind: str | None = None) -> bool:
    """Some entry is about this question."""
    principal = asked.principal(plan)
    return any(
        kind in (None, entry.kind)
        and asked.device in entry.to
        and _named(entry, principal)
        and _about(entry, asked, principal)
        for entry in entries
    )


def _named(entry: Entry, principal: Principal) -> bool:
    names = {str(principal.id), *principal.attributes, *(f"{principal.id}+{a}" for a in principal.attributes)}
    return not entry.who or not names.isdisjoint(entry.who)


def _about(entry: Entry, asked: Question, principal: Principal) -> bool:
    if entry.kind == "monitor":
        return True
    bound = [target.bound(principal.names) for target in entry.targets]
    if entry.kind == "guard":
        return any(target.covers(asked.action) for target in bound)
    return entry.kind == "access" and any(target.admits(asked.action) for target in bound)


PLACED = [f"{place}/{device}" for place in ("hall", "cell") for device in ("scada", "mes", "hmi", "x")]
ACTIONS: tuple[Action, ...] = (
    *(Span("read", 1, "holding", first, count, 3) for first, count in product((0, 1, 3), (1, 2))),
    *(Span("write", 1, "holding", first, count, 16, (5,) * count) for first, count in product((0, 2), (1, 2))),
    *(Message("publish", topic) for topic in ("hall/scada", "hall/mes", "cell/mes", "a")),
    *(Subscription("subscribe", text) for text in ("hall/#", "hall/mes", "a")),
)
SINGLE: tuple[Action, ...] = (
    *(Span("read", 1, "holding", first, 1, 3) for first in range(6)),
    *(Span("write", 1, "holding", first, 1, 6, (5,)) for first in range(6)),
    *(Message("publish", topic) for topic in (*PLACED, "hall", "cell", "a", "b", "b/b")),
    *(Subscription("subscribe", text) for text in (*PLACED, "hall/#", "cell/#", "hall/+", "cell/+", "a", "#", "b")),
)
"""Of one atom each, and every kind that the targets below tell apart."""
CIRCUMSTANCES = tuple(product([frozenset({"mornings"}), frozenset(MEANINGS)], TRUE_OF, [0.0, UNTIL + 1]))
ALWAYS = CIRCUMSTANCES[-1:]
SPEAKERS: tuple[tuple[str | None, tuple[str, ...], frozenset[str]], ...] = (
    *((id, ("x509",), frozenset[str]()) for id in PEOPLE),
    ("mes", (), frozenset()),
    ("mes", ("x509", "mac_ip"), frozenset()),
    (None, ("x509",), frozenset({"mbaps:Operator"})),
    *((id, ("x509",), frozenset({"mbaps:Operator"})) for id in PEOPLE),
)


def questions(
    actions: tuple[Action, ...] = ACTIONS, when: tuple[tuple[frozenset[str], float, float], ...] = CIRCUMSTANCES
) -> Iterator[Question]:
    for (id, kinds, attributes), device, action, (hours, value, now) in product(SPEAKERS, MEMBERS, actions, when):
        yield Question(id, kinds, attributes, device, action, hours, value, now)


monitors = st.sampled_from([None] * 6 + [Monitor(UNTIL, "", then, origin(3)) for then in ("enforce", "alarm")])
spans = st.builds(
    lambda verb, first, more: Spans(verb, "holding", first, first + more),
    st.sampled_from(["read", "write"]),
    st.integers(0, 3),
    st.integers(0, 2),
)
TEXTS = st.sampled_from(["{place}/{device}", "{place}/#", "hall/+", "a", "#", "cell/{device}"])
topics = TEXTS.map(lambda text: Topics("publish", Filter(text)))
filters = TEXTS.map(lambda text: Filters("subscribe", Filter(text)))
forbidden = st.builds(
    lambda verb, text: Forbidden(verb, Filter(text)), st.sampled_from(["publish", "subscribe"]), TEXTS
)
targets = st.one_of(spans, spans, topics, filters)
predicates = st.sampled_from(
    [(), (), (), (Predicate("plc", POINT, "==", 0.0, 5.0),), (Predicate("plc", POINT, "<=", 1.0, 5.0),)]
)


def some(names: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)


def _rule(
    speakers: list[str], goals: list[Target], to: list[str], needs: tuple[str, ...], when: tuple[str, ...],
    whilst: tuple[Predicate, ...], monitor: Monitor | None,
) -> Rule:  # fmt: skip
    replaces = () if monitor is None else ("r0",)
    made = rule("", speakers, *goals, to=to, needs=needs)
    return replace(made, when=when, whilst=whilst, monitor=monitor, replaces=replaces)


RULES = st.builds(
    _rule, some(TERMS), st.lists(targets, min_size=1, max_size=2), some(MEMBERS),
    st.sampled_from([(), (), ("x509",), ("mac_ip",)]), st.sampled_from([(), (), ("a",), ("b",), ("a", "b")]),
    predicates, monitors,
)  # fmt: skip
BARE = st.builds(
    lambda speakers, goals, to: rule("", speakers, *goals, to=to),
    some(TERMS),
    st.lists(targets, min_size=1, max_size=2),
    some(MEMBERS),
)
NEVERS = st.builds(
    lambda goal, speakers, to, monitor: replace(never("", goal, speakers=speakers, to=to), monitor=monitor),
    st.one_of(spans, forbidden),
    st.none() | some(TERMS),
    some(MEMBERS),
    monitors,
)


def zone(
    name: str, members: list[str], rules: list[Rule], nevers: list[Never], unsafe: bool, monitor: Monitor | None
) -> Surface:
    """A rule holds at members alone; names are given by place, so that a change of one leaves the others."""
    kept = [replace(one, devices=tuple(d for d in one.devices if d in members)) for one in rules]
    made = surface(
        *(replace(r, ref=replace(r.ref, surface=name, name=f"r{at}")) for at, r in enumerate(kept) if r.devices),
        nevers=[replace(n, ref=replace(n.ref, surface=name, name=f"n{at}")) for at, n in enumerate(nevers)],
        name=name,
        members=members,
        unsafe=unsafe,
    )
    return replace(made, monitor=monitor)


ZONE_PARTS: tuple[st.SearchStrategy[Any], ...] = (
    st.sampled_from([["plc", "robot"], ["plc", "robot"], ["plc"]]),
    st.lists(RULES, max_size=3),
    st.lists(NEVERS, max_size=1),
    st.booleans(),
    monitors,
)
BARE_PARTS: tuple[st.SearchStrategy[Any], ...] = (
    st.just(["plc", "robot"]),
    st.lists(BARE, max_size=3),
    st.just([]),
    st.just(True),
    st.none(),
)
PLACES = st.fixed_dictionaries(
    {name: st.just("hall") for name in MEMBERS}
    | {name: st.sampled_from(["hall", "hall", "cell", None]) for name in PEOPLE}
)
MASTERS = st.lists(st.sampled_from(["scada", "mes"]), max_size=2, unique=True)
HOURS = st.fixed_dictionaries({name: st.sampled_from(MEANINGS) for name in ("a", "b")})


def plan(
    zones: list[tuple[object, ...]], places: dict[str, str | None], masters: list[str], hours: dict[str, str]
) -> Plan:
    devices = {name: Device(name, "plc", where, None, origin(1)) for name, where in places.items()}
    roles: tuple[Role, ...] = (role("masters", *masters),)
    surfaces = tuple(zone(f"zone-{at}", *parts) for at, parts in enumerate(zones))  # type: ignore[arg-type]
    return Plan(surfaces, roles, devices, tuple(Shift(name, meaning) for name, meaning in hours.items()))


@st.composite
def pairs(draw: st.DrawFn, *, bare: bool = False) -> tuple[Plan, Plan]:
    """Two versions that have much in common: each part is kept, or made anew."""
    parts = BARE_PARTS if bare else ZONE_PARTS
    count = draw(st.integers(1, 2))

    def twice(strategy: st.SearchStrategy[object]) -> tuple[object, object]:
        first = draw(strategy)
        return first, draw(strategy) if draw(st.integers(0, 3)) == 0 else first

    zones = [[twice(part) for part in parts] for _ in range(count)]
    rest = [twice(part) for part in (PLACES, MASTERS, HOURS)]
    before, after = (
        plan([tuple(part[at] for part in one) for one in zones], *(part[at] for part in rest))  # type: ignore[arg-type]
        for at in (0, 1)
    )
    return before, after
