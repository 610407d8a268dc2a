"""Where samples wait for the broker. In memory here, and bounded; a spool on disk takes this place (another issue)."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from proxy.uplink.sample import missed_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.uplink.sample import Sample


class Backlog(Protocol):
    """In order of `Sample.number`, which only ever grows. None of these waits.

    What is in a backlog stays until `done` names it or it has to make room. The `missed` of what made room is told by
    the next sample of the same node, so that no gap goes unseen (threats.md 5: a gap marker with the count).
    """

    def put(self, sample: Sample) -> int:
        """Returns how many samples were dropped to make room."""
        ...

    def after(self, number: int, most: int) -> Sequence[Sample]:
        """Up to ``most`` of those with a higher number, oldest first."""
        ...

    def done(self, number: int) -> None:
        """All up to this one are with the broker."""
        ...

    def __len__(self) -> int: ...

    @property
    def dropped(self) -> int:
        """Since the start."""
        ...


class Ring:
    """A `Backlog` of at most ``most`` samples: the oldest goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: deque[Sample] = deque()
        self._owed: dict[str, int] = {}
        self._dropped = 0

    def put(self, sample: Sample) -> int:
        dropped = 0
        while len(self._kept) >= self._most:
            self._drop(self._kept.popleft())
            dropped += 1
        self._kept.append(sample)
        self._dropped += dropped
        return dropped

    def after(self, number: int, most: int) -> Sequence[Sample]:
        if not self._kept or self._kept[-1].number <= number:
            return ()
        first = self._kept[0].number
        begin = max(0, number + 1 - first) if self._kept[-1].number - first == len(self._kept) - 1 else 0
        found = islice(self._kept, begin, None)
        return [self._with_debt(one) for one in islice((s for s in found if s.number > number), most)]

    def done(self, number: int) -> None:
        while self._kept and self._kept[0].number <= number:
            self._owed.pop(self._kept.popleft().name, None)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def dropped(self) -> int:
        return self._dropped

    def _drop(self, sample: Sample) -> None:
        self._owed[sample.name] = missed_of(missed_of(self._owed.get(sample.name, 0), sample.missed), 1)

    def _with_debt(self, sample: Sample) -> Sample:
        """The oldest of its node tells what made room before it."""
        owed = self._owed.get(sample.name)
        if owed is None or next(one for one in self._kept if one.name == sample.name) is not sample:
            return sample
        return replace(sample, missed=missed_of(sample.missed, owed))
