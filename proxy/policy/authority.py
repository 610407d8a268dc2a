"""What one speaker may do to one device over one protocol, ready for the question of each message.

Order of a decision: `never` first, then coverage, then rates. Nothing here waits, and nothing here raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.policy.rates import RateKey, Rates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from proxy.core.action import Action
    from proxy.core.origin import RuleRef
    from proxy.policy.faults import Faults
    from proxy.policy.rows import Clause
    from proxy.policy.speaker import Speaker

Guard = tuple["Callable[[Action], int]", "RuleRef"]
"""`covers` of a never target, and the never rule. Guards are not indexed by verb: a target such as Modbus
`function: [90]` covers actions of every verb."""


class Place(NamedTuple):
    """Where an authority holds, and what it is made from. ``default`` is what a refusal by default names."""

    device: str
    protocol: str
    default: RuleRef
    record_first: bool
    guards: tuple[Guard, ...]


class Usable(NamedTuple):
    """The clauses of one verb that count for this speaker: without a rate (tried first), and with one."""

    free: tuple[Clause, ...]
    rated: tuple[Clause, ...]


NOTHING = Usable((), ())


class Authority:
    """Made by `Policy.open` and good for one epoch. Links of one speaker may share it.

    A verdict is ``reusable`` if the *same bytes* get the same answer later in this epoch. Value windows look at
    nothing but the bytes, so they do not stand in the way for a cache whose key is the whole message (a cache with a
    shorter key must leave out what `Target.values_matter`). Rates do: whatever a rate helped to allow or refuse is
    asked again.
    """

    __slots__ = ("_acts", "_calm", "_every", "_faults", "_place", "_rates", "_speaker", "connect")

    def __init__(
        self, place: Place, speaker: Speaker, listed: Iterable[Clause], known: bool, rates: Rates, faults: Faults
    ) -> None:
        self._place = place
        self._speaker = speaker
        self._rates = rates
        self._faults = faults
        self._every = _by_verb(listed)
        self._calm = {verb: self._usable(some, changes=False) for verb, some in self._every.items()}
        self._acts = {verb: self._usable(some, changes=True) for verb, some in self._every.items()}
        self.connect = self._connect(known)

    def decide(self, action: Action, now: float) -> Verdict:
        """Judge one action, ``now`` in monotonic seconds. Total: a failure refuses (BH-1606) and is counted."""
        try:
            spend: list[Clause] = []
            verdict = self._judge(action, now, spend)
            if spend:
                self._take(spend, now)
        except Exception as error:  # an error read as "allowed" is the worst bug this program can have
            return self._failed(error)
        return verdict

    def decide_all(self, actions: Sequence[Action], now: float) -> Verdict:
        """Judge all actions of one message: one refused refuses all (T26), and then no rate is charged.

        A rule is charged once per message, however many of its actions it allows.
        """
        if len(actions) == 1:
            return self.decide(actions[0], now)
        try:
            if not actions:
                raise ValueError("a message without any action was put to the policy")
            spend: list[Clause] = []
            verdicts = []
            for action in actions:
                verdict = self._judge(action, now, spend)
                if verdict.reason is not None:
                    return _part_refused(action, verdict, verdict.reason)
                verdicts.append(verdict)
            if spend:
                self._take(spend, now)
        except Exception as error:  # as in `decide`
            return self._failed(error)
        return Verdict(
            verdicts[0].rule,
            reusable=all(v.reusable for v in verdicts),
            record_first=any(v.record_first for v in verdicts),
        )

    def _judge(self, action: Action, now: float, spend: list[Clause]) -> Verdict:
        """Takes no token: adds to ``spend`` the rated clauses that were needed."""
        for touches, never in self._place.guards:
            if touches(action):
                return Verdict(never, Reason.NEVER_RULE, reusable=True)
        if action.protocol != self._place.protocol:
            raise ValueError(f"a {action.protocol} action was put to a {self._place.protocol} authority")
        changes = action.changes
        usable = (self._acts if changes else self._calm).get(action.verb, NOTHING)
        whole = action.atoms
        got = 0
        first: Clause | None = None
        for clause in usable.free:
            more = clause.admits(action) & whole & ~got
            if more:
                first = first or clause
                got |= more
                if got == whole:
                    record_first = changes and self._place.record_first
                    return Verdict(first.rule.ref, reusable=True, record_first=record_first)
        return self._judge_rated(action, now, spend, usable, got, first)

    def _judge_rated(
        self, action: Action, now: float, spend: list[Clause], usable: Usable, got: int, first: Clause | None
    ) -> Verdict:
        """Rules with a rate fill what rules without one left open; one whose budget is spent fills nothing."""
        whole = action.atoms
        used: list[Clause] = []
        spent: list[Clause] = []
        for clause in usable.rated:
            more = clause.admits(action) & whole & ~got
            if more and self._rates.ready(self._rate_key(clause), now):
                first = first or clause
                used.append(clause)
                got |= more
            elif more:
                spent.append(clause)
        if first is None or got != whole:
            return self._refuse(action, got, spent)
        spend.extend(used)
        return Verdict(first.rule.ref, record_first=action.changes and self._place.record_first)

    def _refuse(self, action: Action, got: int, spent: list[Clause]) -> Verdict:
        """Why not, from the cheapest mend to the dearest: wait, prove more, another value, another rule."""
        whole = action.atoms
        every = self._every.get(action.verb, ())
        if spent and _union(spent, action, got) == whole:
            rate = spent[0].rule.rate
            detail = f"{rate.count} in {rate.seconds:g} s" if rate else ""
            return self._refusal(Reason.RATE_SPENT, spent[0], detail, reusable=False)
        missing = whole & ~_union(every, action, 0)
        if not missing and whole > 0:
            weak = next(c for c in every if not self._counts(c, action.changes) and c.admits(action) & whole & ~got)
            return self._refusal(Reason.EVIDENCE_TOO_WEAK, weak, self._lacking(weak))
        covered = 0
        nearest, most = None, -1
        for clause in every:
            inside = clause.covers(action) & whole
            covered |= inside
            if (count := inside.bit_count()) > most:
                nearest, most = clause, count
        if covered == whole and covered > 0:
            closed = next(c for c in every if c.covers(action) & missing)
            return self._refusal(Reason.VALUE_OUTSIDE, closed, closed.target.describe())
        ref = nearest.rule.ref if nearest else None
        return Verdict(self._place.default, Reason.DEFAULT_DENY, reusable=True, nearest=ref)

    def _refusal(self, reason: Reason, clause: Clause, detail: str, *, reusable: bool = True) -> Verdict:
        ref = clause.rule.ref
        return Verdict(ref, reason, reusable=reusable, detail=detail, nearest=ref)

    def _connect(self, known: bool) -> Verdict:
        """Whether this speaker has any business here at all. What it does is asked per message."""
        default = self._place.default
        every = sorted((c for some in self._every.values() for c in some), key=_place_of)
        if not every:
            unknown = self._speaker.id is None and not known
            reason = Reason.UNKNOWN_DEVICE if unknown else Reason.NO_CONNECT_RULE
            return Verdict(default, reason, reusable=True)
        for clause in every:
            if self._counts(clause, changes=False):
                return Verdict(clause.rule.ref, reusable=True)
        return self._refusal(Reason.EVIDENCE_TOO_WEAK, every[0], self._lacking(every[0]))

    def _usable(self, some: Iterable[Clause], *, changes: bool) -> Usable:
        counting = [c for c in some if self._counts(c, changes)]
        return Usable(
            tuple(c for c in counting if c.rule.rate is None), tuple(c for c in counting if c.rule.rate is not None)
        )

    def _counts(self, clause: Clause, changes: bool) -> bool:
        """The rule's evidence is there; and who changes a device has shown a key, not only an address (T01, T02)."""
        if not clause.rule.needs <= self._speaker.matched:
            return False
        return not changes or self._speaker.proved or clause.surface.writes_without_proof

    def _lacking(self, clause: Clause) -> str:
        seen = ", ".join(sorted(self._speaker.matched)) or "nothing"
        if missing := sorted(clause.rule.needs - self._speaker.matched):
            return f"needs {', '.join(missing)}; shown: {seen}"
        return (
            f"a change needs proof of a key, such as x509; shown: {seen} "
            f"(unsafe_writes_without_proof is not set in {clause.surface.name})"
        )

    def _rate_key(self, clause: Clause) -> RateKey:
        rule = clause.rule
        if rule.rate is None:
            raise ValueError(f"{rule.ref} has no rate")
        return RateKey(rule.ref.surface, rule.ref.name, self._speaker.budget, rule.rate)

    def _take(self, spend: list[Clause], now: float) -> None:
        for key in {self._rate_key(clause) for clause in spend}:
            self._rates.take(key, now)

    def _failed(self, error: Exception) -> Verdict:
        self._faults.note(error)
        return Verdict(self._place.default, Reason.ENGINE_ERROR, detail=type(error).__name__)


def _place_of(clause: Clause) -> tuple[int, int, int]:
    return clause.place


def _by_verb(listed: Iterable[Clause]) -> dict[str, tuple[Clause, ...]]:
    verbs: dict[str, list[Clause]] = {}
    for clause in sorted(listed, key=_place_of):
        verbs.setdefault(clause.target.verb, []).append(clause)
    return {verb: tuple(some) for verb, some in verbs.items()}


def _union(some: Iterable[Clause], action: Action, got: int) -> int:
    for clause in some:
        got |= clause.admits(action) & action.atoms
    return got


def _part_refused(action: Action, verdict: Verdict, reason: Reason) -> Verdict:
    detail = f"{action.describe()}: {reason.code} {verdict.detail or reason.sentence}"
    return Verdict(verdict.rule, Reason.PART_REFUSED, reusable=verdict.reusable, detail=detail, nearest=verdict.nearest)
