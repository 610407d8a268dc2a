"""What is wrong with a policy though every line of it is valid: rules without effect, rules that a never forbids."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.policy.contradiction import Contradictions
from proxy.policy.extent import Nearby
from proxy.policy.finding import ERROR, WARNING, Finding, warn
from proxy.policy.lacking import nameless, unprovable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from proxy.core.action import Target
    from proxy.core.inventory import Device
    from proxy.core.surface import Role, Rule, Surface

__all__ = ["ERROR", "WARNING", "Finding", "lint"]

Pointless = Callable[["Target", str], "tuple[str, str] | None"]
"""Why a target comes to nothing at a device by the protocol's own word, and how to mend it."""


def lint(
    surfaces: Sequence[Surface],
    roles: Sequence[Role],
    devices: Mapping[str, Device],
    secured: Collection[str] | None = None,
    pointless: Pointless | None = None,
) -> list[Finding]:
    """Rules that never come to anything. ``secured``: the devices that some TLS listener leads to (None: not known).

    A rule that a never forbids is an error, wholly or in part: somebody reads the one and somebody else the other. The
    rest are warnings: a rule that cannot allow is no danger, but somebody believes that it does.
    """
    found: list[Finding] = []
    contradictions = Contradictions(surfaces, roles, devices)
    for surface in surfaces:
        known = _Clauses(surface)
        for rule in surface.rules:
            found += contradictions.of(surface, rule)
            found += _shadowed(rule, known)
            found += unprovable(surface, rule, roles, devices, secured)
            found += nameless(rule, roles, devices)
            found += () if pointless is None else _pointless(rule, pointless)
    return found


def within(inner: Target, outer: Target) -> bool:
    """Everything that ``inner`` admits, ``outer`` admits too. Targets that cannot say so are compared as text."""
    ask = getattr(inner, "within", None)
    if ask is not None:
        return bool(ask(outer))
    return inner.protocol == outer.protocol and inner.describe() == outer.describe()


def _written(rule: Rule) -> list[Target]:
    """Without what a line of the rule brings along (who may subscribe may receive): nobody can delete that alone."""
    return [target for target in rule.targets if not getattr(target, "implied", False)]


class _Clauses:
    """The rules and targets of a surface, found by speaker or by device: whichever list is shorter is looked through,
    near the place that is asked about, for a rule may list thousands of registers."""

    def __init__(self, surface: Surface) -> None:
        self._lists: dict[tuple[int, str, str, str], list[tuple[Rule, Target]]] = {}
        self._near: dict[int, Nearby[tuple[Rule, Target]]] = {}
        for rule in surface.rules:
            for target in rule.targets:
                for kind, names in enumerate((rule.speakers, rule.devices)):
                    for name in names:
                        key = kind, name, target.protocol, target.verb
                        self._lists.setdefault(key, []).append((rule, target))

    def wider(self, rule: Rule, target: Target) -> Iterator[tuple[Rule, Target]]:
        """The rules that allow all that this target of ``rule`` does, to whom it does, where it does, on no harder
        terms. Of two alike only the later one is told of the earlier."""
        speakers, devices = {*rule.speakers}, {*rule.devices}
        both = (0, rule.speakers[0]), (1, rule.devices[0])
        lists = (self._lists[kind, name, target.protocol, target.verb] for kind, name in both)
        seen_self = False
        for other, goal in self._nearby(min(lists, key=len), target):
            if goal is target and other is rule:
                seen_self = True
            elif (
                speakers <= {*other.speakers}
                and devices <= {*other.devices}
                and _as_free(other, rule)
                and within(target, goal)
                and not (seen_self and _alike(rule, target, other, goal))
            ):
                yield other, goal

    def _nearby(self, some: list[tuple[Rule, Target]], target: Target) -> Sequence[tuple[Rule, Target]]:
        near = self._near.get(id(some))
        if near is None:
            near = self._near[id(some)] = Nearby([(one, one[1]) for one in some])
        return near.of(getattr(target, "extent", None))


def _as_free(other: Rule, rule: Rule) -> bool:
    """``other`` asks for no more, holds whenever ``rule`` does, and counts nothing that ``rule`` does not."""
    if other is rule:
        return True
    return (
        other.monitor is None
        and rule.monitor is None
        and other.needs <= rule.needs
        and other.rate is None
        and other.budget is None
        and (not other.when or (bool(rule.when) and {*rule.when} <= {*other.when}))
        and {*other.whilst} <= {*rule.whilst}
    )


def _alike(rule: Rule, target: Target, other: Rule, goal: Target) -> bool:
    same = {*rule.speakers} == {*other.speakers} and {*rule.devices} == {*other.devices}
    return same and _as_free(rule, other) and within(goal, target)


def _shadowed(rule: Rule, known: _Clauses) -> Iterator[Finding]:
    for target in _written(rule):
        wider, goal = next(known.wider(rule, target), (None, target))
        if wider is None:
            continue
        where = f"{wider.ref.name} ({wider.ref.origin})"
        if wider is rule:
            yield warn(rule, f"{target.describe()} lies within another line of the same rule", "delete it")
        elif getattr(goal, "implied", False):
            # Deleting it would be the wrong way: who pins a client id wants it pinned in the other rule too.
            wrong = f"{target.describe()} adds nothing: {where} brings along {goal.describe()}"
            yield warn(rule, wrong, f"write it in {wider.ref.name} as well, or delete it")
        elif rule.rate is not None or rule.budget is not None:
            limit = "rate" if rule.rate is not None else "budget"
            wrong = f"the {limit} has no effect: {where} allows {target.describe()} without one"
            yield warn(rule, wrong, f"give {wider.ref.name} the {limit}, or narrow it")
        else:
            wrong = f"{target.describe()} adds nothing: {where} allows it already"
            yield warn(rule, wrong, "delete it, or narrow the other rule")


def _pointless(rule: Rule, pointless: Pointless) -> Iterator[Finding]:
    told = set()
    for target in _written(rule):
        said = [pointless(target, device) for device in rule.devices]
        if said and said[0] is not None and all(said) and said[0] not in told:
            told.add(said[0])
            yield warn(rule, *said[0])
