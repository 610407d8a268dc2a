"""What one side of a comparison allows (or forbids) that the other does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.core.names import NOBODY
from proxy.policy.access import ANYBODY, Clause, Side, depends_on_names, place
from proxy.policy.entry import Gain
from proxy.policy.speaker import MBAPS, NULL_ROLE
from proxy.policy.terms import Terms, as_loose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from proxy.core.action import Target

Targets = tuple["Target", ...]
Beyond = Callable[[str, Targets, Targets], Targets]
"""`ProtocolSpec.beyond` of a protocol."""
SHOWN = 3
"""Of what held before, lines that an entry shows."""


class Gains:
    """``new`` has them, ``old`` has not. ``guards`` are the prohibitions on the side of ``new``: what they hide
    is no gain."""

    def __init__(self, new: Side, old: Side, beyond: Beyond, guards: Side | None = None) -> None:
        self._new = new
        self._old = old
        self._beyond = beyond
        self._guards = guards
        self._known: dict[tuple[str, Targets, Targets], Targets] = {}
        devices, others = new.plan.devices, old.plan.devices
        self._moved = frozenset(
            one for one in devices if one not in others or place(devices[one]) != place(others[one])
        )
        self._renamed: dict[str, Mapping[str, str]] = {}

    def of(self, surfaces: Iterable[str]) -> Iterator[Gain]:
        for surface in surfaces:
            earlier = self._old.clauses(surface)
            for clause in self._new.clauses(surface).values():
                twin = earlier.get(clause.ref.name)
                same = twin is not None and twin.meaning == clause.meaning
                fresh = clause.speakers - (twin.speakers if twin is not None and same else frozenset())
                for speaker in fresh:
                    via = self._via(clause, speaker) if same else ""
                    for device in clause.devices:
                        yield from self._at(clause, speaker, device, via)
                named = clause._replace(targets=tuple(filter(depends_on_names, clause.targets)))
                for speaker in self._elsewhere(named, fresh):
                    for device in clause.devices:
                        yield from self._at(named, speaker, device, "")

    def _elsewhere(self, clause: Clause, fresh: frozenset[str]) -> Iterator[str]:
        """Who has another place now, and so other topics. A role in a certificate is shown by devices too."""
        if not self._moved or not clause.targets:
            return
        for one in clause.speakers:
            if one == ANYBODY:
                yield from self._moved
            elif one in self._moved and one not in fresh:
                yield one
            elif one.startswith(MBAPS) or one == NULL_ROLE:
                yield from (f"{device}+{one}" for device in self._moved)

    def _via(self, clause: Clause, speaker: str) -> str:
        """The rule is as it was, so its speaker is new in a role."""
        for name in clause.written:
            if speaker in self._new.members.get(name, ()):
                return f" (new in {name})"
        return ""

    def _at(self, clause: Clause, speaker: str, device: str, via: str) -> Iterator[Gain]:
        olds = [one for alias in _aliases(speaker) for one in self._old.at(device, alias)]
        for protocol in dict.fromkeys(target.protocol for target in clause.targets):
            told: dict[Targets, list[Terms]] = {}
            for terms in clause.terms.single():
                left = self._left(clause, terms, speaker, protocol, olds)
                if left := self._in_effect(left, speaker, device):
                    told.setdefault(left, []).append(terms)
            for left, some in told.items():
                hours = tuple(hour for terms in some for hour in terms.hours)
                text = _told(clause.terms._replace(hours=hours), left)
                shown = self._as_written(left, clause, speaker)
                before = self._before(left, clause, speaker, olds, text)
                yield Gain(clause.ref, protocol, shown, text, before, via, not olds, speaker, device)

    def _left(self, clause: Clause, terms: Terms, speaker: str, protocol: str, olds: Iterable[Clause]) -> Targets:
        found: Targets = ()
        for changes in (None,) if self._new.nevers else (False, True):
            mine = self._new.bound(clause.about(protocol, changes=changes), speaker)
            if mine:
                others = tuple(
                    target
                    for old in olds
                    if as_loose(old.terms, terms, changes=changes is True, paired=self._paired(old, clause))
                    for target in self._old.bound(old.about(protocol, changes=changes), speaker)
                )
                found += self._compared(protocol, mine, others)
        return found

    def _compared(self, protocol: str, mine: Targets, others: Targets) -> Targets:
        key = protocol, mine, others
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._beyond(protocol, mine, others)
        return known

    def _paired(self, old: Clause, new: Clause) -> bool:
        """They are one rule, under the same name or under a new one."""
        if old.ref.surface != new.ref.surface or not old.terms.limited:
            return not old.terms.limited
        return old.ref.name == self._names_before(new.ref.surface).get(new.ref.name, new.ref.name)

    def _names_before(self, surface: str) -> Mapping[str, str]:
        known = self._renamed.get(surface)
        if known is None:
            new, old = self._new.clauses(surface), self._old.clauses(surface)
            gone = {clause.meaning: name for name, clause in old.items() if name not in new}
            known = {
                name: gone.pop(clause.meaning)
                for name, clause in new.items()
                if name not in old and clause.meaning in gone
            }
            self._renamed[surface] = known
        return known

    def _in_effect(self, left: Targets, speaker: str, device: str) -> Targets:
        """Without what a never on the same side forbids anyway."""
        if self._guards is None or not left:
            return left
        guards = [
            goal
            for alias in _aliases(speaker)
            for clause in self._guards.at(device, alias)
            if not clause.terms.since
            for goal in self._guards.bound(clause.targets, speaker)
        ]
        return tuple(target for target in left if not any(target.within(goal) for goal in guards))

    def _as_written(self, left: Targets, clause: Clause, speaker: str) -> Targets:
        """A whole line of the rule is shown as it stands there, so that many speakers share one entry."""
        names = self._new.names(speaker)
        written = {} if names is NOBODY else {target.bound(names): target for target in clause.targets}
        return tuple(written.get(target, target) for target in left)

    def _before(
        self, left: Targets, clause: Clause, speaker: str, olds: Iterable[Clause], text: str
    ) -> tuple[str, ...]:
        """The same, less, or on other terms, as it was."""
        found: dict[str, None] = {}
        for old in () if self._new.nevers else olds:
            for written in old.targets:
                terms = _told(old.terms, (written,))
                for other in self._old.bound((written,), speaker):
                    if any(target.within(other) for target in left):
                        found |= {terms or "without a condition": None} if terms != text else {}
                    elif any(other.within(target) for target in left):
                        less = written.describe()
                        found[less if terms == text else f"{less}, {terms or 'without a condition'}"] = None
        return tuple(found)[:SHOWN]


def _told(terms: Terms, targets: Targets) -> str:
    if any(target.changes for target in targets):
        return terms.describe()
    return terms._replace(unproved=False, budget=None).describe()


def _aliases(speaker: str) -> tuple[str, ...]:
    """``scada+mbaps:Operator`` is a device that shows a role: it has what either has."""
    if speaker.startswith(MBAPS) or "+" not in speaker:
        return (speaker,)
    device, _, role = speaker.partition("+")
    return device, role
