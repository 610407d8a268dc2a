"""What one speaker may do to one device over one protocol, ready for the question of each message.

Order of a decision: `never` first, then coverage, then rates. Nothing here waits, and nothing here raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.policy.candidate import Candidate, candidates
from proxy.policy.extent import Nearby

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from proxy.core.action import Action, Target
    from proxy.core.origin import RuleRef
    from proxy.policy.faults import Faults
    from proxy.policy.rates import Rates
    from proxy.policy.rows import Clause
    from proxy.policy.speaker import Speaker

Guard = tuple["Callable[[Action], int]", "RuleRef"]
"""`covers` of a never target, and the never rule. Guards are not sorted by verb: a target such as Modbus
`function: [90]` covers actions of every verb."""


class Place(NamedTuple):
    """Where an authority holds, and what it is made from. ``default`` is what a refusal by default names."""

    device: str
    protocol: str
    default: RuleRef
    record_first: bool
    guards: Nearby[Guard]


NOTHING: Nearby[Candidate] = Nearby(())


class Authority:
    """Made by `Policy.open` and good for one epoch. Links of one speaker may share it.

    A verdict is ``reusable`` if the *same bytes* get the same answer later in this epoch. Value windows look at
    nothing but the bytes, so they do not stand in the way for a cache whose key is the whole message (a cache with a
    shorter key must leave out what `Target.values_matter`). Rates do: whatever a rate helped to allow or refuse is
    asked again.
    """

    __slots__ = ("_faults", "_place", "_rates", "_verbs", "connect")

    def __init__(
        self, place: Place, speaker: Speaker, listed: Iterable[Clause], known: bool, rates: Rates, faults: Faults
    ) -> None:
        self._place = place
        self._rates = rates
        self._faults = faults
        ordered = candidates(listed, speaker)
        self._verbs = _by_verb(ordered)
        self.connect = self._connect(ordered, speaker.id is not None or known)

    def decide(self, action: Action, now: float, recorded: bool = False) -> Verdict:
        """Judge one action, ``now`` in monotonic seconds. Total: a failure refuses (BH-1606) and is counted.

        What has to be recorded first is judged twice and goes on after the second time, ``recorded``: only then is a
        rate charged.
        """
        try:
            spend: list[Candidate] = []
            verdict = self._judge(action, now, spend)
            if spend and (recorded or not verdict.record_first):
                self._take(spend, now)
        except Exception as error:  # an error read as "allowed" is the worst bug this program can have
            return self._failed(error)
        return verdict

    def decide_all(self, actions: Sequence[Action], now: float, recorded: bool = False) -> Verdict:
        """Judge all actions of one message: one refused refuses all (T26), and then no rate is charged.

        A rule is charged once per message, however many of its actions it allows.
        """
        if len(actions) == 1:
            return self.decide(actions[0], now, recorded)
        try:
            if not actions:
                raise ValueError("a message without any action was put to the policy")
            spend: list[Candidate] = []
            verdicts = []
            for action in actions:
                verdict = self._judge(action, now, spend)
                if verdict.reason is not None:
                    return _part_refused(action, verdict, verdict.reason)
                verdicts.append(verdict)
            record_first = any(v.record_first for v in verdicts)
            if spend and (recorded or not record_first):
                self._take(spend, now)
        except Exception as error:  # as in `decide`
            return self._failed(error)
        return Verdict(verdicts[0].rule, reusable=all(v.reusable for v in verdicts), record_first=record_first)

    def _judge(self, action: Action, now: float, spend: list[Candidate]) -> Verdict:
        """Takes no token: adds to ``spend`` the rated candidates that were needed."""
        for touches, never in self._place.guards.to(action):
            if touches(action):
                return Verdict(never, Reason.NEVER_RULE, reusable=True)
        if action.protocol != self._place.protocol:
            raise ValueError(f"a {action.protocol} action was put to a {self._place.protocol} authority")
        changes = action.changes
        whole = action.atoms
        near = self._verbs.get(action.verb, NOTHING).to(action)
        got = 0
        first: Candidate | None = None
        used: list[Candidate] = []
        spent: list[Candidate] = []
        for one in near:
            if not (one.acts if changes else one.calm):
                continue
            more = one.admits(action) & whole & ~got
            if not more:
                continue
            if one.rate is not None and not self._rates.ready(one.rate, now):
                spent.append(one)
                continue
            if one.rate is not None:
                used.append(one)
            first = first or one
            got |= more
            if got == whole:
                spend.extend(used)
                record_first = changes and self._place.record_first
                return Verdict(first.ref, reusable=not used, record_first=record_first)
        return self._refuse(action, near, got, spent)

    def _refuse(self, action: Action, near: Sequence[Candidate], got: int, spent: list[Candidate]) -> Verdict:
        """Why not, from the cheapest mend to the dearest: wait, prove more, another value, another rule."""
        whole = action.atoms
        got = _union(spent, action, got)
        if spent and got == whole:
            return _refusal(Reason.RATE_SPENT, spent[0], spent[0].budget, reusable=False)
        weak = [one for one in near if not (one.acts if action.changes else one.calm)]
        missing = whole & ~_union(weak, action, got)
        if weak and whole and not missing:
            first = next(one for one in weak if one.admits(action) & whole & ~got)
            return _refusal(Reason.EVIDENCE_TOO_WEAK, first, first.lacking)
        covered = 0
        nearest, most = None, 0
        for one in near:
            inside = one.covers(action) & whole
            covered |= inside
            if inside.bit_count() > most:
                nearest, most = one, inside.bit_count()
        if nearest and covered == whole:
            closed = next(one for one in near if one.covers(action) & missing)
            return _refusal(Reason.VALUE_OUTSIDE, closed, closed.target.describe())
        if nearest is None and (same := self._verbs.get(action.verb, NOTHING).all):
            nearest = same[0]
        ref = nearest.ref if nearest else None
        return Verdict(self._place.default, Reason.DEFAULT_DENY, reusable=True, nearest=ref)

    def _connect(self, ordered: Sequence[Candidate], known: bool) -> Verdict:
        """Whether this speaker has any business here at all. What it does is asked per message."""
        if not ordered:
            reason = Reason.NO_CONNECT_RULE if known else Reason.UNKNOWN_DEVICE
            return Verdict(self._place.default, reason, reusable=True)
        for one in ordered:
            if one.calm:
                return Verdict(one.ref, reusable=True)
        return _refusal(Reason.EVIDENCE_TOO_WEAK, ordered[0], ordered[0].lacking)

    def _take(self, spend: list[Candidate], now: float) -> None:
        for key in {one.rate for one in spend if one.rate is not None}:
            self._rates.take(key, now)

    def _failed(self, error: Exception) -> Verdict:
        self._faults.note(error)
        return Verdict(self._place.default, Reason.ENGINE_ERROR, detail=type(error).__name__)


def _by_verb(ordered: Iterable[Candidate]) -> dict[str, Nearby[Candidate]]:
    verbs: dict[str, list[tuple[Candidate, Target]]] = {}
    for one in ordered:
        verbs.setdefault(one.target.verb, []).append((one, one.target))
    return {verb: Nearby(some) for verb, some in verbs.items()}


def _union(some: Iterable[Candidate], action: Action, got: int) -> int:
    for one in some:
        got |= one.admits(action) & action.atoms
    return got


def _refusal(reason: Reason, one: Candidate, detail: str, *, reusable: bool = True) -> Verdict:
    return Verdict(one.ref, reason, reusable=reusable, detail=detail, nearest=one.ref)


def _part_refused(action: Action, verdict: Verdict, reason: Reason) -> Verdict:
    detail = f"{action.describe()}: {reason.code} {verdict.detail or reason.sentence}"
    return Verdict(verdict.rule, Reason.PART_REFUSED, reusable=verdict.reusable, detail=detail, nearest=verdict.nearest)
