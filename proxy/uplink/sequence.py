"""NotificationMessages of one subscription, put in order: numbers go up by one, from 1, past 0 (Part 4, 5.14.1).

What is missing is asked for again (Republish); what is behind it waits until that is answered, well or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
LAST = 0xFFFFFFFF
FURTHEST = 100
"""Messages that are asked for again. A server keeps fewer; a larger step is a server that counts anew."""


@dataclass(frozen=True, slots=True)
class Lost:
    """This many messages are gone for good."""

    count: int


class _Waiting:
    """In the place of a message that was asked for again."""


_WAITING = _Waiting()


def after(number: int) -> int:
    return number % LAST + 1


class Sequence(Generic[T]):
    """``missing`` are the numbers to ask for, oldest first; whoever asks takes them out."""

    def __init__(self) -> None:
        self.missing: list[int] = []
        self.repeated = 0
        self._next = 1
        self._kept: dict[int, T | Lost | _Waiting] = {}

    def arrived(self, number: int, message: T) -> list[T | Lost]:
        """A message that tells something; what may now be taken, in order."""
        ahead = self._ahead(number)
        if ahead > LAST // 2 or self._is_there(number):
            self.repeated += 1
            return []
        found: list[T | Lost] = []
        if ahead > FURTHEST:
            found = self._give_up(number)
        self._expect(number)
        self._kept[number] = message
        if number in self.missing:
            self.missing.remove(number)
        return [*found, *self._ready()]

    def alive(self, number: int) -> None:
        """A keep-alive carries the number that the next message will have."""
        if self._ahead(number) <= FURTHEST:
            self._expect(number)

    def gone(self, number: int) -> list[T | Lost]:
        """It was asked for, and is not to be had any more."""
        if isinstance(self._kept.get(number), _Waiting):
            self._kept[number] = Lost(1)
        return self._ready()

    def _ahead(self, number: int) -> int:
        return (number - self._next) % LAST

    def _is_there(self, number: int) -> bool:
        return number in self._kept and not isinstance(self._kept[number], _Waiting)

    def _expect(self, number: int) -> None:
        """All before ``number`` that are not there are missing."""
        one = self._next
        while one != number:
            if one not in self._kept:
                self._kept[one] = _WAITING
                self.missing.append(one)
            one = after(one)

    def _give_up(self, number: int) -> list[T | Lost]:
        found = [one for one in self._kept.values() if not isinstance(one, _Waiting)]
        lost = self._ahead(number) - len(found)
        self._kept.clear()
        self.missing.clear()
        self._next = number
        return [*found, Lost(lost)]

    def _ready(self) -> list[T | Lost]:
        found: list[T | Lost] = []
        while not isinstance(one := self._kept.get(self._next, _WAITING), _Waiting):
            del self._kept[self._next]
            self._next = after(self._next)
            if isinstance(one, Lost) and found and isinstance(found[-1], Lost):
                found[-1] = Lost(found[-1].count + one.count)
            else:
                found.append(one)
        return found
