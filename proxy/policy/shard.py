"""The rows of one surface for one device: the unit that Casbin is asked about.

Casbin walks all rows of an enforcer (0.6 us each), so enforcers are kept small: one per surface and device, made when
it is first needed, and past `BUCKET` rows several, with the rows spread by their subject. A shard lists rows and
answers no `enforce`, so roles are none of its business: it outlives a change of them.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from proxy.policy.rows import TARGET, Clause, Row, clauses, enforcer
from proxy.policy.speaker import subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.core.surface import Surface

BUCKET = 64
LARGE = 512
"""Rules from which a shard knows when it is made which of them belong to which bucket. To go through fewer when a
bucket is first needed takes less time than to make its enforcer."""


class Shard:
    """What ``surface`` says about ``device``: its rules at ``places``. ``enforcers`` by the number of the bucket."""

    __slots__ = ("_clauses", "_count", "_places", "_spread", "device", "enforcers", "surface")

    def __init__(self, surface: Surface, device: str, places: Sequence[int]) -> None:
        self.surface = surface
        self.device = device
        self._places = places
        rules = surface.rules
        self._count = 1 + sum(len(rules[at].speakers) * len(rules[at].targets) for at in places) // BUCKET
        self._clauses: dict[str, Clause] = {}
        self._spread = self._by_bucket() if len(places) >= LARGE else None
        self.enforcers: dict[int, Any] = {}

    def permissions(self, subject: str, protocol: str) -> Iterator[Clause]:
        """The clauses that Casbin lists for exactly this subject (roles are subjects of their own).

        Casbin's filter reads an empty value as *any*: neither ``subject`` (always prefixed) nor ``device`` nor
        ``protocol`` may be empty. A row that is not what was asked for raises.
        """
        bucket = self._bucket(subject)
        made = self.enforcers.get(bucket)
        if made is None:
            made = self.enforcers[bucket] = enforcer(self._rows(bucket))
        asked = [subject, self.device, protocol]
        for row in made.get_filtered_policy(0, *asked):
            if row[: len(asked)] != asked:
                raise RuntimeError(f"Casbin listed {row} for {asked}")
            yield self._clauses[row[TARGET]]

    def _rows(self, bucket: int) -> list[Row]:
        rows: list[Row] = []
        for at in self._places if self._spread is None else self._spread.get(bucket, ()):
            here = [s for s in map(subject, self.surface.rules[at].speakers) if self._bucket(s) == bucket]
            if here:
                for clause in clauses(self.surface, [at]):
                    self._clauses[clause.key] = clause
                    rows.extend(clause.rows(self.device, here))
        return rows

    def _by_bucket(self) -> dict[int, list[int]]:
        spread: dict[int, list[int]] = {}
        for at in self._places:
            for bucket in dict.fromkeys(self._bucket(subject(name)) for name in self.surface.rules[at].speakers):
                spread.setdefault(bucket, []).append(at)
        return spread

    def _bucket(self, subject: str) -> int:
        return zlib.crc32(subject.encode()) % self._count if self._count > 1 else 0
