"""Vectors: one device for many masters, call by call; and what a vector cannot say."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.protocols.modbus.service import ModbusService, parse_service
from tests.modbus.frames import frame, hexes, read, read_all, show
from tests.modbus.harness import Device, connected
from tests.modbus.vectors import cases

STEPS = ("submit", "opened", "from", "lost", "leave", "tick")
GIVES = ("sends", "answers", "dials", "hangs_up", "events", "deadline")


def service_of(options: dict[str, Any]) -> ModbusService:
    def report(path: object, wrong: str, mend: str = "") -> None:
        raise AssertionError(f"{path}: {wrong} ({mend})")

    service = parse_service(options, report)
    assert service is not None
    return service


@pytest.mark.parametrize("vector", cases("device"))
def test_a_device(vector: dict[str, Any]) -> None:
    device = Device(service_of(vector.get("service", {})))
    for number, step in enumerate(vector["steps"], 1):
        unknown = set(step) - {*STEPS, *GIVES}
        assert not unknown, f"step {number}: {unknown}"
        take(device, step)
        given, wanted = outcome(device), expected(step)
        if "deadline" not in step:
            del given["deadline"], wanted["deadline"]
        assert given == wanted, f"step {number}: {step}"


def take(device: Device, step: dict[str, Any]) -> None:
    match next(iter(step.items())):
        case "submit", (master, text):
            for message in read(text):
                device.submit(master, message)
        case "opened", connection:
            device.opened(connection)
        case "from", (connection, text):
            device.receive(connection, b"".join(read(text)))
        case "lost", connection:
            device.lost(connection)
        case "leave", master:
            device.leave(master)
        case "tick", now:
            device.tick(now)
        case name, _:
            raise ValueError(f"unknown step {name}")


def outcome(device: Device) -> dict[str, Any]:
    told = device.look()
    return {
        "sends": {number: show(frames) for number, frames in told.sends.items()},
        "answers": [[master, *show([message])] for master, message in told.answers],
        "dials": told.dials,
        "hangs_up": told.hangs_up,
        "events": told.events,
        "deadline": device.machine.deadline(),
    }


def expected(step: dict[str, Any]) -> dict[str, Any]:
    return {
        "sends": {number: show(read_all(texts)) for number, texts in step.get("sends", {}).items()},
        "answers": [[master, *show(read(text))] for master, text in step.get("answers", [])],
        "dials": step.get("dials", []),
        "hangs_up": step.get("hangs_up", []),
        "events": step.get("events", []),
        "deadline": step.get("deadline"),
    }


def test_what_is_no_request_raises_and_is_not_sent() -> None:
    """An inspector with a bug must not reach the device through here."""
    for pdu in ("03 0000", "03 0000 007E", "09", "83 02"):
        device = connected()
        with pytest.raises(ValueError, match="no request"):
            device.submit(1, frame(1, 1, hexes(pdu)))
        device.tick(0.0)
        assert device.look().sends == {}


def test_transaction_ids_wrap_and_step_over_those_in_use() -> None:
    device = connected(ModbusService(pipeline=2))
    device.submit(1, frame(0xAAAA, 1, hexes("03 0000 0001")))
    (stays,) = device.look().sends[0]
    seen = []
    for _ in range(65540):
        device.submit(1, frame(0xBBBB, 1, hexes("03 0000 0001")))
        (sent,) = device.look().sends[0]
        seen.append(sent[:2])
        device.receive(0, sent[:2] + hexes("0000 0005 01 03 02 0007"))
    assert stays[:2] not in seen
    assert len(set(seen)) == 65535
    device.receive(0, stays[:2] + hexes("0000 0005 01 03 02 0007"))
    assert device.look().answers[-1] == (1, frame(0xAAAA, 1, hexes("03 02 0007")))


def test_a_fresh_device_knows_no_deadline() -> None:
    assert Device().machine.deadline() is None
