"""Random small sites, and who can reach whom in them by asking the compiled policy about every message there is."""

from __future__ import annotations

import random
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.facts import CertificateFacts, ConnFacts
from proxy.core.inventory import Bindings, Device, Service
from proxy.core.origin import Origin, RuleRef
from proxy.core.surface import Never, Role, Rule, Surface
from proxy.identity.identify import Identifier, refusal
from proxy.identity.sources.address import Address
from proxy.identity.sources.mac_ip import MacIp
from proxy.identity.sources.x509 import X509
from proxy.policy.compile import compile_policy
from proxy.policy.plan import Door, Plan
from proxy.policy.way import Words
from proxy.protocols.modbus.actions import Call, Span
from proxy.protocols.modbus.spec import PROTOCOL as MODBUS
from proxy.protocols.mqtt.actions import Connect, Message, Subscription
from proxy.protocols.mqtt.passing import passages
from proxy.protocols.mqtt.service import MqttService
from proxy.protocols.mqtt.spec import PROTOCOL as MQTT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.core.action import Action, Target
    from proxy.core.principal import Principal
    from proxy.policy.reach import Search
    from proxy.policy.way import Relay

SITE = "toys"
SPECS = {"modbus": MODBUS, "mqtt": MQTT}
BROKER = MqttService(commands=("cmd/#",))
NAMES = ("p1", "p2", "b1", "s1", "m1", "m2")
LEVELS = ("a", "b", "cmd", "other", "hall", *NAMES)
TOPICS = tuple("/".join(levels) for count in (1, 2) for levels in product(LEVELS, repeat=count))
"""No filter below has more levels; ``other`` stands for every name that none has."""
FILTERS = ("#", "a/#", "a/+", "a/b", "b/#", "+/b", "cmd/#", "cmd/a", "cmd/{device}", "{device}/#", "{place}/{device}")
SAID = ("publish", "command", "will", "clear-retained")
ROLES = (Role("some", Origin("policies/roles/some.yaml", 1), ("s1", "m1")),)


class World:
    """``principals``: (who, device) -> how identity sees who at each door of the device, from certificate, MAC and
    address; without those that it refuses."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.policy = compile_policy(plan.surfaces, plan.roles, plan.devices)
        served = {door.device for door in plan.doors}
        self.principals = {(who, to): tuple(_principals(plan, who, to)) for who in plan.devices for to in served}
        self.edges: frozenset[tuple[str, str, bool]] = frozenset()
        """(who, to, it changes)."""
        self.edges = frozenset((who, to, changes) for who in plan.devices for to, changes in _edges(self, who))


def world(chance: random.Random) -> World:
    """Six devices: two PLCs, a broker, and three that speak; each known in some way, behind doors of some kind."""
    devices = {name: _device(chance, name, at) for at, name in enumerate(NAMES)}
    doors = [
        Door(f"{name}-{at}", "", "mqtt" if name == "b1" else "modbus", name, secured)
        for name in ("p1", "p2", "b1")
        for at, secured in enumerate(chance.choice(((True,), (False,), (True, False), (True,), (True, False), ())))
    ]
    surfaces = tuple(_surface(chance, name) for name in ("p1", "p2", "b1"))
    return World(Plan(surfaces, ROLES, devices, (), tuple(doors)))


def _device(chance: random.Random, name: str, at: int) -> Device:
    bindings = chance.choice(
        (
            Bindings(),
            Bindings(require=frozenset(("x509",))),
            Bindings(address_only=True),
            Bindings(mac=f"00:0e:8c:00:00:0{at}"),
        )
    )
    service = Service("mqtt" if name == "b1" else "modbus", 1, False, BROKER, _origin(name, 1))
    services = {service.protocol: service} if name in ("p1", "p2", "b1") else {}
    return Device(name, "toy", "hall", f"10.0.0.{at + 1}", _origin(name, 1), services, bindings)


def _origin(name: str, line: int) -> Origin:
    return Origin(f"policies/surfaces/{name}.yaml", line)


def _surface(chance: random.Random, name: str) -> Surface:
    rules = []
    for at in range(chance.randint(1, 3)):
        protocol, section = _section(chance, name)
        targets = SPECS[protocol].parse_rule(section, _no_report)
        speakers = chance.sample((*NAMES, "role:some", "mbaps-null"), chance.randint(1, 2))
        needs = chance.choice(((), (), ("x509",), ("mac_ip",)))
        ref = RuleRef(name, f"r{at}", _origin(name, 10 + at))
        rules.append(Rule(ref, tuple(speakers), (name,), targets, frozenset(needs)))
    nevers = []
    if chance.random() < 0.5:
        # One: two together can take away what neither does alone, and reach then says too much rather than too little.
        ref = RuleRef(name, "n", _origin(name, 90))
        speakers_of = chance.choice((None, None, ("s1",), ("role:some",)))
        nevers.append(Never(ref, speakers_of, (name,), _never(chance, name)))
    unsafe = chance.random() < 0.3
    return Surface(name, _origin(name, 1), (name,), tuple(rules), tuple(nevers), writes_without_proof=unsafe)


def _section(chance: random.Random, name: str) -> tuple[str, object]:
    if name != "b1":
        first = chance.randint(0, 2)
        span = [f"holding {first}-{first + chance.randint(0, 1)}"]
        return "modbus", chance.choice(
            ({"read": span}, {"write": span}, {"read": span, "write": span}, {"program": [90]})
        )
    verb = chance.choice(("publish", "publish", "command", "subscribe", "subscribe", "will", "receive"))
    return "mqtt", {verb: chance.sample(FILTERS, chance.randint(1, 2))}


def _never(chance: random.Random, name: str) -> tuple[Target, ...]:
    if name != "b1":
        section: object = chance.choice(({"write": ["holding 0-3"]}, {"read": ["holding 1-2"]}, {"function": [90]}))
        return MODBUS.parse_never(section, _no_report)
    verb = chance.choice(("publish", "subscribe", "receive", "command"))
    return MQTT.parse_never({verb: [chance.choice(FILTERS)]}, _no_report)


def _no_report(path: object, wrong: str, mend: str = "") -> None:
    raise AssertionError(f"{path}: {wrong}; {mend}")


def words(plan: Plan) -> Words:
    def relay(device: str, protocol: str) -> Relay | None:
        return (lambda said, heard: passages(said, heard, BROKER)) if protocol == "mqtt" else None

    def stands(principal: Principal) -> bool:
        return refusal(principal, plan.devices[str(principal.id)]) is None

    return Words(
        beyond=lambda protocol, targets, nevers: SPECS[protocol].beyond(targets, nevers),
        pointless=lambda target, device: device == "b1" and MQTT.pointless(target, BROKER) is not None,
        relay=relay,
        stands=stands,
    )


class Answer(NamedTuple):
    touched: frozenset[str]
    changed: frozenset[str]


def by_asking(world: World, start: str, search: Search) -> Answer:
    """The fixpoint, without an order: until nothing is added."""
    edges = {(who, to, changes) for who, to, changes in world.edges if to != start and (changes or not search.writes)}
    taken = {start}
    while True:
        more = {to for who, to, changes in edges if who in taken and (changes or search.any_contact)} - taken
        if not more:
            break
        taken |= more
    return Answer(
        frozenset(to for who, to, _ in edges if who in taken),
        frozenset(to for who, to, changes in edges if who in taken and changes),
    )


def _edges(world: World, who: str) -> Iterator[tuple[str, bool]]:
    for device, protocol in {(door.device, door.protocol) for door in world.plan.doors}:
        broker = protocol == "mqtt"
        if device != who:
            for action in _mqtt_actions(who) if broker else MODBUS_ACTIONS:
                if _may(world, who, device, action):
                    yield device, action.changes and not broker
        if broker:
            yield from _heard(world, who, device)


def _heard(world: World, who: str, broker: str) -> Iterator[tuple[str, bool]]:
    said = {(v, t) for v in SAID for t in TOPICS if who == broker or _may(world, who, broker, Message(v, t))}
    said = {(v, t) for v, t in said if (v == "command") == BROKER.is_command(t)}
    for hearer in world.plan.devices:
        for verb, topic in said if hearer not in (who, broker) else ():
            if _may(world, hearer, broker, Message("receive", topic)):
                yield hearer, verb == "command"


def _may(world: World, who: str, device: str, action: Action) -> bool:
    """At some door, with all that it can show there. What is refused outright is refused whatever the rules say."""
    service = world.plan.devices[device].services[action.protocol]
    if action.protocol == "mqtt" and MQTT.outright((action,), service.options) is not None:
        return False
    return any(
        world.policy.open(principal, device, action.protocol).decide(action, 0.0).allowed
        for principal in world.principals[who, device]
    )


def _principals(plan: Plan, who: str, device: str) -> Iterator[Principal]:
    identifier = Identifier(SITE, plan.devices, (X509(SITE), MacIp(), Address()))
    own = plan.devices[who]
    for door in plan.doors:
        if door.device == device:
            shown = CertificateFacts(1, who, (f"spiffe://{SITE}/device/{who}",), None, 0.0, 1.0, "")
            certificate = shown if door.secured else None
            facts = ConnFacts(door.name, str(own.address), 1, own.bindings.mac, certificate=certificate)
            principal = identifier.identify(facts)
            if identifier.refusal(principal) is None:
                yield principal


MODBUS_ACTIONS: tuple[Action, ...] = (
    *(Span("read", 1, "holding", at, 1, 3) for at in range(5)),
    *(Span("write", 1, "holding", at, 1, 6, (1,)) for at in range(5)),
    Call("program", 1, 90, 90),
)


def _mqtt_actions(who: str) -> Iterable[Action]:
    """`connect`, and the narrowest of everything: a wider subscription is allowed only where these are."""
    yield Connect(who)
    for topic in TOPICS:
        yield from (Message(verb, topic) for verb in (*SAID, "receive"))
        yield Subscription("subscribe", topic)
