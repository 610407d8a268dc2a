"""Which rules begin with what others spent: a limit that was renamed, rewritten or replaced is not a fresh one.

`proxy.policy.heirs` tells a comparison which rule limits what another did, so that nobody has to acknowledge it. This
is wider on purpose: what the comparison passes over in silence must not refill a budget (T53, T70).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.core.origin import Origin, RuleRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from proxy.core.surface import Rule, Surface

_NOWHERE = RuleRef("", "", Origin("", 1))


def succession(old: Iterable[Surface], new: Iterable[Surface]) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """(surface, rule with a limit that is gone) -> its successors: the rules of the surface that are new or say
    something else now, with a limit as well; one that says exactly the same, or all that share a speaker and a device
    with it."""
    before = {surface.name: surface for surface in old}
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for surface in new:
        was = before.get(surface.name)
        if was is not None and was is not surface:
            found.update(((surface.name, name), heirs) for name, heirs in _within(was, surface))
    return found


def _within(old: Surface, new: Surface) -> Iterator[tuple[str, tuple[str, ...]]]:
    names = {rule.ref.name for rule in new.rules}
    gone = [rule for rule in old.rules if _limited(rule) and rule.ref.name not in names]
    if not gone:
        return
    same = {rule.ref.name: _said(rule) for rule in old.rules}
    fresh = [rule for rule in new.rules if _limited(rule) and same.get(rule.ref.name) != _said(rule)]
    exact: dict[Rule, list[str]] = {}
    for rule in fresh:
        exact.setdefault(_said(rule), []).append(rule.ref.name)
    parties = [(rule.ref.name, frozenset(rule.speakers), frozenset(rule.devices)) for rule in fresh]
    for rule in gone:
        alike = exact.get(_said(rule))
        shared = (
            name
            for name, speakers, devices in parties
            if not speakers.isdisjoint(rule.speakers) and not devices.isdisjoint(rule.devices)
        )
        yield rule.ref.name, tuple(alike) if alike else tuple(shared)


def _limited(rule: Rule) -> bool:
    return rule.rate is not None or rule.budget is not None


def _said(rule: Rule) -> Rule:
    """Without its name, and where it stands."""
    return replace(rule, ref=_NOWHERE)
