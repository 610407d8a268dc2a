"""Record ids: ULIDs (github.com/ulid/spec), 48 bits of wall time in ms and 80 of randomness, 26 characters."""

from __future__ import annotations

from collections.abc import Callable

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in ALPHABET for b in ALPHABET)
_RANDOM_BITS = 80


class Ulids:
    """Hands out ids as integers, each greater than the one before even when the wall clock steps back.

    Within a millisecond the last id is counted up, as the spec has it, so randomness is drawn once a millisecond.
    ``randomness`` is `os.urandom` or a fake. Not thread-safe.
    """

    __slots__ = ("_last", "_last_ms", "_randomness")

    def __init__(self, randomness: Callable[[int], bytes]) -> None:
        self._randomness = randomness
        self._last_ms = -1
        self._last = 0

    def next(self, wall: float) -> int:
        """``wall`` is seconds since 1970."""
        ms = int(wall * 1000)
        if ms <= self._last_ms:
            self._last += 1
            self._last_ms = self._last >> _RANDOM_BITS
        else:
            self._last_ms = ms
            self._last = ms << _RANDOM_BITS | int.from_bytes(self._randomness(10), "big")
        return self._last


def text(ulid: int) -> str:
    """Crockford base 32, most significant first; sorts as the integers do."""
    return "".join([_PAIRS[ulid >> shift & 1023] for shift in range(120, -1, -10)])
