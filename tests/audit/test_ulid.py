from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from proxy.audit import ulid


def test_text_is_the_example_of_the_specification() -> None:
    # 01ARZ3NDEKTSV4RRFFQ69G5FAV in the spec's README; its time is 1469922850259 ms.
    value = 0
    for char in "01ARZ3NDEKTSV4RRFFQ69G5FAV":
        value = value << 5 | ulid.ALPHABET.index(char)
    assert ulid.text(value) == "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    assert value >> 80 == 1469922850259


@given(st.lists(st.floats(0, 4e9), min_size=2, max_size=50))
def test_ids_rise_whatever_the_wall_clock_does(walls: list[float]) -> None:
    ids = ulid.Ulids(os.urandom)
    made = [ids.next(wall) for wall in walls]
    assert made == sorted(set(made))
    assert [ulid.text(one) for one in made] == sorted(ulid.text(one) for one in made)
    assert all(len(ulid.text(one)) == 26 for one in made)


def test_randomness_is_used_and_time_is_in_front() -> None:
    one = ulid.Ulids(lambda n: b"\xff" * n).next(2.0)
    assert one == 2000 << 80 | (1 << 80) - 1
    overflowing = ulid.Ulids(lambda n: b"\xff" * n)
    assert overflowing.next(2.0) < overflowing.next(2.0)
