"""Which way round the OPC UA ratios are, and when a target counts as met."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.__main__ import Chosen, parse
from bench.opcua.inspector_cases import CASES, READ_GOAL, READ_REQUEST
from bench.opcua.measure import Trip, Trips, competition
from bench.opcua.plan import SESSIONS
from bench.opcua.programs import ASYNCUA_ENCRYPT, ASYNCUA_SIGN, DIRECT, ENCRYPT, HAPROXY, RELAY, SIGN, TITLES
from bench.opcua.rows import inspector_rows, trip_rows
from bench.opcua.tables import tables

if TYPE_CHECKING:
    from bench.rows import Row


def trip(p50: float, cpu: float | None = 10.0, waited: float = 0.0) -> Trip:
    return Trip(1000.0, p50, 2 * p50, cpu, 20.0, 0.5, waited)


def rows_of(figures: dict[str, list[Trip]]) -> dict[str, Row]:
    trips = Trips({(name, "read", 10): rounds for name, rounds in figures.items()})
    return {row.name: row for row in trip_rows(trips)}


@pytest.mark.parametrize(("p50", "met"), [(130.0, True), (131.0, False)])
def test_the_relay_may_take_a_third_longer_than_a_plain_one(p50: float, met: bool) -> None:
    rows = rows_of({RELAY: [trip(p50)], HAPROXY: [trip(100.0)], DIRECT: [trip(50.0, None)]})
    assert rows["opcua.bulkhead-relay.p50.read.10"].ok is met
    assert rows["opcua.bulkhead-relay.p50.read.10"].ratio == pytest.approx(p50 / 100)
    assert rows["opcua.haproxy.p50.read.10"].ratio == 2.0
    assert rows["opcua.haproxy.p50.read.10"].target is None


@pytest.mark.parametrize(("ours", "theirs"), [(SIGN, ASYNCUA_SIGN), (ENCRYPT, ASYNCUA_ENCRYPT)])
@pytest.mark.parametrize(("times", "met"), [(5.0, True), (4.9, False)])
def test_the_front_is_five_times_as_fast_as_the_glue_of_the_same_security(
    ours: str, theirs: str, times: float, met: bool
) -> None:
    rows = rows_of({ours: [trip(100.0, 20.0)], theirs: [trip(100.0 * times, 20.0 * times)]})
    assert rows[f"opcua.{ours}.p50.read.10"].ok is met
    assert rows[f"opcua.{ours}.per_cpu_second.read.10"].ok is met
    assert rows[f"opcua.{ours}.per_cpu_second.read.10"].value == 50_000


def test_without_its_peer_nothing_is_judged() -> None:
    rows = rows_of({RELAY: [trip(1.0)], SIGN: [trip(1.0)]})
    assert {row.ok for row in rows.values()} == {None}
    assert rows["opcua.bulkhead-relay.p50.read.10"].target == "ratio <= 1.3"


def test_no_proxy_has_no_cpu() -> None:
    assert "opcua.direct.cpu.read.10" not in rows_of({DIRECT: [trip(1.0, None)]})


def test_a_round_that_is_not_whole_is_dropped() -> None:
    trips = Trips({("a", "read", 1): [trip(1.0), trip(2.0)], ("b", "read", 1): [trip(3.0)], ("b", "read", 10): []})
    trips.whole_rounds()
    assert [len(rounds) for rounds in trips.rounds.values()] == [1, 1, 0]
    assert {row.name.rsplit(".", 1)[1] for row in trip_rows(trips)} == {"1"}


def test_a_core_that_others_use_is_told() -> None:
    trips = Trips({(HAPROXY, "read", 1): [trip(1.0, waited=share) for share in (0.0, 0.3, 0.9)]})
    assert competition(trips, (HAPROXY,)) == 0.3
    assert competition(trips, (RELAY,)) is None


@pytest.mark.parametrize(("cost", "met"), [(READ_GOAL, True), (READ_GOAL + 0.1, False)])
def test_a_known_read_has_ten_microseconds(cost: float, met: bool) -> None:
    (row,) = inspector_rows({READ_REQUEST: [1.0, cost, 99.0]})
    assert (row.ok, row.value, row.unit) == (met, cost, "us")


def test_every_row_is_in_a_table() -> None:
    trips = Trips({(name, "write", size): [trip(1.0)] for name in TITLES for size in SESSIONS})
    rows = [*trip_rows(trips), *inspector_rows({case.name: [1.0] for case in CASES})]
    text = "\n".join(tables(rows, TITLES, {"rounds": 1, "seconds": 1.0}))
    assert all(title in text for title in (*TITLES.values(), *(case.title for case in CASES), "100 sessions"))
    assert not list(tables([], TITLES, {}))


def test_one_part_is_chosen_by_its_name() -> None:
    options = parse(["--only", "opcua", "bulkhead"])
    chosen = Chosen.of(options.only, options.phases)
    assert [program.name for program in chosen.opcua_programs] == ["bulkhead"]
    assert (chosen.opcua_phases, chosen.phases, chosen.mqtt_phases) == (["inspector", "roundtrips"], [], [])
    assert not Chosen.of(["mqtt"], options.phases).opcua_phases
