"""The cyclic collector, kept away from what is large and stays.

A site of 100,000 rules is a million objects, none of which is in a cycle. The collector walks them again and again
while they are made, for a third of the time that this takes, and one walk over all of them stops a process with live
links for half a second.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 50_000
"""Objects made in one go from which they are set aside for good."""


@contextmanager
def without_collector() -> Iterator[None]:
    """For making much that stays. Afterwards the collector does not look at it any more (`gc.freeze`): it goes as soon
    as nobody refers to it, unless it refers to itself."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if gc.get_count()[0] > MANY:
                gc.freeze()
            gc.enable()
