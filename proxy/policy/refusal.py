"""Why an action is refused, told by the mend that it takes.

One reason is told of the many that may hold. The mends are gone through from the cheapest to the dearest, each with
all before it, and the first that would be enough is told; so what is told is what has to be mended in any case.

1. BH-1404  what the process is like is not known: have it read
2. BH-1205  a step or ramp: go there in smaller steps
3. BH-1206  rate or budget: wait
4. BH-1403  the process is in another state: wait, or bring it there
5. BH-1401  outside the hours: come back
6. BH-1002  show more evidence
7. BH-1205  a window: another value
8. BH-1201  another rule

1 to 5 ask for no change of who speaks, of what is said or of the policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.core.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.core.action import Action
    from proxy.core.origin import RuleRef
    from proxy.policy.candidate import Candidate
    from proxy.policy.circumstances import Circumstances
    from proxy.policy.constraints import Block

CHEAPEST_FIRST = (Reason.PROCESS_UNKNOWN, Reason.VALUE_OUTSIDE, Reason.RATE_SPENT, Reason.PROCESS_STATE)
"""What constraints refuse with."""


def for_now(
    action: Action,
    near: Sequence[Candidate],
    got: int,
    blocked: Sequence[tuple[Candidate, Block]],
    circumstances: Circumstances,
) -> Verdict | None:
    """The mends 1 to 6, that leave policy and message as they are; None if they are not enough.

    ``near`` are the rules that may be about it, ``got`` the atoms that they allow, ``blocked`` what constraints stood
    in the way of.
    """
    whole = action.atoms
    for reason in CHEAPEST_FIRST if blocked else ():
        standing = [(one, block) for one, block in blocked if block.reason is reason and block.atoms & ~got]
        for _, block in standing:
            got |= block.atoms
        if standing and got == whole:
            return refused(reason, standing[0][0], standing[0][1].detail, reusable=False)
    changes = action.changes
    closed, weak = [], []
    for one in near:
        if not (one.acts if changes else one.calm):
            weak.append(one)
        elif one.when and one.when.isdisjoint(circumstances.open):
            closed.append(one)
    if closed and (later := _completing(closed, action, got)):
        return outside_hours(later, circumstances)
    if weak and (shy := _completing(weak, action, _union(closed, action, got))):
        return refused(Reason.EVIDENCE_TOO_WEAK, shy, shy.lacking)
    return None


def for_good(action: Action, near: Sequence[Candidate], default: RuleRef, same: Sequence[Candidate]) -> Verdict:
    """The mends 7 and 8. ``default`` is what a refusal by default names; ``same`` are the rules about such actions,
    wherever they lie: one of them is told where none covers any of this."""
    whole = action.atoms
    covered = 0
    nearest, most = None, 0
    for one in near:
        inside = one.covers(action) & whole
        covered |= inside
        if inside.bit_count() > most:
            nearest, most = one, inside.bit_count()
    if nearest is not None and covered == whole:
        missing = whole & ~_union(near, action, 0)
        shut = next(one for one in near if one.covers(action) & missing)
        return refused(Reason.VALUE_OUTSIDE, shut, shut.target.describe())
    nearest = nearest or next(iter(same), None)
    return Verdict(default, Reason.DEFAULT_DENY, reusable=True, nearest=nearest.ref if nearest else None)


def outside_hours(one: Candidate, circumstances: Circumstances) -> Verdict:
    return refused(Reason.OUTSIDE_HOURS, one, f"only in {circumstances.describe(sorted(one.when))}")


def refused(reason: Reason, one: Candidate, detail: str, *, reusable: bool = True) -> Verdict:
    return Verdict(one.ref, reason, reusable=reusable, detail=detail, nearest=one.ref)


def _completing(some: Sequence[Candidate], action: Action, got: int) -> Candidate | None:
    """The first of ``some`` to contribute, if together they admit all that is missing."""
    whole = action.atoms
    if not whole or _union(some, action, got) != whole:
        return None
    return next((one for one in some if one.admits(action) & whole & ~got), None)


def _union(some: Iterable[Candidate], action: Action, got: int) -> int:
    for one in some:
        got |= one.admits(action) & action.atoms
    return got
