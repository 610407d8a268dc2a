"""Random policies and questions, and the three ways to answer them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import strategies as st

from proxy.core.surface import Rate
from proxy.policy import reference
from proxy.policy.circumstances import Circumstances
from proxy.policy.compile import compile_policy
from tests.policy.toy import ToyAction, ToyHours, ToyTarget, cell, devices, never, role, rule, seen, surface, who

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.principal import Principal
    from proxy.core.surface import Never, Role, Rule, Surface
    from proxy.policy.compile import Policy
    from proxy.policy.plain import Plain

PLCS = ("plc", "robot")
PEOPLE = ("scada", "mes", "hmi")
NAMES = (*PEOPLE, "role:masters", "role:all", "mbaps:Operator", "mbaps-null")
ROLES = (role("masters", "scada", "mes"), role("all", *PEOPLE, "mbaps:Viewer"))
INVENTORY = devices(*PLCS, *PEOPLE)
PLENTY = Rate(1_000_000, 1.0)
HOURS = (ToyHours("early", 100, 200), ToyHours("late", 150, 300))


class Probe(NamedTuple):
    principal: Principal
    device: str
    action: Action


class Plant(NamedTuple):
    """``wall`` says which hours are open (None: none are known), ``seen`` has (device, cell, value, when).

    Questions are asked at 0.0.
    """

    surfaces: tuple[Surface, ...]
    roles: tuple[Role, ...] = ROLES
    wall: float | None = None
    seen: tuple[tuple[str, int, float, float], ...] = ()

    def policy(self) -> Policy:
        return compile_policy(self.surfaces, self.roles, INVENTORY, circumstances=self.circumstances())

    def circumstances(self) -> Circumstances:
        known = Circumstances(() if self.wall is None else HOURS, self.wall or 0.0)
        known.watch((device, cell(number)) for device, number, _, _ in self.seen)
        for device, number, value, when in self.seen:
            known.observe(device, cell(number), value, when)
        return known

    def allows(self, probe: Probe, now: float = 0.0) -> bool:
        """By the reference evaluator."""
        return reference.allows(self.surfaces, self.roles, *probe, self.circumstances(), now)


# Sampled with weights: questions without an answer in the policy are the easy ones.
SPEAKERS = ("scada", "scada", "role:all", *NAMES)
ASKED = ("plc", "plc", "plc", "robot", "nowhere")


def some(names: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)


def target(verb: str, first: int, more: int, top: int | None) -> Target:
    return ToyTarget(verb, first, first + more, top)


def targets(*verbs: str) -> st.SearchStrategy[Target]:
    return st.builds(
        target, st.sampled_from(verbs), st.integers(0, 9), st.integers(0, 9), st.sampled_from([None, None, 1, 2])
    )


def zone(name: str, rules: list[Rule], nevers: list[Never], unsafe: bool) -> Surface:
    """The rules of a surface get its name, and names of their own."""
    return surface(
        *(replace(r, ref=replace(r.ref, surface=name, name=f"r{at}")) for at, r in enumerate(rules)),
        nevers=[replace(n, ref=replace(n.ref, surface=name, name=f"n{at}")) for at, n in enumerate(nevers)],
        name=name,
        members=PLCS,
        unsafe=unsafe,
    )


# Built once: a strategy that is made anew for each example costs more than the decisions that it feeds.
TARGETS = targets("read", "write")
PREDICATES = st.builds(
    seen,
    st.sampled_from(PLCS),
    st.integers(0, 1),
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([5.0, 60.0]),
)
SIGHTINGS = st.lists(
    st.tuples(
        st.sampled_from(PLCS), st.integers(0, 1), st.sampled_from([0.0, 1.0]), st.sampled_from([-7.0, -5.0, 0.0])
    ),
    max_size=6,
).map(lambda some: tuple(sorted(some, key=lambda one: one[3])))
RULES = st.builds(
    lambda speakers, goals, to, needs, rate, when, whilst: rule(
        "", speakers, *goals, to=to, needs=needs, rate=rate, when=when, whilst=whilst
    ),
    some(SPEAKERS),
    st.lists(TARGETS, min_size=1, max_size=2),
    some(PLCS),
    st.sampled_from([(), (), ("x509",), ("x509", "mac_ip")]),
    st.sampled_from([None, None, PLENTY]),
    st.sampled_from([(), (), (), ("early",), ("late", "early"), ("tea",)]),
    st.just([]) | st.lists(PREDICATES, max_size=2),
)
NEVERS = st.builds(
    lambda goals, speakers, to: never("", *goals, speakers=speakers, to=to),
    st.lists(targets("read", "write", "any"), min_size=1, max_size=1),
    st.none() | some(NAMES),
    some(PLCS),
)
ZONES = st.tuples(st.lists(RULES, min_size=1, max_size=5), st.just([]) | st.lists(NEVERS, max_size=2), st.booleans())
PLANTS = st.builds(
    lambda zones, wall, seen: Plant(
        tuple(zone(f"zone-{at}", *parts) for at, parts in enumerate(zones)), wall=wall, seen=seen
    ),
    st.lists(ZONES, min_size=1, max_size=2),
    st.sampled_from([0.0, 120.0, 170.0, 250.0]),
    SIGHTINGS,
)
PRINCIPALS = st.builds(
    lambda id, kinds, attributes: who(id, *kinds, attributes=attributes),
    st.sampled_from(["scada", "scada", *PEOPLE, None, "stranger", "role:masters"]),
    st.sampled_from([("x509", "mac_ip"), ("x509",), ("mac_ip",), ()]),
    st.sets(st.sampled_from(["mbaps:Operator", "mbaps:Viewer", "mbaps-null", "role:all", "scada"]), max_size=2),
)
ACTIONS = st.builds(
    lambda verb, first, values: ToyAction(verb, first, tuple(values)),
    st.sampled_from(["read", "read", "write", "write", "other"]),
    st.integers(0, 12),
    st.lists(st.sampled_from([0, 0, 0, 1, 2, 3]), min_size=1, max_size=4),
)
PROBES = st.builds(Probe, PRINCIPALS, st.sampled_from(ASKED), ACTIONS)


class Aim(NamedTuple):
    """A question close to some rule: by one of its speakers, about cells near one of its targets."""

    rule: int
    near: int
    kinds: tuple[str, ...]
    values: list[int]

    def at(self, plant: Plant) -> Probe:
        every = [rule for zone in plant.surfaces for rule in zone.rules]
        rule = every[self.rule % len(every)]
        goal = rule.targets[self.rule % len(rule.targets)]
        assert isinstance(goal, ToyTarget)
        name = rule.speakers[self.rule % len(rule.speakers)]
        id = {"role:masters": "mes", "role:all": "hmi"}.get(name, name)
        principal = who(None, *self.kinds, attributes=[id]) if id.startswith("mbaps") else who(id, *self.kinds)
        return Probe(principal, rule.devices[0], ToyAction(goal.verb, goal.first + self.near, tuple(self.values)))


AIMS = st.builds(
    Aim,
    st.integers(0, 9),
    st.sampled_from([0, 0, 1, -1, 2]),
    st.sampled_from([("x509", "mac_ip"), ("x509",), ("mac_ip",)]),
    st.lists(st.sampled_from([0, 0, 1, 2]), min_size=1, max_size=3),
)
QUESTIONS = st.builds(
    lambda plant, aims, others: (plant, [aim.at(plant) for aim in aims] + others),
    PLANTS,
    st.lists(AIMS, min_size=1, max_size=3),
    st.lists(PROBES, max_size=2),
)
"""A plant, and what is asked of it."""


def answers(policy: Policy, plain: Plain, plant: Plant, probe: Probe) -> tuple[bool, bool, bool]:
    """By the index, by Casbin's plain `enforce`, by the reference evaluator."""
    authority = policy.open(probe.principal, probe.device, probe.action.protocol)
    return (
        authority.decide(probe.action, 0.0).allowed,
        plain.allows(probe.principal, probe.device, probe.action),
        plant.allows(probe),
    )
