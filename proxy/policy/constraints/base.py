"""What every constraint of a rule offers: whether it stands in the way now, and what it books when a message goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable

    from proxy.core.action import Action
    from proxy.core.reason import Reason


class Block(NamedTuple):
    """``atoms`` of an action that the rule does not allow now, and why."""

    atoms: int
    reason: Reason
    detail: str


class Constraint(Protocol):
    """One condition of one rule for one speaker and device. What it helps to decide is never reusable.

    ``atoms`` are those that the rule would allow; a constraint blocks those it is about and no others. ``now`` is
    monotonic seconds.
    """

    def blocks(self, action: Action, atoms: int, now: float) -> Block | None:
        """What stands in the way now. Books nothing."""
        ...

    def take(self, action: Action, atoms: int, now: float, taken: set[Hashable]) -> None:
        """The message goes on: book it. Called for each action that needed the rule; ``taken`` is one set for the
        message, so that what counts messages is booked once."""
        ...
