"""The answer to one action."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from proxy.core.origin import RuleRef
    from proxy.core.reason import Reason


class Verdict:
    """Allow or refuse, by which rule, why, and whether the answer may be used again.

    Not a frozen dataclass: one is made per uncached message and that costs five times as much.
    Treat it as immutable all the same.

    ``reason`` is None exactly when allowed. ``rule`` is the deciding rule; for a refusal by default it is the
    surface's default. ``nearest`` is the rule that came closest, for the person who must mend it.
    ``reusable`` says that the same bytes may get the same answer without asking again in this epoch.
    ``record_first`` says that the record of it must be on disk before the message goes on (threats.md 5.3).
    ``would`` is what a candidate that runs beside says, where it says something else. ``tag``: under what an inspector
    counts the messages that go on because of this verdict: the rule, or something finer that whoever asks keeps.
    """

    __slots__ = ("detail", "nearest", "reason", "record_first", "reusable", "rule", "tag", "would")

    def __init__(
        self,
        rule: RuleRef,
        reason: Reason | None = None,
        *,
        reusable: bool = False,
        detail: str = "",
        nearest: RuleRef | None = None,
        record_first: bool = False,
    ) -> None:
        self.rule = rule
        self.reason = reason
        self.reusable = reusable
        self.detail = detail
        self.nearest = nearest
        self.record_first = record_first
        self.tag: Hashable = rule
        self.would: Verdict | None = None

    @property
    def allowed(self) -> bool:
        return self.reason is None

    def __repr__(self) -> str:
        word = "allow" if self.reason is None else f"refuse {self.reason.code}"
        return f"<{word} by {self.rule} {self.detail}>"
