"""How much a test does: a push gets the short form, ``--campaign NAME`` the long one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, settings

TIMEOUT = 7200
"""Seconds a test may take inside its campaign."""
PUSH_EXAMPLES = 200
FULL_EXAMPLES = 5000


@dataclass(frozen=True)
class Campaigns:
    """The names given with ``--campaign``."""

    given: Iterable[str] = ()
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(self.given))

    def count(self, name: str, *, push: int, full: int) -> int:
        """``full`` if the campaign ``name`` was asked for."""
        return full if name in self.names else push


def needed(item: pytest.Item) -> frozenset[str]:
    """The campaigns without which this test does not run at all."""
    return frozenset(str(mark.args[0]) for mark in item.iter_markers("campaign"))


def in_ci() -> bool:
    """CI promises its tools and wants the same run twice."""
    return os.environ.get("CI") == "true"


def set_hypothesis_profiles(campaigns: Campaigns) -> None:
    """A push runs the same examples each time in CI, random ones on a desk; ``--campaign properties`` runs many.

    There is no deadline per example: the machines are shared, and the fuzz suite measures thread time.
    """
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    found = [phase for phase in Phase if phase not in (Phase.shrink, Phase.explain)]
    settings.register_profile(
        "push", max_examples=PUSH_EXAMPLES, deadline=None, derandomize=in_ci(), suppress_health_check=slow
    )
    settings.register_profile(
        "properties", max_examples=FULL_EXAMPLES, deadline=None, print_blob=True, suppress_health_check=slow
    )
    # Of a seeded bug, any example will do: the shortest takes ten times as long to find.
    settings.register_profile("noticed", settings.get_profile("push"), phases=found)
    settings.load_profile("properties" if "properties" in campaigns.names else "push")
