"""What is wrong with a policy though every line of it is valid: rules without effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.policy.cases import run_tests
from proxy.policy.finding import ERROR, WARNING, Finding, warn
from proxy.policy.lacking import nameless, unprovable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from proxy.core.action import Target
    from proxy.core.inventory import Device
    from proxy.core.surface import Never, Role, Rule, Surface

__all__ = ["ERROR", "WARNING", "Finding", "lint", "run_tests"]

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

    All are warnings: a rule that cannot allow is no danger, but somebody believes that it does.
    """
    found: list[Finding] = []
    nevers: dict[str, list[Never]] = {}
    for never in (never for surface in surfaces for never in surface.nevers):
        for device in never.devices:
            nevers.setdefault(device, []).append(never)
    for surface in surfaces:
        known = _Clauses(surface)
        for rule in surface.rules:
            found += _hidden(rule, nevers.get(rule.devices[0], ()))
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


def _hidden(rule: Rule, nevers: Sequence[Never]) -> Iterator[Finding]:
    about = [n for n in nevers if n.speakers is None or {*rule.speakers} <= {*n.speakers}]
    for target in _written(rule):
        hiding = [
            next((n for n in about if device in n.devices and any(within(target, t) for t in n.targets)), None)
            for device in rule.devices
        ]
        if (first := hiding[0]) is not None and all(hiding):
            yield warn(
                rule,
                f"{target.describe()} can never be allowed: never {first.ref.name} ({first.ref.origin}) forbids it",
                "narrow one of the two",
            )


def _written(rule: Rule) -> list[Target]:
    """Without what a line of the rule brings along (who may subscribe may receive): nobody can delete that alone."""
    return [target for target in rule.targets if not getattr(target, "implied", False)]


class _Clauses:
    """The rules and targets of a surface, found by speaker or by device: whichever list is shorter is walked."""

    def __init__(self, surface: Surface) -> None:
        self._by_speaker: dict[str, list[tuple[Rule, Target]]] = {}
        self._by_device: dict[str, list[tuple[Rule, Target]]] = {}
        for rule in surface.rules:
            for target in rule.targets:
                for speaker in rule.speakers:
                    self._by_speaker.setdefault(speaker, []).append((rule, target))
                for device in rule.devices:
                    self._by_device.setdefault(device, []).append((rule, target))

    def wider(self, rule: Rule, target: Target) -> Iterator[Rule]:
        """The rules that allow all that this target of ``rule`` does, to whom it does, where it does, for no more
        evidence. Of two alike only the later one is told of the earlier."""
        speakers, devices = {*rule.speakers}, {*rule.devices}
        lists = self._by_speaker[rule.speakers[0]], self._by_device[rule.devices[0]]
        seen_self = False
        for other, goal in min(lists, key=len):
            if goal is target and other is rule:
                seen_self = True
            elif (
                (goal.protocol, goal.verb) == (target.protocol, target.verb)
                and speakers <= {*other.speakers}
                and devices <= {*other.devices}
                and other.needs <= rule.needs
                and (other.rate is None or other.rate == rule.rate)
                and within(target, goal)
                and not (seen_self and _alike(rule, target, other, goal))
            ):
                yield other


def _alike(rule: Rule, target: Target, other: Rule, goal: Target) -> bool:
    same = {*rule.speakers} == {*other.speakers} and {*rule.devices} == {*other.devices} and rule.needs == other.needs
    return same and rule.rate == other.rate and within(goal, target)


def _shadowed(rule: Rule, known: _Clauses) -> Iterator[Finding]:
    for target in _written(rule):
        wider = next(known.wider(rule, target), None)
        if wider is None:
            continue
        if rule.rate is not None and wider.rate is None:
            wrong = (
                f"the rate has no effect: {wider.ref.name} ({wider.ref.origin}) allows {target.describe()} without one"
            )
            yield warn(rule, wrong, f"give {wider.ref.name} the rate, or narrow it")
        elif wider is rule:
            yield warn(rule, f"{target.describe()} lies within another line of the same rule", "delete it")
        else:
            wrong = f"{target.describe()} adds nothing: {wider.ref.name} ({wider.ref.origin}) allows it already"
            yield warn(rule, wrong, "delete it, or narrow the other rule")


def _pointless(rule: Rule, pointless: Pointless) -> Iterator[Finding]:
    for target in _written(rule):
        said = [pointless(target, device) for device in rule.devices]
        if said and said[0] is not None and all(said):
            yield warn(rule, *said[0])
