"""What is shown as Casbin rows is never more than what is allowed: a real Casbin is asked, as an editor would be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import casbin
import pytest
from casbin.persist.adapter import load_policy_line
from hypothesis import given, settings

from proxy.core.inventory import Device
from proxy.core.surface import Rate, Role, Surface
from proxy.policy.compile import compile_policy
from proxy.policy.editor import ALWAYS, MODEL, Row, members, rows
from proxy.protocols.mqtt.spec import PROTOCOL as MQTT
from tests.policy.probes import INVENTORY, PLANTS, Plant
from tests.policy.toy import ToyAction, ToyTarget, devices, never, origin, reads, role, rule, surface, who, writes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proxy.core.action import Target

SITE = devices("plc", "scada", "mes", "hmi")


def editor(lines: Sequence[str]) -> Any:
    """Casbin as an editor has it: the model's text, and each row read by Casbin's own reader of files."""
    made = casbin.Enforcer(casbin.Enforcer.new_model(text=MODEL))
    for line in lines:
        load_policy_line(line, made.get_model())
    made.build_role_links()
    return made


def shown(
    *surfaces: Surface, roles: Sequence[Role] = (), inventory: Mapping[str, Device] = SITE
) -> tuple[list[Row], Any]:
    found = rows(surfaces, roles, inventory)
    return found, editor([*map(str, found), *members(roles)])


def asked(casbin: Any, sub: str, act: str, cond: str = ALWAYS, dev: str = "plc", proto: str = "toy") -> bool:
    allowed: bool = casbin.enforce(sub, dev, proto, act, cond)
    return allowed


def inside(target: ToyTarget) -> Iterator[ToyAction]:
    """All of it at once, and each cell alone, with the largest value that it takes."""
    top = 0 if target.top is None else target.top
    yield ToyAction(target.verb, target.first, (top,) * (target.last - target.first + 1))
    for cell in range(target.first, target.last + 1):
        yield ToyAction(target.verb, cell, (top,))


@given(PLANTS)
@settings(max_examples=40, deadline=None)
def test_what_an_editor_allows_the_gateway_allows(plant: Plant) -> None:
    policy = compile_policy(plant.surfaces, plant.roles, INVENTORY)
    found, casbin = shown(*plant.surfaces, roles=plant.roles, inventory=INVENTORY)
    texts = {t.describe(): t for s in plant.surfaces for r in s.rules for t in r.targets if isinstance(t, ToyTarget)}
    for row in found:
        for sub, principal in (
            *((f"id:{name}", who(name)) for name in ("scada", "mes", "hmi")),
            ("attribute:mbaps:Operator", who(None, attributes=["mbaps:Operator"])),
            ("attribute:mbaps-null", who(None, attributes=["mbaps-null"])),
        ):
            if not asked(casbin, sub, row.act, dev=row.dev):
                continue
            authority = policy.open(principal, row.dev, "toy")
            for action in inside(texts[row.act]):
                assert authority.decide(action, 0.0).allowed, (row, sub, action)


@given(PLANTS)
@settings(max_examples=40, deadline=None)
def test_who_states_the_conditions_is_not_told_more_either(plant: Plant) -> None:
    policy = compile_policy(plant.surfaces, plant.roles, INVENTORY)
    found, casbin = shown(*plant.surfaces, roles=plant.roles, inventory=INVENTORY)
    texts = {t.describe(): t for s in plant.surfaces for r in s.rules for t in r.targets if isinstance(t, ToyTarget)}
    for row in (row for row in found if row.eft == "allow" and row.sub.startswith("id:")):
        if all(part.startswith(("shows", "at most 1000000", ALWAYS)) for part in row.cond.split("; ")):
            authority = policy.open(who(row.sub.removeprefix("id:"), "x509", "mac_ip"), row.dev, "toy")
            if asked(casbin, row.sub, row.act, row.cond, row.dev):
                assert all(authority.decide(action, 0.0).allowed for action in inside(texts[row.act])), row


def test_a_row_without_conditions_answers_and_one_with_them_wants_them_stated() -> None:
    free = rule("free", ["scada"], reads(0, 9))
    bound = rule("bound", ["mes"], writes(0, 9), needs=["x509"], rate=Rate(6, 60.0), when=["early"])
    found, casbin = shown(surface(free, bound))
    assert [row.cond for row in found] == [ALWAYS, "shows x509; in early; at most 6 in 60 s each; shows proof of a key"]
    assert asked(casbin, "id:scada", "read cell 0-9")
    assert not asked(casbin, "id:mes", "write cell 0-9")
    assert asked(casbin, "id:mes", "write cell 0-9", found[1].cond)
    assert not asked(casbin, "id:mes", "write cell 0-9", "shows x509")


def test_roles_hold_and_what_a_never_touches_is_not_allowed_as_a_whole() -> None:
    zone = surface(
        rule("all", ["role:crew"], reads(0, 9), reads(20, 29)),
        nevers=[never("n", reads(5, 5), speakers=["mes"])],
    )
    found, casbin = shown(zone, roles=(role("crew", "scada", "mes"),))
    assert {str(row) for row in found if row.eft == "deny"} == {
        "p, id:mes, plc, toy, read cell 5-5, *, cell/n, deny",
        "p, id:mes, plc, toy, read cell 0-9, *, cell/n, deny",
    }
    assert asked(casbin, "id:scada", "read cell 0-9")
    assert not asked(casbin, "id:mes", "read cell 0-9")
    assert asked(casbin, "id:mes", "read cell 20-29")


def test_one_surface_alone_is_shown_with_the_nevers_of_all() -> None:
    zone = surface(rule("all", ["scada"], reads(0, 9)))
    forbids = surface(name="no", nevers=[never("n", reads(5, 5), surface="no")])
    found = rows((zone, forbids), (), SITE, ["cell"])
    assert [row.eft for row in found] == ["allow", "deny", "deny"]
    assert [row.rule for row in rows((zone, forbids), (), SITE, ["no"])] == ["no/n"]


@pytest.mark.parametrize("name", ["mbaps:a, b", 'mbaps:"x"', "mbaps:a)", "mbaps:[", "mbaps:50%2C", "mbaps:a\\b"])
def test_no_text_breaks_a_row(name: str) -> None:
    """Casbin's reader takes brackets and commas apart, and a row of another length means something else to it."""
    found, casbin = shown(surface(rule("r", [name], reads(0, 9))))
    (loaded,) = casbin.get_policy()
    assert len(loaded) == len(Row._fields)
    assert asked(casbin, loaded[0], "read cell 0-9")
    others = {
        str(row)
        for other in ("mbaps:a", "mbaps:x")
        for row in rows((surface(rule("r", [other], reads(0, 9))),), (), SITE)
    }
    assert str(found[0]) not in others


def test_placeholders_are_filled_in_for_each_member() -> None:
    targets: tuple[Target, ...] = MQTT.parse_rule({"publish": ["{place}/{device}/#"]}, lambda *_: None)
    inventory = {
        "uns": Device("uns", "broker", None, None, origin(1)),
        "one": Device("one", "sensor", "hall/a", None, origin(1)),
        "two": Device("two", "sensor", "hall/b", None, origin(1)),
    }
    zone = surface(rule("t", ["role:sensors", "mbaps:X"], *targets, to=["uns"]), members=["uns"])
    found = rows((zone,), (role("sensors", "one", "two"),), inventory)
    acts = {(row.sub, row.act) for row in found if row.act.startswith("publish")}
    assert acts == {("id:one", "publish hall/a/one/#"), ("id:two", "publish hall/b/two/#")}
