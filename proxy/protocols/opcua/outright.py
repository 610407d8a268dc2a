"""What no rule can allow: sessions that the gateway cannot hold, whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.opcua.actions import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.core.action import Action

MOST_USER = 512
"""Characters of a user's name (`user_tokens`)."""


def outright(asked: Iterable[Action]) -> tuple[Reason, str] | None:
    """Why a request is refused before policy is asked, or None."""
    for action in asked:
        if isinstance(action, Session) and (fault := _fault(action)) is not None:
            return Reason.CHANNEL_REFUSED, fault
    return None


def _fault(session: Session) -> str | None:
    user = session.user
    if session.token not in ("anonymous", "username"):
        return "a certificate as user token is signed for one server, and cannot be passed on to another"
    if (session.token == "anonymous") != (user is None):  # noqa: S105 - a kind of token
        return f"a token of kind {session.token} has {'no' if user is not None else 'a'} user"
    if user is not None and not (0 < len(user) <= MOST_USER and user.isprintable()):
        return f"a user's name has 1 to {MOST_USER} visible characters"
    if (session.policy == "None") != (session.mode == "none"):
        return f"there is no channel with policy {session.policy} and mode {session.mode}"
    return None
