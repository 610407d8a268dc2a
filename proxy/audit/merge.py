"""Repeats: a flood of like events becomes a few records with a count, and nothing is lost from the sums (T47).

Like means: same kind, speaker (listener, address, identity), device, reason, rule and verb of the action. What follows
the verb is the speaker's own words, a topic for one, and would make as many kinds as it can think of. The first of a
kind is written at once, and so is each of the first few *different* actions (or links), so that noise cannot
hide an event (T81). Whatever repeats is counted; each second the count is written as one record, for as long as the
flood goes on.
"""

from __future__ import annotations

from proxy.audit.record import Fields, LinkFigures, Record, cap, rfc3339

WINDOW = 1.0
"""Seconds for which repeats are summed up. *"""
GROUPS = 1024
"""Kinds of events watched at a time; beyond that each is written singly. *"""
DIFFERENT = 8
"""Different actions of one kind that get a record each before they are only counted. *"""
DIFFERENT_LINKS = 32
"""The same for connections, their ends, and malformed input, which ends a link. *"""

_PER_LINK = frozenset({"connect", "close", "malformed"})
_NEVER = frozenset({"start", "stop", "gap", "retired"})

Key = tuple[object, ...]


class Repeats:
    """The figures of a record that stands for ``count`` events between ``first`` and ``last`` (wall seconds)."""

    __slots__ = ("actions", "count", "first", "last", "sums")

    def __init__(self) -> None:
        self.count = 0
        self.first = 0.0
        self.last = 0.0
        self.actions: dict[str, int] = {}
        self.sums: LinkFigures | None = None

    def add(self, record: Record, wall: float) -> None:
        if not self.count:
            self.first = wall
        self.count += 1
        self.last = wall
        action = record.action
        if action in self.actions:
            self.actions[action] += 1
        elif action and len(self.actions) < DIFFERENT:
            self.actions[action] = 1
        if isinstance(record.figures, LinkFigures):
            self.sums = record.figures if self.sums is None else _sum(self.sums, record.figures)

    def fields(self) -> Fields:
        fields: Fields = {"count": self.count, "first": rfc3339(self.first), "last": rfc3339(self.last)}
        if self.actions:
            fields["actions"] = {cap(action): n for action, n in self.actions.items()}
        if self.sums is not None:
            fields |= self.sums.fields()
        return fields


class _Group:
    """One kind of event: what was seen of it, and what was counted since the last record."""

    __slots__ = ("due", "last", "many", "pattern", "repeats", "room", "seen")

    def __init__(self, record: Record, due: float) -> None:
        self.pattern = record
        self.due = due
        self.room = DIFFERENT_LINKS if record.what in _PER_LINK else DIFFERENT
        self.seen: set[object] = set()
        self.repeats = Repeats()
        self.last = record
        self.many = False

    def is_new(self, mark: object) -> bool:
        if mark in self.seen or len(self.seen) >= self.room:
            return False
        self.seen.add(mark)
        return True

    def add(self, record: Record) -> None:
        self.repeats.add(record, record.time)
        self.last = record
        if _link(record) != _link(self.pattern):
            self.many = True

    def summary(self) -> Record:
        """The record of what was counted; counting starts again. One event needs no sum: it is its own record."""
        like, repeats = self.pattern, self.repeats
        self.repeats = Repeats()
        if repeats.count == 1:
            return self.last
        record = Record(
            like.what, like.subject, reason=like.reason, verdict=like.verdict, detail=like.detail, figures=repeats
        )
        record.many = self.many
        record.time = repeats.last
        return record


class Merger:
    """Decides which records are written singly and sums up the others. ``now`` is monotonic seconds. No I/O."""

    __slots__ = ("_groups", "_limit", "_window", "merged")

    def __init__(self, window: float = WINDOW, limit: int = GROUPS) -> None:
        self._window = window
        self._limit = limit
        self._groups: dict[Key, _Group] = {}
        self.merged = 0

    def offer(self, record: Record, now: float) -> bool:
        """True: write it. False: it was counted and comes out of `due` in a sum."""
        if record.what in _NEVER:
            return True
        mark: object = _link(record) if record.what in _PER_LINK else record.action
        key = _key(record)
        group = self._groups.get(key)
        if group is None:
            # Acts differ by value: they may fill half of the table, so that a flood of others still merges.
            if len(self._groups) >= (self._limit // 2 if record.what == "act" else self._limit):
                return True
            group = self._groups[key] = _Group(record, now + self._window)
        if group.is_new(mark):
            return True
        group.add(record)
        self.merged += 1
        return False

    def deadline(self) -> float | None:
        """When `due` has something to say next, monotonic seconds."""
        for group in self._groups.values():
            return group.due
        return None

    def due(self, now: float, most: int = 128) -> list[Record]:
        """Sums whose second is over, at most `most` a call. A kind that had no repeats in it is forgotten."""
        out: list[Record] = []
        while self._groups and len(out) < most:
            key = next(iter(self._groups))
            group = self._groups[key]
            if group.due > now:
                break
            del self._groups[key]
            if group.repeats.count:
                out.append(group.summary())
                group.due = now + self._window
                self._groups[key] = group  # last again: the table stays in order of due times
        return out

    def flush(self) -> list[Record]:
        """Everything counted so far; nothing is watched any longer."""
        out = [group.summary() for group in self._groups.values() if group.repeats.count]
        self._groups.clear()
        return out


def _link(record: Record) -> int | None:
    return record.subject.link if record.subject is not None else None


def _key(record: Record) -> Key:
    verdict = record.verdict
    rule = (verdict.rule.surface, verdict.rule.name) if verdict is not None else None
    # A change is only ever counted together with the very same change.
    action = record.action
    like = action if record.what == "act" else action.partition(" ")[0]
    # Reasons are singletons, and Enum's hash is a Python call.
    return (record.what, record.subject.key if record.subject is not None else "", id(record.reason), rule, like)


def _sum(a: LinkFigures, b: LinkFigures) -> LinkFigures:
    allowed, refused = dict(a.allowed), dict(a.refused)
    for rule, n in b.allowed.items():
        allowed[rule] = allowed.get(rule, 0) + n
    for reason, n in b.refused.items():
        refused[reason] = refused.get(reason, 0) + n
    return LinkFigures(allowed, refused, a.received + b.received, a.sent + b.sent, a.seconds + b.seconds)
