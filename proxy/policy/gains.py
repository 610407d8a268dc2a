"""What one side of a comparison allows (or forbids) that the other does not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from proxy.core.names import NOBODY
from proxy.policy.access import ANYBODY, Clause, Side, depends_on_names, place
from proxy.policy.entry import Gain
from proxy.policy.heirs import Heirs
from proxy.policy.openings import Openings
from proxy.policy.speaker import MBAPS, NULL_ROLE
from proxy.policy.terms import Terms, as_loose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.core.action import Target

Targets = tuple["Target", ...]
Beyond = Callable[[str, Targets, Targets], Targets]
"""`ProtocolSpec.beyond` of a protocol."""
SHOWN = 3
"""Of what held before, lines that an entry shows."""


class Gains:
    """``new`` has them, ``old`` has not. ``guards`` are the prohibitions on the side of ``new``: what they hide
    is no gain. ``now``: from when on, seconds since 1970; None: since ever, and hours are as they are called."""

    def __init__(
        self, new: Side, old: Side, beyond: Beyond, guards: Side | None = None, now: float | None = None
    ) -> None:
        self._new = new
        self._old = old
        self._beyond = beyond
        self._guards = guards
        self._known: dict[tuple[str, Targets, Targets], Targets] = {}
        devices, others = new.plan.devices, old.plan.devices
        self._moved = frozenset(
            one for one in devices if one not in others or place(devices[one]) != place(others[one])
        )
        self._now = 0.0 if now is None else now
        self._openings = Openings((*old.plan.hours, *new.plan.hours), now)
        self._heirs = Heirs(new, old, self._compared)

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
            told: dict[tuple[Targets, float, float], list[Terms]] = {}
            for terms, left in self._parts(clause, speaker, protocol, olds):
                if left := self._in_effect(left, speaker, device, max(terms.since, self._now)):
                    told.setdefault((left, terms.since, terms.until), []).append(terms)
            for (left, since, until), some in told.items():
                hours = tuple(hour for terms in some for hour in terms.hours)
                text = _told(clause.terms._replace(hours=hours, since=since, until=until), left)
                shown = self._as_written(left, clause, speaker)
                before = self._before(left, clause, speaker, olds, text)
                yield Gain(clause.ref, protocol, shown, text, before, via, not olds, speaker, device)

    def _parts(
        self, clause: Clause, speaker: str, protocol: str, olds: Collection[Clause]
    ) -> Iterator[tuple[Terms, Targets]]:
        """What the others do not allow, in each of its hours, and from when to when if that is not always the same."""
        edges = {edge for old in olds for edge in (old.terms.since, old.terms.until)}
        edges |= self._heirs.edges(clause.ref.surface)
        for terms in clause.terms.single():
            parts = [
                (part, self._left(clause, part, speaker, protocol, olds)) for part in terms.parted(edges, self._now)
            ]
            same = len({left for _, left in parts}) == 1
            yield from [(terms, parts[0][1])] if same else parts

    def _left(self, clause: Clause, part: Terms, speaker: str, protocol: str, olds: Collection[Clause]) -> Targets:
        terms = part._replace(since=max(part.since, self._now))
        found: Targets = ()
        for changes in (None,) if self._new.nevers else (False, True):
            mine = self._new.bound(clause.about(protocol, changes=changes), speaker)
            if mine:
                others = tuple(
                    target
                    for old in olds
                    if as_loose(
                        old.terms,
                        terms,
                        self._openings,
                        changes=changes is True,
                        paired=self._paired(old, clause, terms.since),
                    )
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

    def _paired(self, old: Clause, new: Clause, at: float) -> bool:
        """They are one rule, under the same name or under a new one."""
        if old.ref.surface != new.ref.surface or not old.terms.limited:
            return not old.terms.limited
        return self._heirs.of(new.ref.surface, at).get(old.ref.name) == new.ref.name

    def _in_effect(self, left: Targets, speaker: str, device: str, since: float) -> Targets:
        """Without what a never on the same side forbids anyway, from then on."""
        if self._guards is None or not left:
            return left
        guards = [
            goal
            for alias in _aliases(speaker)
            for clause in self._guards.at(device, alias)
            if clause.terms.since <= since
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
