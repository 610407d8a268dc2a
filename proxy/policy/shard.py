"""The rows of one surface for one device: the unit that Casbin is asked about.

Casbin walks all rows of an enforcer (0.6 us each), so enforcers are kept small: one per surface and device, made when
it is first needed, and past `BUCKET` rows several, with the rows spread by their subject. A shard lists rows and
answers no `enforce`, so roles are none of its business: it outlives a change of them.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from proxy.policy.rows import TARGET, Clause, Row, clauses, enforcer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.core.surface import Surface

BUCKET = 64
LARGE = 256
"""Rows from which a shard is laid out when the policy is compiled, not when the first link needs it."""


class Shard:
    """What ``surface`` says about ``device``: its rules at ``places``."""

    __slots__ = ("_buckets", "_clauses", "_places", "device", "enforcers", "surface")

    def __init__(self, surface: Surface, device: str, places: Sequence[int]) -> None:
        self.surface = surface
        self.device = device
        self._places = tuple(places)
        self._clauses: dict[str, Clause] = {}
        self._buckets: list[list[Row]] = []
        self.enforcers: list[Any] = []
        rules = surface.rules
        if sum(len(rules[at].speakers) * len(rules[at].targets) for at in self._places) >= LARGE:
            self._lay_out()

    def permissions(self, subject: str, protocol: str) -> Iterator[Clause]:
        """The clauses that Casbin lists for exactly this subject (roles are subjects of their own).

        Casbin's filter reads an empty value as *any*: neither ``subject`` (always prefixed) nor ``device`` nor
        ``protocol`` may be empty. A row that is not what was asked for raises.
        """
        if not self._buckets:
            self._lay_out()
        asked = [subject, self.device, protocol]
        for row in self._enforcer(subject).get_filtered_policy(0, *asked):
            if row[: len(asked)] != asked:
                raise RuntimeError(f"Casbin listed {row} for {asked}")
            yield self._clauses[row[TARGET]]

    def _lay_out(self) -> None:
        rows: list[Row] = []
        for clause in clauses(self.surface, self._places):
            self._clauses[clause.key] = clause
            rows.extend(clause.rows(self.device))
        count = 1 + len(rows) // BUCKET
        buckets: list[list[Row]] = [[] for _ in range(count)]
        for row in rows:
            buckets[_bucket(row[0], count)].append(row)
        self.enforcers = [None] * count
        self._buckets = buckets

    def _enforcer(self, subject: str) -> Any:
        at = _bucket(subject, len(self._buckets))
        made = self.enforcers[at]
        if made is None:
            made = self.enforcers[at] = enforcer(self._buckets[at])
        return made


def _bucket(subject: str, count: int) -> int:
    return zlib.crc32(subject.encode()) % count if count > 1 else 0
