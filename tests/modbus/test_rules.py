"""Vectors: the language of rules; and the one-line questions and service options beside it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.protocols.modbus.rules import parse_never, parse_rule
from proxy.protocols.modbus.service import ModbusService, parse_service
from proxy.protocols.modbus.texts import parse_actions
from tests.modbus.vectors import cases


class Reports:
    """Collects what a parser reports."""

    def __init__(self) -> None:
        self.found: list[tuple[list[str | int], str, str]] = []

    def __call__(self, path: tuple[str | int, ...], wrong: str, mend: str = "") -> None:
        self.found.append((list(path), wrong, mend))


@pytest.mark.parametrize("vector", cases("rules"))
def test_a_section(vector: dict[str, Any]) -> None:
    reports = Reports()
    parse = parse_never if vector.get("never") else parse_rule
    targets = parse(vector["value"], reports)
    wanted = vector.get("wrong", [])
    assert sorted(map(str, (path for path, _, _ in reports.found))) == sorted(map(str, (path for path, _ in wanted)))
    for path, words in wanted:
        said = [f"{wrong}; {mend}" for at, wrong, mend in reports.found if at == path]
        assert any(words in text for text in said), said
    assert all(mend for _, _, mend in reports.found), "each report says how to mend it"
    if not wanted:
        assert [target.describe() for target in targets] == vector["means"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("read holding 5-9", "read holding 5-9 [40006-40010] (unit 1)"),
        ("read holding 5-9 unit 2", "read holding 5-9 [40006-40010] (unit 2)"),
        ("  read   coil 0  unit 0 ", "read coil 0 [00001] (unit 0)"),
        ("write holding 40 = 77", "write holding 40 [40041] = 77 (unit 1)"),
        ("write holding 40-41 = 1, 0x0002", "write holding 40-41 [40041-40042] = 1, 2 (unit 1)"),
        ("write holding 40-42 = 5", "write holding 40-42 [40041-40043] = 5, 5, 5 (unit 1)"),
        ("write coil 3 = 1", "write coil 3 [00004] = 1 (unit 1)"),
        ("mask holding 5 and 0xFF00 or 0x0012", "write holding 5 [40006] and 0xFF00 or 0x0012 (unit 1)"),
        ("read-fifo holding 7", "read-fifo holding 7 [40008] (unit 1)"),
        ("read-file 4 0-9", "read-file file 4 0-9 (unit 1)"),
        ("write-file 4 7 = 9", "write-file file 4 7 = 9 (unit 1)"),
        ("identify regular", "identify regular (unit 1)"),
        ("diagnose 11", "diagnose sub-function 11 (unit 1)"),
        ("diagnose function 11", "diagnose function 11 (unit 1)"),
        ("control 4 unit 255", "control sub-function 4 (unit 255)"),
        ("program 90", "program function 90 (unit 1)"),
        ("vendor 100", "vendor function 100 (unit 1)"),
    ],
)
def test_a_question(text: str, said: str) -> None:
    assert [action.describe() for action in parse_actions(text)] == [said]


@pytest.mark.parametrize(
    "text",
    [
        "", "read", "read holding", "read holdings 5", "read holding 9-5", "read holding 65536", "read holding 5 = 1",
        "write holding 5", "write input 5 = 1", "write holding 5 = 65536", "write holding 5 = -1", "write coil 5 = 2",
        "write holding 5-7 = 1, 2", "read holding 5 unit 256", "read coil 0-2000", "mask holding 5",
        "mask holding 5 and 1 or 0x10000", "identify full", "diagnose 1", "control 0", "program 3", "vendor 90", "drop",
        "read-fifo coil 1", "read-file 4", "write holding \u0665 = 1",
    ],
)  # fmt: skip
def test_a_question_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=".{10}"):
        parse_actions(text)


def test_a_service_has_defaults() -> None:
    reports = Reports()
    assert parse_service({}, reports) == ModbusService(None, 1, 1, 1.0, False)
    assert reports.found == []


@pytest.mark.parametrize(
    ("value", "service"),
    [
        ({"units": [1, 255, 0]}, ModbusService(units=frozenset({0, 1, 255}))),
        ({"units": 7, "connections": 16, "pipeline": 64}, ModbusService(frozenset({7}), 16, 64)),
        ({"timeout": "500ms", "answers_other_unit": True}, ModbusService(timeout=0.5, answers_other_unit=True)),
        ({"timeout": "60s"}, ModbusService(timeout=60.0)),
        ({"timeout": "10ms"}, ModbusService(timeout=0.01)),
    ],
)
def test_a_service(value: dict[str, Any], service: ModbusService) -> None:
    reports = Reports()
    assert parse_service(value, reports) == service
    assert reports.found == []


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, []), ([], []), ({"unit": 1}, ["unit"]), ({"units": [248]}, ["units"]), ({"units": []}, ["units"]),
        ({"units": [True]}, ["units"]), ({"units": "1"}, ["units"]), ({"connections": 0}, ["connections"]),
        ({"connections": 17}, ["connections"]), ({"connections": True}, ["connections"]),
        ({"pipeline": 65}, ["pipeline"]), ({"pipeline": "4"}, ["pipeline"]),
        ({"timeout": 1}, ["timeout"]), ({"timeout": "1"}, ["timeout"]),
        ({"timeout": "0s"}, ["timeout"]), ({"timeout": "61s"}, ["timeout"]), ({"timeout": "1m"}, ["timeout"]),
        ({"timeout": "\u0661s"}, ["timeout"]), ({"answers_other_unit": 1}, ["answers_other_unit"]),
    ],
)  # fmt: skip
def test_a_service_that_is_wrong(value: object, path: list[str]) -> None:
    reports = Reports()
    assert parse_service(value, reports) is None
    assert [at for at, _, _ in reports.found] == [path]
