"""Vectors: whole streams of one master, in one piece and cut at every byte (style.md 8: cut the stream anywhere)."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.protocols.modbus.service import ModbusService
from tests.modbus.frames import read_all, show
from tests.modbus.harness import Client, Policy
from tests.modbus.vectors import cases
from tests.support.setting import FakeSetting


def client_for(vector: dict[str, Any]) -> Client:
    service = vector.get("service", {})
    units = frozenset(service["units"]) if "units" in service else None
    setting = FakeSetting(**vector.get("setting", {}))
    return Client(Policy(vector.get("rule"), vector.get("never")), setting, ModbusService(units=units))


def outcome(client: Client) -> dict[str, Any]:
    told = client.look()
    return {
        "device": show(told.device),
        "answers": show(told.answers),
        "events": told.events,
        "closes": told.closes,
        "deadline": None if client.closed else client.inspector.deadline(),
    }


def expected(vector: dict[str, Any]) -> dict[str, Any]:
    return {
        "device": show(read_all(vector.get("device", []))),
        "answers": show(read_all(vector.get("answers", []))),
        "events": vector.get("events", []),
        "closes": vector.get("closes"),
        "deadline": vector.get("deadline"),
    }


@pytest.mark.parametrize("vector", cases("streams"))
def test_in_one_piece(vector: dict[str, Any]) -> None:
    client = client_for(vector)
    client.send(b"".join(read_all(vector["client"])))
    assert outcome(client) == expected(vector)


@pytest.mark.parametrize("vector", cases("streams"))
def test_cut_at_every_byte(vector: dict[str, Any]) -> None:
    stream = b"".join(read_all(vector["client"]))
    for at in range(1, len(stream)):
        client = client_for(vector)
        client.send(stream[:at])
        client.send(stream[at:])
        assert outcome(client) == expected(vector), f"cut at {at}"


@pytest.mark.parametrize("vector", cases("streams"))
def test_byte_by_byte(vector: dict[str, Any]) -> None:
    client = client_for(vector)
    for byte in b"".join(read_all(vector["client"])):
        client.send(bytes((byte,)))
    assert outcome(client) == expected(vector)
