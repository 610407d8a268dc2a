"""A policy made from the one before it: what it keeps, what it forgets, and that it answers as if made from nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.origin import Origin
from proxy.core.reason import Reason
from proxy.core.surface import Monitor, Rate, Surface
from proxy.policy.compile import Policy, PolicyError, compile_policy
from proxy.policy.zone import Ahead
from tests.policy.probes import ASKED, INVENTORY, PROBES, ROLES, ZONES, Probe, zone
from tests.policy.toy import devices, never, origin, read, reads, role, rule, surface, who, write, writes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.core.inventory import Device
    from proxy.core.surface import Role
    from proxy.policy.zone import Zone


class Plan(NamedTuple):
    surfaces: tuple[Surface, ...]
    roles: tuple[Role, ...]
    devices: Mapping[str, Device]
    hours: tuple[Shift, ...] = ()


class Shift(NamedTuple):
    name: str
    text: str
    origin: Origin = Origin("policies/shifts/x.yaml", 1)

    def open_at(self, wall: float) -> bool:
        return True

    def next_change(self, wall: float) -> float | None:
        return None

    def describe(self) -> str:
        return self.text


def fresh(plan: Plan) -> Policy:
    return compile_policy(*plan)


def zones(policy: Policy) -> dict[str, Zone]:
    return {one.surface.name: one for one in policy._parts.zones}


def answers(policy: Policy, probe: Probe) -> list[object]:
    """Everything that an answer says, twice: the first may come from what was taken over."""
    authority = policy.open(probe.principal, probe.device, "toy")
    said = [authority.connect, authority.decide(probe.action, 0.0)]
    return [(v.rule, v.reason, v.reusable, v.detail, v.nearest, v.record_first) for v in said]


CREWS = st.lists(st.sampled_from(["scada", "mes", "hmi", "mbaps:Viewer"]), max_size=3, unique=True)
ROLE_SETS = st.builds(lambda one, two: (role("masters", *one), role("all", *two)), CREWS, CREWS)
PLACES = st.sampled_from([INVENTORY, INVENTORY, {**INVENTORY, "nowhere": devices("nowhere")["nowhere"]}])
PLANS = st.builds(
    lambda parts, roles, inventory: Plan(tuple(zone(name, *of) for name, of in parts.items()), roles, inventory),
    st.dictionaries(st.sampled_from("abcd"), ZONES, max_size=3),
    st.just(ROLES) | ROLE_SETS,
    PLACES,
)


class Step(NamedTuple):
    """Of the surfaces of ``next`` those in ``kept`` stay as they were, as the same object or as one alike."""

    next: Plan
    kept: frozenset[str]
    again: bool


STEPS = st.lists(st.builds(Step, PLANS, st.frozensets(st.sampled_from("abcd")), st.booleans()), min_size=1, max_size=4)


def marked(plan: Plan, mark: str) -> Plan:
    return plan._replace(surfaces=tuple(replace(one, mark=f"{mark}-{one.name}") for one in plan.surfaces))


def after(plan: Plan, step: Step, mark: str) -> Plan:
    """The plan that comes after ``plan``: some of its surfaces, and those of the step."""
    kept = {one.name: replace(one) if step.again else one for one in plan.surfaces if one.name in step.kept}
    new = {one.name: one for one in marked(step.next, mark).surfaces}
    return step.next._replace(surfaces=tuple((new | kept).values()))


@given(PLANS, STEPS, st.lists(PROBES, min_size=4, max_size=8))
@settings(max_examples=30, deadline=None)
def test_any_sequence_of_changes_answers_as_if_made_from_nothing(
    plan: Plan, steps: list[Step], asked: list[Probe]
) -> None:
    plan = marked(plan, "first")
    policy = fresh(plan)
    for number, step in enumerate(steps):
        before = policy, plan
        told = [answers(policy, probe) for probe in asked]  # and the memo has something to take over
        plan = after(plan, step, str(number))
        policy = policy.replaced(*plan)
        new = fresh(plan)
        assert policy.digest == new.digest
        for probe, was in zip(asked, told, strict=True):
            now = answers(policy, probe)
            assert now == answers(new, probe), probe
            stranger = probe.principal.id is None
            if now != was and not stranger:
                assert probe.device in policy.concerned(before[0]), "a live link would not be asked again"
        same = {one.name for one in before[1].surfaces} & step.kept
        for name in same:
            assert zones(policy)[name] is zones(before[0])[name]


TWO = (
    surface(rule("a", ["scada", "role:crew"], reads(0, 9), surface="one"), name="one"),
    surface(rule("b", ["mes"], reads(0, 9), surface="two", to=["robot"]), name="two", members=["robot"]),
)
PLACE = devices("plc", "robot", "press", "scada", "mes", "hmi")
PLAN = Plan(tuple(replace(one, mark=one.name) for one in TWO), (role("crew", "mes"),), PLACE)


def test_only_what_changed_is_compiled() -> None:
    old = fresh(PLAN)
    one, two = PLAN.surfaces
    new = old.replaced((replace(one), replace(two, mark="other")), *PLAN[1:])
    assert zones(new)["one"] is zones(old)["one"]
    assert zones(new)["one"].shards is zones(old)["one"].shards
    assert zones(new)["two"] is not zones(old)["two"]
    assert new.surfaces[0] is one, "and the copy of the surface is not kept"
    assert new.concerned(old) == {"robot"}
    assert (new.rates, new.faults, new.circumstances) == (old.rates, old.faults, old.circumstances)


def test_what_was_compiled_ahead_is_not_compiled_again() -> None:
    old = fresh(PLAN)
    one, two = PLAN.surfaces[0], replace(PLAN.surfaces[1], mark="other")
    ahead = Ahead(PLAN.roles, PLACE)
    ahead.add(two)
    new = old.replaced((one, two), *PLAN[1:3], (), ahead)
    assert zones(new)["two"] is ahead.holding(two)
    assert zones(new)["one"] is zones(old)["one"]
    assert new.digest == fresh(PLAN).digest
    assert new.concerned(old) == {"robot"}


def test_ahead_is_held_against_the_roles_and_devices_that_it_was_checked_with() -> None:
    old = fresh(PLAN._replace(surfaces=()))
    ahead = Ahead(PLAN.roles, PLACE)
    for one in PLAN.surfaces:
        ahead.add(one)
    with pytest.raises(PolicyError, match="there is no role:crew"):
        old.replaced(PLAN.surfaces, (), PLACE, (), ahead)
    with pytest.raises(PolicyError, match="'robot' is no device"):
        old.replaced(PLAN.surfaces, PLAN.roles, {name: PLACE[name] for name in ("plc", "scada", "mes")}, (), ahead)
    with pytest.raises(PolicyError, match="of another surface"):
        ahead.add(surface(rule("x", ["scada"], reads(0, 1)), name="x"))
    again = replace(PLAN.surfaces[0])
    assert zones(old.replaced((again,), *PLAN[1:3], (), ahead))["one"].surface is again, "another object, another zone"


def test_without_a_mark_only_the_same_object_is_the_same() -> None:
    plan = PLAN._replace(surfaces=TWO)
    old = fresh(plan)
    assert zones(old.replaced(*plan))["one"] is zones(old)["one"]
    assert zones(old.replaced((replace(TWO[0]), TWO[1]), *plan[1:]))["one"] is not zones(old)["one"]


def test_another_word_on_watching_is_another_surface() -> None:
    """What is enforced of the same text depends on the day."""
    old = fresh(PLAN)
    watched = replace(PLAN.surfaces[0], monitor=Monitor(1.0, "new", "enforce", origin(2)))
    new = old.replaced((watched, PLAN.surfaces[1]), *PLAN[1:])
    assert new.surfaces[0] is watched


def test_the_order_of_surfaces_does_not_shift_what_was_compiled() -> None:
    """A surface that comes earlier in the alphabet contributes earlier, and what was there keeps its place."""
    free = surface(rule("free", ["scada"], reads(0, 9), surface="m"), name="m")
    old = fresh(Plan((free,), (), PLACE))
    scada = who("scada", "x509")
    assert str(old.open(scada, "plc", "toy").decide(read(1), 0.0).rule) == "m/free"
    for name, wins in (("a", "a/other"), ("z", "m/free")):
        other = surface(rule("other", ["scada"], reads(0, 9), surface=name), name=name)
        new = old.replaced((other, free), (), PLACE)
        assert zones(new)["m"] is zones(old)["m"]
        assert str(new.open(scada, "plc", "toy").decide(read(1), 0.0).rule) == wins


def test_roles_alone_change_no_surface() -> None:
    old = fresh(PLAN)
    same = old.replaced(PLAN.surfaces, (replace(PLAN.roles[0], origin=origin(99)),), PLACE)
    assert same._parts.graph is old._parts.graph, "the same people"
    assert same.roles[0].origin.line == 99
    assert same.concerned(old) == frozenset()
    mes = who("mes", "x509")
    assert old.open(mes, "plc", "toy").connect.allowed
    new = old.replaced(PLAN.surfaces, (role("crew", "hmi"),), PLACE)
    assert zones(new) == zones(old)
    assert new.concerned(old) == {"plc"}
    assert not new.open(mes, "plc", "toy").connect.allowed
    assert new.open(who("hmi", "x509"), "plc", "toy").decide(read(1), 0.0).allowed
    assert old.open(mes, "plc", "toy").connect.allowed, "the old one goes on until it is let go"


def test_a_role_that_only_a_never_names_concerns_its_devices() -> None:
    forbids = surface(name="no", nevers=[never("n", reads(0, 9), speakers=["role:crew"], surface="no")])
    plan = PLAN._replace(surfaces=(*PLAN.surfaces[1:], forbids))
    old = fresh(plan)
    assert old.replaced(plan.surfaces, (role("crew", "hmi"),), PLACE).concerned(old) == {"plc"}


def test_an_authority_is_carried_over_unless_it_is_concerned() -> None:
    old = fresh(PLAN)
    scada, mes = who("scada", "x509"), who("mes", "x509")
    kept, dropped = old.open(scada, "plc", "toy"), old.open(mes, "robot", "toy")
    new = old.replaced((PLAN.surfaces[0], replace(PLAN.surfaces[1], mark="other")), *PLAN[1:])
    assert new.open(scada, "plc", "toy") is kept
    assert new.open(mes, "robot", "toy") is not dropped


def test_who_becomes_known_is_no_stranger_anywhere() -> None:
    """Carried over, the answer would still say that nobody knows who this is."""
    old = fresh(PLAN)
    operator = who(None, attributes=["mbaps:Operator"])
    assert old.open(operator, "plc", "toy").connect.reason is Reason.UNKNOWN_DEVICE
    more = surface(rule("c", ["mbaps:Operator"], reads(0, 9), surface="c", to=["press"]), name="c", members=["press"])
    new = old.replaced((*PLAN.surfaces, more), *PLAN[1:])
    assert new.open(operator, "plc", "toy").connect.reason is Reason.NO_CONNECT_RULE
    back = new.replaced(*PLAN)
    assert back.open(operator, "plc", "toy").connect.reason is Reason.UNKNOWN_DEVICE


def test_budgets_go_on() -> None:
    limited = rule("w", ["scada"], writes(0, 9), rate=Rate(1, 60.0), surface="one")
    old = fresh(PLAN._replace(surfaces=(surface(limited, name="one"),)))
    scada = who("scada", "x509")
    assert old.open(scada, "plc", "toy").decide(write(1, 1), 0.0).allowed
    new = old.replaced((surface(limited, name="one"),), *PLAN[1:])
    assert new.open(scada, "plc", "toy").decide(write(1, 1), 0.0).reason is Reason.RATE_SPENT


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (PLAN._replace(roles=()), "there is no role:crew"),
        (PLAN._replace(devices={name: PLACE[name] for name in ("plc", "scada", "mes")}), "'robot' is no device"),
        (PLAN._replace(surfaces=(*PLAN.surfaces, PLAN.surfaces[0])), "the surface 'one' is there twice"),
        (PLAN._replace(surfaces=(*PLAN.surfaces, surface(rule("x", ["scada"]), name="x"))), "of another surface"),
    ],
)
def test_what_a_change_breaks_elsewhere_is_found(change: Plan, complaint: str) -> None:
    """The surfaces that name a role or device are the same as before, and still not valid any more."""
    old = fresh(PLAN)
    with pytest.raises(PolicyError, match=complaint):
        old.replaced(*change)
    assert old.replaced(*PLAN).digest == old.digest, "and nothing of it sticks"


def test_a_refusal_that_names_the_device_itself_is_told_anew() -> None:
    old = fresh(PLAN)
    assert old.open(who("scada"), "press", "toy").connect.rule.origin == PLACE["press"].origin
    moved = {**PLACE, "press": replace(PLACE["press"], origin=Origin("fingerprints/devices/hall.yaml", 7))}
    new = old.replaced(PLAN.surfaces, PLAN.roles, moved)
    assert new.concerned(old) == {"press"}
    assert new.open(who("scada"), "press", "toy").connect.rule.origin.line == 7
    away = {name: device for name, device in PLACE.items() if name != "press"}
    assert old.replaced(PLAN.surfaces, PLAN.roles, away).concerned(old) == {"press"}


def test_other_hours_concern_those_who_keep_them() -> None:
    early = replace(rule("early", ["scada"], reads(0, 9), surface="e"), when=("early",))
    kept = surface(early, name="e")
    plan = Plan((*PLAN.surfaces, kept), PLAN.roles, PLACE, (Shift("early", "06:00"), Shift("late", "14:00")))
    old = fresh(plan)
    assert old.timed(["early"]) == {"plc"}
    assert old.timed(["late"]) == frozenset()
    new = old.replaced(*plan[:3], (Shift("early", "05:00"), Shift("late", "14:00")))
    assert new.concerned(old) == {"plc"}
    assert new.digest != old.digest
    assert old.replaced(*plan[:3], (*plan.hours, Shift("night", "22:00"))).concerned(old) == frozenset()


def test_what_is_let_go_stays_gone() -> None:
    old = fresh(PLAN)
    new = old.replaced((), (), PLACE)
    assert new.surfaces == ()
    assert new.concerned(old) == {"plc", "robot"}
    assert not any(new._parts.zones.at(device) for device in ASKED)
    assert new.digest == compile_policy((), (), PLACE).digest


def names(policies: Iterable[Policy]) -> set[str]:
    return {policy.digest for policy in policies}


def test_the_digest_does_not_depend_on_the_way_to_it() -> None:
    one, two = PLAN.surfaces
    old = fresh(PLAN)
    ways = [old.replaced((two, one), *PLAN[1:]), old.replaced((one,), *PLAN[1:]).replaced((one, two), *PLAN[1:])]
    assert names(ways) == {old.digest}
    assert fresh(PLAN._replace(surfaces=(one,))).digest != old.digest
