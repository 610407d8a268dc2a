"""Ten thousand questions to a site, and two tables of answers: of the engine, and of the reference evaluator."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.origin import Origin, RuleRef
from proxy.identity.identify import refusal
from proxy.policy import reference
from proxy.policy.assume import assumed
from proxy.policy.circumstances import Circumstances
from proxy.policy.rates import Rates
from proxy.policy.shadowed import compile_shadowed
from proxy.protocols.mqtt.actions import Connect, Message, Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from proxy.core.action import Action
    from proxy.core.principal import Principal
    from proxy.core.process import Point
    from proxy.core.surface import Never, Rule, Surface
    from proxy.policy.rates import RateKey
    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Site

COUNT = 10_000
NOW = datetime.fromisoformat("2026-11-21T12:00:00+00:00").timestamp()
"""When the mutants are judged: what is in monitor until then, is."""
EVIDENCE: tuple[tuple[str, ...], ...] = (("x509", "mac_ip", "address"), ("x509",), ("address",), ("mac_ip",), ())
CHANNEL = (("x509", "opcua_uri"),)
"""Besides, where the files speak of it: it makes the others rarer."""
ROLES = ("mbaps-null", "mbaps:Operator")
SPEAKERS = ("hmi-1", "hmi-2", "sensor-a", "drive-a", "sensor-3-1", "sensor-3-3", "historian")
"""Whose names are filled in."""


class Moment(NamedTuple):
    """``wall`` time of day; ``state``: what every point that a rule looks at was just seen to be, None for unseen."""

    wall: float
    state: float | None


MOMENTS = tuple(
    Moment(datetime.fromisoformat(text).timestamp(), state)
    for text, state in (
        ("2026-11-23T07:00:00+01:00", 0.0),
        ("2026-11-23T15:30:00+01:00", 0.0),
        ("2026-12-05T23:00:00+01:00", 0.0),
        ("2026-11-25T03:00:00+01:00", None),
        ("2026-12-24T08:00:00+01:00", 1.0),
    )
)


class Probe(NamedTuple):
    moment: int
    who: str
    kinds: tuple[str, ...]
    to: str
    action: Action


@dataclass(frozen=True)
class Table:
    """Bit ``i`` is the answer to probe ``i``."""

    allowed: int

    def beyond(self, other: Table) -> Iterator[int]:
        more = self.allowed & ~other.allowed
        while more:
            at = (more & -more).bit_length() - 1
            yield at
            more &= more - 1


class Plenty(Rates):
    """Rates depend on what was asked before, and every probe stands for itself."""

    def ready(self, key: RateKey, now: float) -> bool:
        return True


def chosen(site: Site, protocols: Mapping[str, ProtocolSpec], texts: Iterable[str], count: int = COUNT) -> Asker:
    """Of four times as many probes, those that the sound site allows (up to a third of all) and some of the others:
    most random questions are refused by any policy."""
    many = Asker(probes(site, protocols, texts, 4 * count))
    table = many.engine(site)
    yes = [probe for at, probe in enumerate(many.asked) if table.allowed >> at & 1][: count // 3]
    no = [probe for at, probe in enumerate(many.asked) if not table.allowed >> at & 1]
    return Asker((*yes, *no[: count - len(yes)]))


def probes(site: Site, protocols: Mapping[str, ProtocolSpec], texts: Iterable[str], count: int) -> tuple[Probe, ...]:
    """The same for the same site: speakers known and unknown, with more and less evidence; requests at, inside and
    just outside whatever its files (``texts``) name. Half of them are by somebody whom some rule lets speak there."""
    text = "\n".join(texts)
    by_protocol = {name: _actions(spec, text, site) for name, spec in protocols.items()}
    asked = {
        device.id: [action for protocol in device.services for action in by_protocol[protocol]]
        for device in site.devices.values()
        if device.services
    }
    members = {f"role:{role.name}": role.members for role in site.roles}
    pairs = [
        (one, device)
        for surface in site.surfaces
        for rule in surface.rules
        for name in rule.speakers
        for one in members.get(name, (name,))
        for device in rule.devices
    ]
    evidence = EVIDENCE + CHANNEL if "opcua_uri" in text else EVIDENCE
    chance = random.Random(1)
    found: dict[tuple[object, ...], Probe] = {}
    while len(found) < count:
        who, to = chance.choice(pairs) if chance.random() < 0.5 else (chance.choice((*site.devices, "stranger")), "")
        kinds = evidence[0] if chance.random() < 0.5 else chance.choice(evidence)
        if "x509" in kinds and "mbaps" not in who:
            who = f"{who}+{chance.choice(ROLES)}"
        to = to or chance.choice([*asked])
        action = chance.choice(asked[to])
        probe = Probe(chance.randrange(len(MOMENTS)), who, kinds, to, action)
        found[probe.moment, who, kinds, to, action.describe()] = probe
    return tuple(found.values())


def _actions(spec: ProtocolSpec, text: str, site: Site) -> list[Action]:
    if spec.name == "mqtt":
        return list(mqtt_actions(text, site))
    if spec.name == "opcua":
        return [action for line in opcua_lines(text) for action in spec.parse_actions(line)]
    return [action for line in modbus_lines(text) for action in spec.parse_actions(line)]


def modbus_lines(text: str) -> list[str]:
    """Reads and writes on both sides of every edge, and of every bound of a value."""
    edges = sorted({int(n) + by for n in re.findall(r"(?:holding|input|coil) (\d+)", text) for by in (-1, 0, 1)})
    edges += sorted({int(n) + by for n in re.findall(r"(?:holding|input|coil) \d+-(\d+)", text) for by in (0, 1)})
    values = sorted({int(float(n)) + by for n in re.findall(r"(?:min|max): ([\d.]+)", text) for by in (-1, 0, 1)})
    found = [f"read {table} {at}" for table in ("holding", "input", "coil") for at in dict.fromkeys(edges) if at >= 0]
    found += [f"read holding {at}-{at + 3}" for at in edges if at >= 0]
    for at in dict.fromkeys(edges):
        if at >= 0:
            found += [f"write holding {at} = {value}" for value in values if value >= 0]
            found += [
                f"write coil {at} = 1",
                f"write holding {at}-{at + 1} = 16576, 0",
                f"write holding {at} = 1 unit 2",
            ]
    return [*found, "program 90", "program 125", "identify basic", "identify extended", "diagnose 0", "control 10"]


def opcua_lines(text: str) -> list[str]:
    """By every verb on every node of the files and one beside it, with values on both sides of every bound."""
    names = sorted(set(re.findall(r"nsu=[\w:.-]+;s=[\w.*]+", text)))
    nodes = ["i=2255", "i=2259", *(node for one in names for node in (one.replace("*", "x"), f"{one.rstrip('*')}.y"))]
    values = sorted({float(n) + by for n in re.findall(r"(?:min|max): (-?[\d.]+)", text) for by in (-1, 0, 1)})
    found = [f"{verb} {node}" for verb in ("browse", "read", "subscribe", "history-read") for node in nodes]
    found += [f"write {node} = {value:g}" for node in nodes for value in values]
    found += [f"write {node} = ?" for node in nodes]
    return [*found, *(f"call {one} -> {method}" for one in nodes for method in nodes)]


def mqtt_actions(text: str, site: Site) -> Iterator[Action]:
    """By every verb on every filter of the files, with its wildcards and names filled in."""
    topics = {"$SYS/broker", "other", "other/deep/down"}
    for one in re.findall(r"[\"\s]([\w{}.+#$-]+(?:/[\w{}.+#-]+)+)", text):
        bare = re.sub(r"^\$share/\w+/", "", one)
        for device in SPEAKERS:
            if device in site.devices:
                full = bare.replace("{device}", device).replace("{place}", site.devices[device].place or "none")
                topics.update((full.replace("+", "x").replace("#", "x/y"), full.replace("+", "x").removesuffix("/#")))
    for topic in sorted(one for one in topics if "{" not in one):
        for verb in ("publish", "command", "will", "retain", "clear-retained", "receive"):
            yield Message(verb, topic)
        yield Message("publish", topic, 2, 2000)
        yield from (Subscription("subscribe", one) for one in (topic, f"{topic}/#"))
        yield Subscription("share", topic, 0, "history")
    yield from (Connect(id) for id in (*SPEAKERS, "x"))


class Asker:
    """Answers the probes of one original for each of its mutants. What a device's part of the policy says is looked up
    where a mutant leaves it as another had it; the key holds all that the reference evaluator reads."""

    def __init__(self, asked: Sequence[Probe]) -> None:
        self.asked = asked
        self._parts: dict[str, list[int]] = {}
        self._moments: dict[int, list[int]] = {}
        for at, probe in enumerate(asked):
            self._parts.setdefault(probe.to, []).append(at)
            self._moments.setdefault(probe.moment, []).append(at)
        self._known: dict[tuple[str, str], int] = {}

    def engine(self, site: Site) -> Table:
        """By the policy that the gateway would run, with identity in front. Time goes on from moment to moment, and one
        policy lives through all of them."""
        allowed = 0
        stands = Standing(site)
        circumstances = Circumstances(site.hours, MOMENTS[0].wall)
        policy = compile_shadowed(
            site.surfaces, site.roles, site.devices, site.hours, now=NOW, rates=Plenty(), circumstances=circumstances
        )
        circumstances.watch(policy.watched())
        for number, moment in enumerate(MOMENTS):
            now = _see(circumstances, site, number)
            circumstances.look(moment.wall)
            for at in self._moments[number]:
                probe = self.asked[at]
                if (principal := stands.of(probe)) is not None:
                    authority = policy.open(principal, probe.to, probe.action.protocol)
                    allowed |= authority.decide_all((probe.action,), now).allowed << at
        assert policy.enforced.faults.count == 0, policy.enforced.faults.last
        return Table(allowed)

    def reference(self, site: Site) -> Table:
        allowed = 0
        stands = Standing(site)
        moments = [_circumstances(site, number) for number in range(len(MOMENTS))]
        free = _lenient(site.surfaces)
        for device, places in self._parts.items():
            mine = _about(device, site.surfaces)
            meaning = (mine, site.roles, [known.open for known, _ in moments], device in free, stands.meaning)
            key = device, repr(meaning)
            if key not in self._known:
                self._known[key] = self._answers(mine, device in free, places, site, stands, moments)
            allowed |= self._known[key]
        return Table(allowed)

    def _answers(
        self,
        mine: tuple[Surface, ...],
        free: bool,
        places: Iterable[int],
        site: Site,
        stands: Standing,
        moments: Sequence[tuple[Circumstances, float]],
    ) -> int:
        allowed = 0
        for at in places:
            probe = self.asked[at]
            principal = stands.of(probe)
            if principal is None:
                continue
            if free:
                yes = not any(reference.forbidding(mine, site.roles, principal, probe.to, probe.action))
            else:
                known, now = moments[probe.moment]
                yes = reference.allows(mine, site.roles, principal, probe.to, probe.action, known, now)
            allowed |= yes << at
        return allowed

    def paced(self, site: Site, at: int) -> bool:
        """A rule of the mutant limits how far this value may move, which the reference evaluator leaves out."""
        probe = self.asked[at]
        rules = [rule for surface in site.surfaces for rule in surface.rules if probe.to in rule.devices]
        return any(t.protocol == probe.action.protocol and t.moves(probe.action) for r in rules for t in r.targets)


class Standing:
    """Who the speakers of the probes are by the inventory of one mutant, if it believes them at all."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: dict[tuple[str, tuple[str, ...]], Principal | None] = {}
        self.meaning = sorted((d.id, d.place, sorted(d.bindings.require), d.bindings) for d in site.devices.values())

    def of(self, probe: Probe) -> Principal | None:
        key = probe.who, probe.kinds
        if key not in self._known:
            principal = assumed(probe.who, self._site.devices, probe.kinds)
            device = None if principal.id is None else self._site.devices[principal.id]
            self._known[key] = principal if refusal(principal, device) is None else None
        return self._known[key]


def _circumstances(site: Site, number: int) -> tuple[Circumstances, float]:
    """Made anew for one moment, and what the time is then (monotonic seconds)."""
    made = Circumstances(site.hours, MOMENTS[number].wall)
    made.watch(_points(site))
    return made, _see(made, site, number)


def _see(circumstances: Circumstances, site: Site, number: int) -> float:
    """What is seen in one moment. What was seen in the one before is long ago."""
    now, state = number * 1e6, MOMENTS[number].state
    for device, point in _points(site) if state is not None else ():
        circumstances.observe(device, point, state or 0.0, now)
    return now


def _points(site: Site) -> set[tuple[str, Point]]:
    return {(p.device, p.point) for s in site.surfaces for r in s.rules for p in r.whilst}


def _lenient(surfaces: Iterable[Surface]) -> frozenset[str]:
    """In monitor with all its surfaces (our own words for it: `proxy.policy.shadow` is what is tested)."""
    watched = {m for s in surfaces for m in s.members if s.monitor is not None and _stands(s)}
    return frozenset(watched - {m for s in surfaces for m in s.members if s.monitor is None or not _stands(s)})


def _stands(one: Surface | Rule | Never) -> bool:
    """It is in monitor now, and so not in force."""
    return one.monitor is not None and (one.monitor.until > NOW or one.monitor.then == "alarm")


def _about(device: str, surfaces: Iterable[Surface]) -> tuple[Surface, ...]:
    """The rules and nevers in force about one device, without where they stand and what else is said."""
    nowhere = Origin("", 1)
    found = []
    for surface in surfaces:
        enforced = [r for r in surface.rules if not _stands(r) and not _stands(surface)]
        replaced = {name for rule in enforced if rule.monitor is not None for name in rule.replaces}
        rules = [r for r in enforced if device in r.devices and r.ref.name not in replaced]
        nevers = [n for n in surface.nevers if device in n.devices and not _stands(n)]
        if rules or nevers:
            found.append(
                replace(
                    surface,
                    origin=nowhere,
                    mark="",
                    tests=(),
                    rules=tuple(replace(r, ref=RuleRef("", r.ref.name, nowhere), monitor=None) for r in rules),
                    nevers=tuple(replace(n, ref=RuleRef("", n.ref.name, nowhere), monitor=None) for n in nevers),
                )
            )
    return tuple(found)
