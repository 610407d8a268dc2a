"""Vectors: the shape of one request, through a whole inspector under a policy that allows all that can be named."""

from __future__ import annotations

from typing import Any

import pytest

from tests.modbus.frames import frame, hexes
from tests.modbus.harness import Client, Policy
from tests.modbus.vectors import load

ROWS = [
    pytest.param(pdu, gives, id=f"{vector['name']}: {what}")
    for vector in load("requests")
    for what, pdu, gives in vector["rows"]
]


@pytest.mark.parametrize(("pdu", "gives"), ROWS)
def test_a_request_gives(pdu: str, gives: str) -> None:
    asked = frame(0x1234, 1, hexes(pdu))
    assert outcome(asked) == expected(asked, gives)


def outcome(asked: bytes) -> dict[str, Any]:
    client = Client(Policy())
    client.send(asked)
    told = client.look()
    return {"device": told.device, "answers": told.answers, "closes": told.closes}


def expected(asked: bytes, gives: str) -> dict[str, Any]:
    if gives == "forward":
        return {"device": [asked], "answers": [], "closes": None}
    if gives == "close":
        return {"device": [], "answers": [], "closes": "BH-1102"}
    answer = frame(0x1234, 1, bytes((asked[7] | 0x80, int(gives, 16))))
    return {"device": [], "answers": [answer], "closes": None}


def test_the_vectors_name_every_function_of_the_table() -> None:
    seen = {hexes(row[1])[0] for vector in load("requests") for row in vector["rows"] if row[2] == "forward"}
    assert seen == {
        *(1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 17, 20, 21, 22, 23, 24, 43),
        *(40, 42, 90, 125, 126, 65, 72, 100, 110),
    }
