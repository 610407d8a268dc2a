"""Rules as Casbin rows, made from validated objects only and kept in memory (threats.md 7.1).

A row is ``sub, dev, proto, verb, target, rule``. ``target`` is a key like ``setpoint#0`` that is looked up in a table;
what the target says never reaches Casbin.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import casbin

from proxy.policy.speaker import ROLE, subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.core.action import Target
    from proxy.core.surface import Role, Rule, Surface

MODEL = Path(__file__).with_name("model.conf").read_text("utf-8")

Row = list[str]
Place = tuple[str, int, int]
"""Surface by name, rule and target by number."""
SUBJECT, DEVICE, PROTOCOL, VERB, TARGET, RULE = range(6)


class Clause:
    """One target of one rule: what a row refers to."""

    __slots__ = ("key", "place", "rule", "surface", "target")

    def __init__(self, surface: Surface, rule: Rule, number: int, place: Place) -> None:
        self.surface = surface
        self.rule = rule
        self.target: Target = rule.targets[number]
        self.key = f"{rule.ref.name}#{number}"
        self.place = place
        """The order in which rules contribute and are reported."""

    def rows(self, device: str, subjects: Iterable[str] | None = None) -> Iterator[Row]:
        """One for each speaker of the rule, or for each of ``subjects``, which are some of them."""
        target = self.target
        for one in map(subject, self.rule.speakers) if subjects is None else subjects:
            yield [one, device, target.protocol, target.verb, self.key, self.rule.ref.name]


def clauses(surface: Surface, places: Iterable[int]) -> Iterator[Clause]:
    """Those of the rules that stand at ``places`` of the surface."""
    for at in places:
        rule = surface.rules[at]
        for number in range(len(rule.targets)):
            yield Clause(surface, rule, number, (surface.name, at, number))


def links(roles: Iterable[Role]) -> list[Row]:
    """Casbin's `g` rows: member, role."""
    return [[subject(member), f"{ROLE}{role.name}"] for role in roles for member in role.members]


def enforcer(rows: list[Row], members: list[Row] | None = None) -> Any:
    """A Casbin enforcer over ``rows``, with a role graph from ``members`` if there are any.

    The rows are put in place directly: `add_policies` compares each with all others (quadratic), and every adapter
    goes through a parser or a deep copy. Casbin finds a row of a wrong length only when it judges, so lengths are
    checked here.
    """
    if any(len(row) != RULE + 1 or "" in row for row in rows):
        raise ValueError("a policy row is incomplete")
    model = casbin.Enforcer.new_model(text=MODEL)
    made = casbin.Enforcer(model)
    model["p"]["p"].policy = rows
    if members is not None:
        model["g"]["g"].policy = members
        made.build_role_links()
    return made
