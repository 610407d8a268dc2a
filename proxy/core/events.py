"""What an inspector or an upstream reports. The link adds who, where and when and hands it to the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.core.reason import Reason
    from proxy.core.verdict import Verdict


class Event:
    """One thing worth a record.

    ``what`` is from a closed list: ``refuse`` (a message was refused), ``act`` (a change that is recorded),
    ``malformed`` (input that ends the link), ``device`` (the far side failed or misbehaved).
    ``action`` describes the message in the protocol's words; it may quote hostile bytes only as numbers.
    """

    __slots__ = ("action", "detail", "reason", "verdict", "what")

    def __init__(
        self,
        what: str,
        *,
        reason: Reason | None = None,
        action: str = "",
        detail: str = "",
        verdict: Verdict | None = None,
    ) -> None:
        self.what = what
        self.reason = reason
        self.action = action
        self.detail = detail
        self.verdict = verdict

    def __repr__(self) -> str:
        return f"<{self.what} {self.reason.code if self.reason else ''} {self.action} {self.detail}>"
