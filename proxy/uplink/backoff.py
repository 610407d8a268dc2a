"""When to try again what failed: soon at first, then more seldom, never all at the same time."""

from __future__ import annotations

from collections.abc import Callable

FIRST, LONGEST = 0.5, 30.0
"""Seconds."""


class Backoff:
    """``entropy(n)`` gives n random bytes."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._next = FIRST

    def wait(self) -> float:
        """Seconds until the next try: between a half and the whole of a span that doubles."""
        span, self._next = self._next, min(self._next * 2, LONGEST)
        return span * (0.5 + self._entropy(1)[0] / 510)

    def succeeded(self) -> None:
        self._next = FIRST
