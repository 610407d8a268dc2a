"""Vectors: what policy is asked for one request."""

from __future__ import annotations

from typing import Any

import pytest

from tests.modbus.frames import frame, hexes
from tests.modbus.harness import Client, Policy
from tests.modbus.vectors import cases

CHANGES = {"write", "write-file", "control", "program", "vendor"}


@pytest.mark.parametrize("vector", cases("actions"))
def test_policy_is_asked(vector: dict[str, Any]) -> None:
    policy = Policy()
    Client(policy).send(frame(1, vector.get("unit", 1), hexes(vector["pdu"])))
    (asked,) = policy.asked
    assert [action.describe() for action in asked] == vector["asks"]
    for action in asked:
        assert action.protocol == "modbus"
        assert action.changes == (action.verb in CHANGES)


def test_policy_is_not_asked_about_what_is_refused_before() -> None:
    policy = Policy()
    client = Client(policy)
    for pdu in ("09", "2B 0D 00", "03 0000 0000", "06 0000 00"):
        client.send(frame(1, 1, hexes(pdu)))
    client = Client(policy)
    client.send(frame(1, 250, hexes("03 0000 0001")))
    client.send(frame(1, 0, hexes("03 0000 0001")))
    assert policy.asked == []


@pytest.mark.parametrize("vector", cases("actions"))
def test_every_act_carries_the_code_that_brought_it(vector: dict[str, Any]) -> None:
    """A never rule may name the function: `function: [23]` forbids both halves."""
    pdu = hexes(vector["pdu"])
    for code in range(1, 128):
        policy = Policy(never={"function": [code]})
        client = Client(policy)
        client.send(frame(1, 1, pdu))
        assert bool(client.look().answers) == (code == pdu[0]), code
