"""A run begins with the files that take longest."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.house.repository import ROOT
from tests.support.order import LONGEST, longest_first


@pytest.mark.parametrize("name", LONGEST)
def test_a_long_file_is_there(name: str) -> None:
    assert (ROOT / "tests" / name).is_file(), "renamed or gone: mend tests/support/order.py"


def test_the_longest_come_first_and_the_rest_as_it_was() -> None:
    tests = Path("/checkout/tests")
    names = ["audit/test_a.py", LONGEST[1], LONGEST[0], LONGEST[1], "other/test_b.py", LONGEST[0]]
    items = [SimpleNamespace(path=tests / name, number=number) for number, name in enumerate(names)]
    ordered = cast("list[SimpleNamespace]", longest_first(cast("list[pytest.Item]", items), tests))
    assert [item.number for item in ordered] == [2, 5, 1, 3, 0, 4]
