"""`explain` and the policy's own tests must not promise what the inspector never lets through."""

from __future__ import annotations

import pytest

from proxy.core.inventory import Device
from proxy.core.origin import Origin, RuleRef
from proxy.core.reason import Reason
from proxy.core.surface import Rule, RuleTest, Surface
from proxy.policy.cases import run_tests
from proxy.policy.compile import compile_policy
from proxy.protocols.modbus import PROTOCOL
from proxy.protocols.modbus.service import ModbusService

HERE = Origin("policies/surfaces/cell.yaml", 1)
SERVICE = ModbusService(units=frozenset({1, 2}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("read holding 5 unit 1", None),
        ("read holding 5 unit 7", Reason.DEFAULT_DENY),
        ("read holding 5 unit 250", Reason.DEFAULT_DENY),
        ("read holding 5 unit 0", Reason.BROADCAST),
        ("write holding 5 = 1 unit 0", Reason.BROADCAST),
        ("mask holding 5 and 0 or 1 unit 0", Reason.BROADCAST),
    ],
)
def test_t29_units_are_refused_outright(text: str, reason: Reason | None) -> None:
    refused = PROTOCOL.outright(PROTOCOL.parse_actions(text), SERVICE)
    assert (refused and refused[0]) == reason


def test_t29_a_test_that_expects_the_impossible_fails() -> None:
    targets = PROTOCOL.parse_rule({"read": ["holding 0-9"]}, lambda path, wrong, mend="": pytest.fail(wrong))
    test = RuleTest(
        HERE, "mbaps:R", "plc", "read holding 5 unit 7", PROTOCOL.parse_actions("read holding 5 unit 7"), True
    )
    rule = Rule(RuleRef("cell", "r", HERE), ("mbaps:R",), ("plc",), targets)
    devices = {"plc": Device("plc", "plc", None, "10.0.0.1", HERE)}
    policy = compile_policy([Surface("cell", HERE, ("plc",), (rule,), tests=(test,))], [], devices)
    assert run_tests(policy, devices) == []
    [found] = run_tests(policy, devices, lambda asked: PROTOCOL.outright(asked.actions, SERVICE))
    assert "unit 7 is not one of the device's units" in found.wrong
