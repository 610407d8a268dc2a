"""Looking for what lies near finds exactly what asking everything would, in the same order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.policy.extent import FEW, Nearby
from tests.policy.toy import ToyAction, ToyTarget

SPANS = st.tuples(st.integers(0, 40), st.sampled_from([0, 0, 1, 3, 30]))
ASKED = st.tuples(st.integers(0, 60), st.integers(1, 5))


@settings(max_examples=200, deadline=None)
@given(st.lists(SPANS, min_size=FEW + 1, max_size=30), st.lists(ASKED, min_size=5, max_size=20))
def test_nothing_near_is_missed(spans: list[tuple[int, int]], asked: list[tuple[int, int]]) -> None:
    targets = [ToyTarget("read", first, first + more) for first, more in spans]
    nearby = Nearby([(at, target) for at, target in enumerate(targets)])
    for first, count in asked:
        action = ToyAction("read", first, (0,) * count)
        loose = [at for at, target in enumerate(targets) if target.extent is None]
        touched = [at for at, target in enumerate(targets) if target.covers(action)]
        assert list(nearby.to(action)) == sorted({*loose, *touched})


def test_few_are_all_asked() -> None:
    targets = [ToyTarget("read", at, at) for at in range(FEW)]
    assert Nearby([(at, target) for at, target in enumerate(targets)]).to(ToyAction("read", 50, (0,))) == (*range(FEW),)


def test_an_action_that_lies_nowhere_is_put_to_all() -> None:
    class Nowhere(ToyAction):
        @property
        def extent(self) -> tuple[str, int, int] | None:  # type: ignore[override]
            return None

    targets = [ToyTarget("read", at, at) for at in range(20)]
    assert len(Nearby([(at, target) for at, target in enumerate(targets)]).to(Nowhere("read", 3, (0,)))) == 20


def test_another_space_is_far_away() -> None:
    class Elsewhere(ToyAction):
        @property
        def extent(self) -> tuple[str, int, int]:
            return "moon", self.first, self.first

    targets = [ToyTarget("read", at, at) for at in range(20)]
    loose = [at for at, target in enumerate(targets) if target.extent is None]
    assert list(Nearby([(at, target) for at, target in enumerate(targets)]).to(Elsewhere("read", 3, (0,)))) == loose
