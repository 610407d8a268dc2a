"""The inspector's cases: each is right with the product as it is, and says so when it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.generator import WrongAnswers
from bench.opcua.channel_costs import Security, measure_chunk, measure_open, security
from bench.opcua.inspector import check, measure_case, mixed_exchange, read_exchange
from bench.opcua.inspector_cases import CHUNK_CASES, INSPECTOR_CASES, OPEN_CASES
from bench.opcua.inspector_world import World


@pytest.mark.parametrize("name", [case.name for case in INSPECTOR_CASES])
def test_each_case_is_answered_as_it_must_be(name: str) -> None:
    (cost,) = measure_case(name, 1)
    assert 0 < cost < 100_000


@pytest.fixture(scope="module")
def known() -> Security:
    return security()


@pytest.mark.parametrize("name", [case.name for case in CHUNK_CASES])
def test_each_channel_carries_its_chunks(known: Security, name: str) -> None:
    assert len(measure_chunk(known, name, 1)) == 1


@pytest.mark.parametrize("name", [case.name for case in OPEN_CASES[:2]])
def test_channels_open(known: Security, name: str) -> None:
    assert all(cost > 0 for cost in measure_open(known, name, 1))


def test_what_reaches_the_server_otherwise_is_noticed() -> None:
    world = World()
    right = read_exchange(world)
    with pytest.raises(WrongAnswers, match="in place of"):
        check(world, replace(right, upstream=right.upstream[:-1] + b"x"), "read")


def test_a_merge_in_another_order_is_noticed() -> None:
    world = World()
    right = mixed_exchange(world)
    check(world, right, "write")
    other = mixed_exchange(world)
    with pytest.raises(WrongAnswers, match="in place of"):
        check(world, replace(other, refused=1), "write")
