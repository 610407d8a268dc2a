"""Medians with their spread; ratios are taken within a round, so that a slow minute touches both sides."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Spread:
    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """The median, least and greatest of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def paired(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """The ratios round by round; ValueError unless both sides have the same rounds."""
    return spread([above / below for above, below in zip(numerators, denominators, strict=True)])
