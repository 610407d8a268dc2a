"""Vectors: which answers of a device pass, and what a wrong one costs it."""

from __future__ import annotations

import pytest

from tests.modbus.frames import frame, hexes
from tests.modbus.harness import connected
from tests.modbus.vectors import load

FITS = [
    pytest.param(vector["request"], answer, id=f"{vector['name']}: {answer[:40]}")
    for vector in load("answers")
    for answer in vector["fits"]
]
BREAKS = [
    pytest.param(vector["request"], answer, id=f"{vector['name']}: {answer[:40]}")
    for vector in load("answers")
    for answer in vector["breaks"]
]
OURS = 2
"""The first transaction id that `connected` leaves free."""


@pytest.mark.parametrize(("request_pdu", "answer"), FITS)
def test_an_answer_passes_under_the_masters_own_id(request_pdu: str, answer: str) -> None:
    device = connected()
    device.submit(7, frame(0xBEEF, 3, hexes(request_pdu)))
    assert device.look().sends == {0: [frame(OURS, 3, hexes(request_pdu))]}
    device.receive(0, frame(OURS, 3, hexes(answer)))
    told = device.look()
    assert told.answers == [(7, frame(0xBEEF, 3, hexes(answer)))]
    assert (told.hangs_up, told.events) == ([], [])


@pytest.mark.parametrize(("request_pdu", "answer"), BREAKS)
def test_a_wrong_answer_costs_the_connection(request_pdu: str, answer: str) -> None:
    device = connected()
    device.submit(7, frame(0xBEEF, 3, hexes(request_pdu)))
    device.receive(0, frame(OURS, 3, hexes(answer)))
    told = device.look()
    assert told.answers == [(7, frame(0xBEEF, 3, bytes((hexes(request_pdu)[0] | 0x80, 0x0B))))]
    assert (told.hangs_up, told.events) == ([0], ["device BH-1108"])


@pytest.mark.parametrize(
    "header",
    ["0002 0000 0000 03", "0002 0000 0001 03", "0002 0000 0002 03 03", "0002 0000 00FF 03", "0002 0000 0105 03",
     "0002 0001 0005 03", "0002 FFFF 0005 03", "0002 8000 0005 03"],
)  # fmt: skip
def test_an_answer_with_a_broken_header_costs_the_connection(header: str) -> None:
    device = connected()
    device.submit(7, frame(0xBEEF, 3, hexes("03 0000 0001")))
    device.receive(0, hexes(header) + hexes("03 02 0000"))
    told = device.look()
    assert told.answers == [(7, frame(0xBEEF, 3, hexes("83 0B")))]
    assert told.hangs_up == [0]


def test_every_function_has_answers() -> None:
    assert {hexes(vector["request"])[0] for vector in load("answers")} == {
        *(1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 17, 20, 21, 22, 23, 24, 43, 90),
    }
