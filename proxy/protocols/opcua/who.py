"""Whom a rule means by `users:`, and which channels by `security:`."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.core.globs import glob, glob_within, globs_meet
from proxy.protocols.opcua.actions import MODES
from proxy.protocols.opcua.words import word

ANONYMOUS = "anonymous"
"""In `users:` a session without a user. A user who is called so is meant by a pattern with ``*`` only."""
Words = frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Who:
    """``users``: patterns with ``*``, and the word `ANONYMOUS`; None: anybody. ``modes``: of `MODES`; None: any."""

    users: Words = None
    modes: Words = None

    def fits(self, user: str | None, mode: str) -> bool:
        if self.modes is not None and mode not in self.modes:
            return False
        return self.users is None or _user_fits(self.users, user)

    def within(self, other: Who) -> bool:
        """Everybody who fits this fits ``other``. May err towards False."""
        modes = frozenset(MODES) if self.modes is None else self.modes
        return (other.modes is None or modes <= other.modes) and _users_within(self.users, other.users)

    def meets(self, other: Who) -> bool:
        """Somebody fits both. Exact."""
        if self.modes is not None and other.modes is not None and self.modes.isdisjoint(other.modes):
            return False
        if self.users is None or other.users is None:
            return True
        return any(_both(one, theirs) for one in self.users for theirs in other.users)

    def describe(self) -> str:
        users = "" if self.users is None else f" for {', '.join(map(word, sorted(self.users)))}"
        modes = "" if self.modes is None else f" over {', '.join(one for one in MODES if one in self.modes)}"
        return users + modes


ANYBODY = Who()


def _user_fits(users: frozenset[str], user: str | None) -> bool:
    if user is None:
        return ANONYMOUS in users
    return any(glob(one, user) for one in users if one != ANONYMOUS)


def _users_within(inner: Words, outer: Words) -> bool:
    if outer is None:
        return True
    named = [one for one in outer if one != ANONYMOUS]
    return all(
        ANONYMOUS in outer if one == ANONYMOUS else any(glob_within(one, other) for other in named)
        for one in (inner if inner is not None else (ANONYMOUS, "*"))
    )


def _both(one: str, other: str) -> bool:
    if ANONYMOUS in (one, other):
        return one == other
    return globs_meet(one, other)
