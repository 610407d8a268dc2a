"""What a rule means by *the one who speaks*."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """What the placeholders of a rule stand for: ``{device}`` and ``{place}``.

    They come from the proved identity and never from a message (T12, T28). None: nothing is known of it, and a target
    that needs it admits nothing.
    """

    device: str | None = None
    place: str | None = None


NOBODY = Names()
