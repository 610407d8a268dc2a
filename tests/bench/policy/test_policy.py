"""The policy part of the benchmark: every engine knows the right answers, made-up sites are valid, rows add up."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from bench.plant import Plant
from bench.policy.engines import ENGINES, Bulkhead, surfaces
from bench.policy.loading import loaded
from bench.policy.plan import PolicyPlan
from bench.policy.rows import engine_rows, loading_rows, reload_rows
from bench.policy.session import Asked, PolicySession
from bench.policy.site import FORMS, write_site
from bench.policy.tables import tables
from bench.policy.worker import asked
from bench.report import Report

if TYPE_CHECKING:
    from pathlib import Path

    from bench.plant import Question
    from bench.policy.engines import Engine


@pytest.mark.parametrize("kind", ENGINES, ids=lambda kind: kind.name)
def test_each_engine_gives_the_answers_that_are_known(kind: type[Engine]) -> None:
    engine = kind()
    if lacking := engine.missing():
        pytest.skip(lacking)
    plant = Plant.of(100)
    engine.load(plant)
    spent = asked(engine, plant, random.Random(1), 30)
    assert {name: len(values) for name, values in spent.items()} == {"first": 30, "allowed": 30, "refused": 30}


def test_a_wrong_answer_ends_the_phase() -> None:
    class Generous(Bulkhead):
        def open(self, question: Question) -> object:  # type: ignore[override]
            return lambda asked: True

    engine, plant = Generous(), Plant.of(10)
    engine.load(plant)
    with pytest.raises(Exception, match="were answered"):
        asked(engine, plant, random.Random(1), 1)  # type: ignore[arg-type]


def test_the_plant_as_surfaces_has_all_rules_once() -> None:
    plant = Plant.of(130)
    zones = surfaces(plant)
    assert [len(zone.rules) for zone in zones] == [50, 50, 30]
    assert [name for zone in zones for name in zone.members] == list(plant.surface.members)
    assert len({(rule.ref.surface, rule.ref.name) for zone in zones for rule in zone.rules}) == 130


@pytest.mark.parametrize("form", FORMS)
def test_a_made_up_site_is_valid(tmp_path: Path, form: str) -> None:
    found = loaded(write_site(tmp_path, 3, 20, form), 60)
    assert found["read"] > 0 and found["mib"] > 0


def test_a_worker_answers_round_by_round() -> None:
    worker = Asked("bulkhead", 10)
    try:
        worker.ask(2)
        worker.ask(2)
    finally:
        worker.close()
    assert len(worker.rounds) == 2
    assert worker.loaded["seconds"] > 0


def test_rows_say_how_many_times_ours() -> None:
    loads = {"seconds": 1.0, "mib": 5.0}
    ours = [{"first": 100.0, "allowed": 5.0, "refused": 6.0}]
    theirs = [{"first": 400.0, "allowed": 50.0, "refused": 3.0}]
    rows = list(engine_rows(1_000, {"bulkhead": (loads, ours), "pycasbin": (loads, theirs)}))
    rows += loading_rows(100_000, "short", [{"read": 8.0, "compiled": 1.0, "mib": 150.0}])
    rows += reload_rows({"quiet": [1.0, 2.0], "during": [11.0, 32.0], "longest": [20.0, 40.0], "takes": [9.0, 9.0]})
    text = "\n".join(tables(rows))
    assert "50.0 [10.0]" in text and "3.0 [0.5]" in text
    judged = {row.name: row.ok for row in rows if row.target}
    assert judged["policy.bulkhead.allowed.1000"] is True
    assert judged["policy.site.short.100000"] is True
    assert judged["policy.reload.p99.added"] is True
    assert next(row.value for row in rows if row.name == "policy.reload.p99.added") == 20.0


def test_what_is_not_installed_is_named() -> None:
    class Absent(Bulkhead):
        name = "absent"

        def missing(self) -> str | None:
            return "absent is not installed"

    report = Report({}, {}, {})
    PolicySession(PolicyPlan(rounds=1, rules={}), [Absent()], ["engines"], lambda _: None, report).run()
    assert report.missing == ["absent: absent is not installed"]
