"""Rules that would allow what was asked, narrowest first: what `explain` proposes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.protocols.mqtt.actions import VERSION_OF, Connect, Message, Subscription
from proxy.protocols.mqtt.filters import SHARE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.core.action import Action


def sections(asked: Sequence[Action]) -> Iterator[dict[str, object]]:
    """Values for `mqtt:` of a rule: exactly what was asked, word by word."""
    found: dict[str, object] = {}
    for action in asked:
        if isinstance(action, Connect):
            found["connect"] = _connect(action)
        elif isinstance(action, Message):
            found[action.verb] = [action.topic]
        elif isinstance(action, Subscription):
            text = action.filter if action.group is None else f"{SHARE}{action.group}/{action.filter}"
            found[action.verb] = [text]
    yield found


def _connect(action: Connect) -> object:
    if not action.client_id:
        return "all"
    user = {} if action.user is None else {"user": action.user}
    return {"client_id": action.client_id, **user, "versions": [VERSION_OF[action.level]]}
