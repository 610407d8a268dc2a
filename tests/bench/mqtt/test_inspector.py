"""What the inspector is timed on is checked: one that lets through too much, or too little, has no figure."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from bench.generator import WrongAnswers
from bench.mqtt import inspector
from bench.mqtt.inspector_cases import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_goes_through(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspector, "READS", 2)
    found = inspector.measure_case(case, 2)
    assert len(found) == 2
    assert min(found) > 1000


@pytest.mark.parametrize("case", [each for each in CASES if each.qos < 2], ids=lambda case: case.name)
def test_one_that_does_the_opposite_has_no_figure(case: Case) -> None:
    """The frames of the case, and what the opposite case wants of them."""
    session = inspector.Session(case.level, subscribed=True)
    chance = random.Random(1)
    mine, other = (list(inspector.steps(each, chance)) for each in (case, replace(case, refused=not case.refused)))
    if case.deliver:
        wrong = [replace(mine[0], client=b"")]
    else:
        wrong = [replace(mine[0], upstream=other[0].data if case.refused else b"", client=other[0].client)]
    with pytest.raises(WrongAnswers):
        inspector.check(case, session, wrong)


def test_a_rule_that_is_not_in_the_policy_lets_nothing_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspector, "RULE", {"publish": ["{place}/other/#"]})
    with pytest.raises(WrongAnswers):
        inspector.measure_case(CASES[0], 1)
