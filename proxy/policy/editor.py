"""The policy as a Casbin model and rows that any editor takes: for reading and asking, never for deciding.

What an editor answers from them is never more than what the gateway allows. The gateway's own rows are completed by
code: a guard for `never`, conditions, and how far a target goes. None of that reaches an editor, so here

- an act is the whole text of a target, and allowed means: all of it;
- `never` is deny rows: its own text, and the text of each act that it touches, which is not allowed as a whole then;
- a row with conditions answers only who states them: its ``cond`` is what the request must say, and ``*`` is always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from proxy.core.names import NOBODY, Names
from proxy.policy.shown import KEY, conditions, needs_key
from proxy.policy.speaker import ROLE, subject

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from proxy.core.action import Target
    from proxy.core.inventory import Device
    from proxy.core.surface import Never, Role, Rule, Surface

MODEL = """\
[request_definition]
r = sub, dev, proto, act, cond

[policy_definition]
p = sub, dev, proto, act, cond, rule, eft

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = (p.sub == "*" || g(r.sub, p.sub)) && r.dev == p.dev && r.proto == p.proto && r.act == p.act && \
(p.cond == "*" || r.cond == p.cond)
"""
ALWAYS = "*"
_ESCAPED = frozenset('%,[]()"\\')
"""What readers of such rows take apart, each in its own way."""


class Row(NamedTuple):
    """``sub`` of a deny row may be ``*``: anybody."""

    sub: str
    dev: str
    proto: str
    act: str
    cond: str
    rule: str
    eft: str

    def __str__(self) -> str:
        return ", ".join(["p", *map(cell, self)])


class _Allowed(NamedTuple):
    row: Row
    target: Target
    names: Names


def cell(text: str) -> str:
    """A value as it stands in a row: what would end or nest it is written as ``%2C``."""
    return "".join(f"%{ord(c):02X}" if c in _ESCAPED or not c.isprintable() else c for c in text)


def rows(
    surfaces: Sequence[Surface], roles: Sequence[Role], devices: Mapping[str, Device], only: Collection[str] = ()
) -> list[Row]:
    """The rows of what is enforced, in the order of the files: give it the surfaces without what is monitored.

    With ``only`` the rules of these surfaces alone, and every `never` of the site that is about the same devices.
    """
    members = {ROLE + role.name: role.members for role in roles}
    chosen = [surface for surface in surfaces if not only or surface.name in only]
    by_device: dict[str, list[_Allowed]] = {}
    for surface in chosen:
        for rule in surface.rules:
            for one in _allows(surface, rule, members, devices):
                by_device.setdefault(one.row.dev, []).append(one)
    denied: dict[Row, None] = {}
    for surface in surfaces:
        for never in surface.nevers:
            for device in never.devices if surface in chosen else filter(by_device.__contains__, never.devices):
                denied.update(dict.fromkeys(_denies(never, device, by_device.get(device, ()))))
    return [*dict.fromkeys(one.row for some in by_device.values() for one in some), *denied]


def members(roles: Iterable[Role]) -> list[str]:
    """`g` rows."""
    return [
        ", ".join(("g", cell(subject(member)), cell(ROLE + role.name))) for role in roles for member in role.members
    ]


def _allows(
    surface: Surface, rule: Rule, members: Mapping[str, Sequence[str]], devices: Mapping[str, Device]
) -> Iterator[_Allowed]:
    said = conditions(rule)
    for target in rule.targets:
        asked = "; ".join([*said, f"shows {KEY}"] if needs_key(surface, target) else said) or ALWAYS
        for speaker, goal, names in _bound(rule, target, members, devices):
            for device in rule.devices:
                row = Row(subject(speaker), device, goal.protocol, goal.describe(), asked, str(rule.ref), "allow")
                yield _Allowed(row, goal, names)


def _bound(
    rule: Rule, target: Target, members: Mapping[str, Sequence[str]], devices: Mapping[str, Device]
) -> Iterator[tuple[str, Target, Names]]:
    """A target with placeholders means something else for each member of a role, and nothing for whom no device is
    known of."""
    for speaker in rule.speakers:
        if target.bound(_PROBE) == target:
            yield speaker, target, NOBODY
            continue
        for name in members.get(speaker, (speaker,)):
            if name in devices:
                names = Names(name, devices[name].place)
                yield name, target.bound(names), names


def _denies(never: Never, device: str, allowed: Iterable[_Allowed]) -> Iterator[Row]:
    who = ["*"] if never.speakers is None else [subject(name) for name in never.speakers]
    for target in never.targets:
        acts = [target.describe(), *(one.row.act for one in allowed if _touches(target.bound(one.names), one.target))]
        for act in dict.fromkeys(acts):
            yield from (Row(sub, device, target.protocol, act, ALWAYS, str(never.ref), "deny") for sub in who)


def _touches(never: Target, allowed: Target) -> bool:
    if never.protocol != allowed.protocol:
        return False
    return allowed.overlaps(never) or allowed.within(never) or never.within(allowed)


_PROBE = Names("device", "place")
