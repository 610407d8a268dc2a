"""The quick device and the generator, straight to each other: what they count, and that wrong answers are noticed."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from bench.generator import WrongAnswers
from bench.opcua import names
from bench.opcua.correctness import OpcuaSuite
from bench.opcua.device import Subscription, published
from bench.opcua.generator import Generator, Window, schedstat
from bench.opcua.operations import WRITTEN
from bench.opcua.plan import OPERATIONS
from bench.opcua.programs import DIRECT, RELAY, Target
from proxy.protocols.opcua.decode import decode, decode_inner, encode
from proxy.protocols.opcua.services.subscription import DataChangeNotification, PublishResponse

if TYPE_CHECKING:
    from bench.opcua.device import Device


class Near:
    """`bench.opcua.measure.Device` without a process of its own."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def counts(self) -> dict[str, object]:
        return self._device.counts | {"values": self._device._written()}


def test_a_notification_packed_by_hand_is_what_the_codec_reads() -> None:
    subscription = Subscription(77, 4, {3: 1.5, 9: -2.0})
    body = published(12, subscription)
    found = decode(body)
    assert isinstance(found, PublishResponse)
    assert encode(found) == body
    assert (found.header.request_handle, found.subscription_id) == (12, 77)
    assert found.notification_message.sequence_number == 5
    (holder,) = found.notification_message.notification_data or ()
    data = decode_inner(holder)
    assert isinstance(data, DataChangeNotification)
    told = [
        (item.client_handle, item.value.value and item.value.value.numbers()) for item in data.monitored_items or ()
    ]
    assert told == [(3, (1.5,)), (9, (-2.0,))]
    assert not subscription.waiting


@pytest.fixture
def generator(device: Device) -> Generator:
    control: int = device.control.getsockname()[1]
    made = Generator(control)
    made.do({"do": "open", "target": "t", "sessions": 3, "door": {"port": device.port}})
    return made


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_device_sees_as_many_as_are_answered(device: Device, generator: Generator, operation: str) -> None:
    said = {"target": "t", "operation": operation, "sessions": 3, "seconds": 0.05, "warmup": 0.01}
    generator.do(said | {"do": "prepare"})
    before = dict(device.counts)
    found = generator.do(said | {"do": "run", "watch": {"self": [os.getpid()]}})
    key = "changes" if operation == "notify" else operation
    assert device.counts[key] - before[key] == found["total"] >= found["count"] > 0
    assert set(found["spent"]) == {"self"}
    assert 0 < found["p50_us"] <= found["p99_us"]
    if operation == "write":
        assert all(device._written()[name] in WRITTEN for name in names.WRITE_NAMES[:3])


def test_another_value_than_the_first_is_noticed(device: Device, generator: Generator) -> None:
    said = {"do": "run", "target": "t", "operation": "read", "sessions": 1, "seconds": 0.05, "warmup": 0, "watch": {}}
    generator.do(said)
    kept = {key: each for key, each in device.kept.items() if not each.write}
    first = next(iter(kept.values()))
    right, first.answer = first.answer, first.answer[:-9] + b"\x01" + first.answer[-8:]
    try:
        with pytest.raises(WrongAnswers, match="was answered as"):
            generator.do(said)
    finally:
        first.answer = right


def test_a_window_counts_what_is_inside() -> None:
    now = time.perf_counter_ns()
    window = Window(now + 1_000, 1.0, {})
    assert [window.look(now), window.look(window.opens), window.look(window.ends), window.look(now)] == [
        False, True, False, False,
    ]  # fmt: skip
    with pytest.raises(WrongAnswers, match="nothing was answered"):
        window.result(0)


def test_the_scheduler_knows_this_process() -> None:
    ran, waited = schedstat([os.getpid()])
    assert ran > 0
    assert waited >= 0


def test_checks_of_what_inspects_fail_where_nothing_does(device: Device) -> None:
    """The device itself, called a relay: it refuses nobody."""
    near = Near(device)
    found = {check.name: check for check in OpcuaSuite(Target(RELAY, {"port": device.port}), near).run()}  # type: ignore[arg-type]
    assert {name for name, check in found.items() if not check.ok} == {
        "read with two refused between", "write with two refused between", "write of what is forbidden",
        "sequence number left out",
    }  # fmt: skip
    direct = list(OpcuaSuite(Target(DIRECT, {"port": device.port}), near).run())  # type: ignore[arg-type]
    assert len(direct) == 4
    assert all(check.ok for check in direct)


def test_nobody_there_is_an_answer_too(device: Device) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        target = Target(RELAY, {"port": probe.getsockname()[1]})
    assert not any(check.ok for check in OpcuaSuite(target, Near(device)).run())  # type: ignore[arg-type]
