"""When a rule holds: named shifts and windows, in the wall time of a plant's own zone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.core.origin import Origin


class Hours(Protocol):
    """A named stretch of wall time, open or not. Times are seconds since 1970; the zone is its own affair."""

    @property
    def name(self) -> str: ...
    @property
    def origin(self) -> Origin: ...

    def open_at(self, wall: float) -> bool: ...

    def next_change(self, wall: float) -> float | None:
        """The first instant after ``wall`` at which it opens or closes; None if it never does again."""
        ...

    def describe(self) -> str:
        """Canonical text, e.g. ``mon-fri 06:00-14:00 Europe/Berlin``; equal hours have equal text."""
        ...
