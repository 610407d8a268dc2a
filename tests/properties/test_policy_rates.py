"""The promise of a rate, word for word: at most ``count`` messages in any ``seconds``."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.surface import Rate
from proxy.policy.rates import RateKey, Rates

STEPS = st.lists(st.floats(0.0, 30.0, allow_nan=False), min_size=1, max_size=80)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(1, 5), st.sampled_from([1.0, 10.0, 60.0]))
def test_no_window_holds_more_than_the_rate_and_nothing_is_refused_without_need(
    steps: list[float], count: int, seconds: float
) -> None:
    key = RateKey("cell", "rule", "id:scada", Rate(count, seconds))
    rates, now = Rates(), 0.0
    passed: list[float] = []
    for step in steps:
        now += step
        before = [at for at in passed if now - at < seconds]
        assert rates.ready(key, now) == (len(before) < count)
        if rates.ready(key, now):
            rates.take(key, now)
            passed.append(now)
    for at in passed:
        assert sum(1 for other in passed if at <= other and other - at < seconds) <= count


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0.0, 5.0, allow_nan=False)), max_size=60))
def test_forgetting_idle_budgets_changes_no_answer(asked: list[tuple[int, float]]) -> None:
    keys = [RateKey("cell", "rule", f"id:m{n}", Rate(2, 10.0)) for n in range(10)]
    small, large, now = Rates(limit=3), Rates(), 0.0
    for number, step in asked:
        now += step
        ready = large.ready(keys[number], now)
        assert small.ready(keys[number], now) == ready
        if ready:
            small.take(keys[number], now)
            large.take(keys[number], now)
