"""From flows that were seen to the fewest rules that allow them, for a person to read.

What a flow asked for is not what it should be allowed to ask for: whoever was in the plant while flows were recorded
is among the speakers. So what acts is proposed commented out, and a window in which somebody lied grants nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from proxy.core.reason import Reason
from proxy.policy.extent import Nearby
from proxy.policy.speaker import MBAPS, ROLE

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.inventory import Device
    from proxy.core.names import Names
    from proxy.core.surface import Role
    from proxy.policy.backtest import Past

PATTERN_FROM = 3
"""Speakers with one beginning, from which a pattern reads better than a list."""
_NO_VERBS = ("units", "connect", "qos", "max_bytes")


class Proposal(Protocol):
    """See `proxy.protocols.base.Proposal`."""

    @property
    def section(self) -> Mapping[str, object]: ...
    @property
    def acts(self) -> bool: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


class Grammar(NamedTuple):
    """What a protocol brings: see `learn` and `parse_rule` of `proxy.protocols.base.ProtocolSpec`."""

    learn: Callable[[Sequence[Action], Names], Iterable[Proposal]]
    parse: Callable[[object], tuple[Target, ...]]


@dataclass(frozen=True, slots=True)
class Learnt:
    """A proposed rule. ``speakers`` and ``from_`` are the same, one by one and as the rule says it. ``count``,
    ``first`` and ``last`` are of the messages that it is made from, ``evidence`` is what their speakers had shown."""

    name: str
    speakers: tuple[str, ...]
    from_: tuple[str, ...]
    devices: tuple[str, ...]
    protocol: str
    section: Mapping[str, object]
    acts: bool
    notes: tuple[str, ...]
    flows: tuple[str, ...]
    count: int
    first: float
    last: float
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Flows for which nothing is proposed, and why."""

    why: str
    flows: int
    messages: int


class _Key(NamedTuple):
    protocol: str
    section: str
    acts: bool


@dataclass(slots=True)
class _Need:
    """What one group of speakers asked of one device."""

    notes: dict[str, None] = field(default_factory=dict)
    past: dict[int, Past] = field(default_factory=dict)

    def add(self, other: _Need) -> None:
        self.notes |= other.notes
        self.past |= other.past


def learn(
    past: Iterable[Past], grammars: Mapping[str, Grammar], roles: Sequence[Role], devices: Mapping[str, Device]
) -> tuple[list[Learnt], list[LeftOut]]:
    """The rules, those that look first. The same flows give the same rules, in whatever order they come."""
    sorted_past = sorted(past, key=lambda one: (one.name, one.texts, one.first))
    asked, left = _by_speaker(sorted_past, grammars)
    needs: dict[tuple[str, _Key], dict[str, _Need]] = {}
    for (speaker, device, protocol), flows in sorted(asked.items()):
        for key, need in _needs(flows, grammars[protocol], protocol):
            needs.setdefault((device, key), {})[speaker] = need
    rules = []
    for (speakers, key), (where, need) in sorted(_merged(needs).items()):
        rules.append(_rule(speakers, tuple(sorted(where)), key, need, roles, devices))
    rules.sort(key=lambda rule: (rule.acts, rule.devices, rule.name))
    return _named(rules), left


def _by_speaker(
    past: Iterable[Past], grammars: Mapping[str, Grammar]
) -> tuple[dict[tuple[str, str, str], list[Past]], list[LeftOut]]:
    asked: dict[tuple[str, str, str], list[Past]] = {}
    left: dict[str, list[Past]] = {}
    for one in past:
        speaker = _speaker(one)
        if one.protocol not in grammars:
            left.setdefault(f"nothing here knows {one.protocol}", []).append(one)
        elif speaker is None:
            left.setdefault("nobody knows who spoke, so no rule can name them", []).append(one)
        elif one.code == Reason.NEVER_RULE.code:
            left.setdefault("a never rule forbids them", []).append(one)
        else:
            asked.setdefault((speaker, one.device, one.protocol), []).append(one)
    return asked, [LeftOut(why, len(some), sum(one.count for one in some)) for why, some in sorted(left.items())]


def _speaker(past: Past) -> str | None:
    """As a rule names them: the device, or the role that its certificate showed."""
    if past.principal.id is not None:
        return past.principal.id
    return next((one for one in sorted(past.principal.attributes) if one.startswith(MBAPS)), None)


def _needs(flows: Sequence[Past], grammar: Grammar, protocol: str) -> Iterable[tuple[_Key, _Need]]:
    names = flows[0].principal.names
    asked = [action for flow in flows for action in (*flow.low, *flow.high)]
    for proposal in grammar.learn(asked, names):
        targets = [target.bound(names) for target in grammar.parse(proposal.section)] if proposal.section else []
        near = Nearby([(target, target) for target in targets])
        made_from = {id(flow): flow for flow in flows if not targets or _touched(near, flow)}
        key = _Key(protocol, json.dumps(proposal.section), proposal.acts)
        yield key, _Need(dict.fromkeys(proposal.notes), made_from)


def _touched(near: Nearby[Target], flow: Past) -> bool:
    return any(target.covers(action) for action in (*flow.low, *flow.high) for target in near.to(action))


def _merged(
    needs: Mapping[tuple[str, _Key], Mapping[str, _Need]],
) -> dict[tuple[tuple[str, ...], _Key], tuple[list[str], _Need]]:
    """Speakers that need the same of a device share a rule, and so do devices of which the same speakers need the
    same."""
    found: dict[tuple[tuple[str, ...], _Key], tuple[list[str], _Need]] = {}
    for (device, key), speakers in needs.items():
        where, all_of_them = found.setdefault((tuple(sorted(speakers)), key), ([], _Need()))
        where.append(device)
        for speaker in sorted(speakers):
            all_of_them.add(speakers[speaker])
    return found


def _rule(
    speakers: tuple[str, ...],
    where: tuple[str, ...],
    key: _Key,
    need: _Need,
    roles: Sequence[Role],
    devices: Mapping[str, Device],
) -> Learnt:
    past = list(need.past.values())
    from_, note = _together(speakers, roles, devices)
    return Learnt(
        name="",
        speakers=speakers,
        from_=from_,
        devices=where,
        protocol=key.protocol,
        section=json.loads(key.section),
        acts=key.acts,
        notes=(*need.notes, *note),
        flows=tuple(sorted({one.name for one in past})),
        count=sum(one.count for one in past),
        first=min(one.first for one in past),
        last=max(one.last for one in past),
        evidence=tuple(sorted({kind for one in past for kind in one.principal.matched})),
    )


def _together(
    speakers: tuple[str, ...], roles: Sequence[Role], devices: Mapping[str, Device]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """One name for exactly these, if there is one: a role, or a pattern that no other device fits."""
    if len(speakers) > 1:
        for role in sorted(roles, key=lambda one: one.name):
            if {*role.members} == {*speakers}:
                return (f"{ROLE}{role.name}",), ()
    if len(speakers) >= PATTERN_FROM:
        beginning = _beginning(speakers)
        if beginning and {name for name in devices if name.startswith(beginning)} == {*speakers}:
            note = f"{beginning}* is these {len(speakers)} today; a device that gets such a name later is meant as well"
            return (f"{beginning}*",), (note,)
    return speakers, ()


def _beginning(names: Sequence[str]) -> str:
    """What all begin with, up to the last sign that parts words."""
    first, last = min(names), max(names)
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[: max(first.rfind(sign, 0, same) for sign in "-_.") + 1]


def _named(rules: Iterable[Learnt]) -> list[Learnt]:
    taken: set[str] = set()
    found = []
    for rule in rules:
        verb = next((key for key in rule.section if key not in _NO_VERBS), next(iter(rule.section), "nothing"))
        words = f"{rule.from_[0]}{'-and-more' if len(rule.from_) > 1 else ''}-{verb}".removeprefix(ROLE)
        base = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:56]
        name = next(one for n in range(1, len(taken) + 2) if (one := base if n == 1 else f"{base}-{n}") not in taken)
        taken.add(name)
        found.append(replace(rule, name=name))
    return found
