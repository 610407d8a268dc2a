"""What is large and stays is not walked by the collector; what is small is left to it."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from proxy.core import collector
from proxy.core.collector import without_collector

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.enable()


def test_it_does_not_run_meanwhile() -> None:
    with without_collector():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), without_collector():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_whoever_switched_it_off_keeps_it_off() -> None:
    gc.disable()
    with without_collector():
        pass
    assert not gc.isenabled()


@pytest.mark.parametrize(("count", "aside"), [(10, False), (10_000, True)])
def test_much_is_set_aside(monkeypatch: pytest.MonkeyPatch, count: int, aside: bool) -> None:
    monkeypatch.setattr(collector, "MANY", 5_000)  # so that the test is quick
    gc.collect()
    with without_collector():
        kept = [[number] for number in range(count)]
    walked = {id(one) for one in gc.get_objects()}
    assert (id(kept[0]) not in walked) is aside
    assert bool(gc.get_freeze_count()) is aside
