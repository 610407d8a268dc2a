"""What one speaker may do to one device over one protocol, ready for the question of each message.

Order of a decision: `never` first, then coverage, then constraints. Nothing here waits, and nothing here raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.policy.candidate import Candidate, candidates
from proxy.policy.extent import Nearby
from proxy.policy.refusal import for_good, for_now, outside_hours, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from proxy.core.action import Action, Target
    from proxy.core.origin import RuleRef
    from proxy.policy.circumstances import Circumstances
    from proxy.policy.constraints import Block
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


class Used(NamedTuple):
    """A rule with constraints that an action needs: what is booked when the message goes on."""

    rule: Candidate
    action: Action
    atoms: int


class Authority:
    """Made by `Policy.open` and good for one epoch. Links of one speaker may share it.

    A verdict is ``reusable`` if the *same bytes* get the same answer later in this epoch. Value windows look at
    nothing but the bytes, so they do not stand in the way for a cache whose key is the whole message (a cache with a
    shorter key must leave out what `Target.values_matter`). Neither do hours: one that opens or closes makes a new
    epoch. Constraints do: whatever one helped to allow or refuse is asked again.

    ``instead`` is what `connect` says, whatever the rules say.
    """

    __slots__ = ("_circumstances", "_doors", "_faults", "_instead", "_place", "_verbs")

    def __init__(
        self,
        place: Place,
        speaker: Speaker,
        listed: Iterable[Clause],
        known: bool,
        rates: Rates,
        faults: Faults,
        circumstances: Circumstances,
        instead: Verdict | None = None,
    ) -> None:
        self._place = place
        self._faults = faults
        self._circumstances = circumstances
        ordered = candidates(listed, speaker, place.device, rates, circumstances)
        self._verbs = _by_verb(ordered)
        self._doors = _doors(ordered)
        self._instead = instead or self._shut(ordered, speaker.id is not None or known)

    def decide(self, action: Action, now: float, recorded: bool = False) -> Verdict:
        """Judge one action, ``now`` in monotonic seconds. Total: a failure refuses (BH-1606) and is counted.

        What has to be recorded first is judged twice and goes on after the second time, ``recorded``: only then is
        anything booked.
        """
        try:
            used: list[Used] = []
            verdict = self._judge(action, now, used)
            if used and (recorded or not verdict.record_first):
                _take(used, now)
        except Exception as error:  # an error read as "allowed" is the worst bug this program can have
            return self._failed(error)
        return verdict

    def decide_all(self, actions: Sequence[Action], now: float, recorded: bool = False) -> Verdict:
        """Judge all actions of one message: one refused refuses all (T26), and then nothing is booked.

        A rule is charged once per message, however many of its actions it allows.
        """
        if len(actions) == 1:
            return self.decide(actions[0], now, recorded)
        try:
            if not actions:
                raise ValueError("a message without any action was put to the policy")
            used: list[Used] = []
            verdicts = []
            for action in actions:
                verdict = self._judge(action, now, used)
                if verdict.reason is not None:
                    return _part_refused(action, verdict, verdict.reason)
                verdicts.append(verdict)
            record_first = any(v.record_first for v in verdicts)
            if used and (recorded or not record_first):
                _take(used, now)
        except Exception as error:  # as in `decide`
            return self._failed(error)
        return Verdict(verdicts[0].rule, reusable=all(v.reusable for v in verdicts), record_first=record_first)

    @property
    def connect(self) -> Verdict:
        """Whether this speaker has any business here now. What it does is asked per message."""
        for one in self._doors:
            if one.open(self._circumstances.open):
                return Verdict(one.ref, reusable=True)
        if self._instead is not None:
            return self._instead
        return outside_hours(self._doors[0], self._circumstances)

    def _judge(self, action: Action, now: float, used: list[Used]) -> Verdict:
        """Books nothing: adds to ``used`` the rules with constraints that were needed."""
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
        needed: list[Used] = []
        blocked: list[tuple[Candidate, Block]] = []
        for one in near:
            if not (one.acts if changes else one.calm):
                continue
            if one.when and one.when.isdisjoint(self._circumstances.open):
                continue
            more = one.admits(action) & whole & ~got
            if not more:
                continue
            if one.constraints:
                more = _unblocked(one, action, more, now, blocked)
                if not more:
                    continue
                needed.append(Used(one, action, more))
            first = first or one
            got |= more
            if got == whole:
                used.extend(needed)
                record_first = changes and self._place.record_first
                return Verdict(first.ref, reusable=not needed, record_first=record_first)
        return self._refuse(action, near, got, blocked)

    def _refuse(
        self, action: Action, near: Sequence[Candidate], got: int, blocked: Sequence[tuple[Candidate, Block]]
    ) -> Verdict:
        told = for_now(action, near, got, blocked, self._circumstances)
        return told or for_good(action, near, self._place.default, self._verbs.get(action.verb, NOTHING).all)

    def _shut(self, ordered: Sequence[Candidate], known: bool) -> Verdict | None:
        """Why nobody gets in, whatever the hour; None if somebody may."""
        if self._doors:
            return None
        if ordered:
            return refused(Reason.EVIDENCE_TOO_WEAK, ordered[0], ordered[0].lacking)
        return Verdict(self._place.default, Reason.NO_CONNECT_RULE if known else Reason.UNKNOWN_DEVICE, reusable=True)

    def _failed(self, error: Exception) -> Verdict:
        self._faults.note(error)
        return Verdict(self._place.default, Reason.ENGINE_ERROR, detail=type(error).__name__)


def _unblocked(one: Candidate, action: Action, atoms: int, now: float, blocked: list[tuple[Candidate, Block]]) -> int:
    """Which of ``atoms`` no constraint of the rule stands in the way of."""
    for constraint in one.constraints:
        if (block := constraint.blocks(action, atoms, now)) is not None:
            blocked.append((one, block))
            atoms &= ~block.atoms
            if not atoms:
                break
    return atoms


def _take(used: Iterable[Used], now: float) -> None:
    taken: set[Hashable] = set()
    for one in used:
        for constraint in one.rule.constraints:
            constraint.take(one.action, one.atoms, now, taken)


def _doors(ordered: Iterable[Candidate]) -> list[Candidate]:
    """Those that may let a link in, as far as the first that always does."""
    found = []
    for one in ordered:
        if one.calm:
            found.append(one)
            if not one.when:
                break
    return found


def _by_verb(ordered: Iterable[Candidate]) -> dict[str, Nearby[Candidate]]:
    verbs: dict[str, list[tuple[Candidate, Target]]] = {}
    for one in ordered:
        verbs.setdefault(one.target.verb, []).append((one, one.target))
    return {verb: Nearby(some) for verb, some in verbs.items()}


def _part_refused(action: Action, verdict: Verdict, reason: Reason) -> Verdict:
    detail = f"{action.describe()}: {reason.code} {verdict.detail or reason.sentence}"
    return Verdict(verdict.rule, Reason.PART_REFUSED, reusable=verdict.reusable, detail=detail, nearest=verdict.nearest)
