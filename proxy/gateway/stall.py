"""How long a peer may leave what is sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.gateway.sockets import Wire


class Stall:
    """From the moment that something waits for a peer until nothing does.

    ``patience`` is seconds. With ``forgiving`` every byte that the peer takes starts them anew, else they are all it
    has. ``due`` is when to look again.
    """

    __slots__ = ("_forgiving", "_patience", "_progress", "_since", "_wire", "due")

    def __init__(self, wire: Wire, patience: float, now: float, *, forgiving: bool) -> None:
        self._wire = wire
        self._patience = patience
        self._forgiving = forgiving
        self._since = now
        self._progress = wire.progress() if forgiving else 0
        self.due = self._next(now)

    def too_long(self, now: float) -> bool:
        if self._forgiving and (progress := self._wire.progress()) != self._progress:
            self._progress = progress
            self._since = now
        self.due = self._next(now)
        return now >= self._since + self._patience

    def _next(self, now: float) -> float:
        ends = self._since + self._patience
        return min(ends, now + self._patience / 4) if self._forgiving else ends
