"""FC 22 sets some bits and leaves the others as they are: no window of values may be got round with it."""

from __future__ import annotations

import itertools

import pytest

from proxy.protocols.modbus import pdu as p
from proxy.protocols.modbus.actions import actions
from proxy.protocols.modbus.rules import parse_rule

BOUNDED = [{"min": 0, "max": 10, "bits": 0x000F}, {"max": 1500, "bits": 0xFFFF}, {"min": 8, "bits": 0x00FF}]


def report(path: object, wrong: str, mend: str = "") -> None:
    raise AssertionError(wrong)


@pytest.mark.parametrize("window", BOUNDED, ids=str)
def test_bits_do_not_lift_the_bounds_beside_them(window: dict[str, int]) -> None:
    """`max: 1500, bits: 0xFFFF` let FC 22 write 65535, `max: 10, bits: 0x000F` let it write 15."""
    (target,) = parse_rule({"write": {"holding 40": window}}, report)
    low, high = window.get("min", 0), window.get("max", 0xFFFF)
    masks = (0x0000, 0xFFF0, 0xFF00, 0x7FFF, 0xFFFE, 0xFFFF)
    values = (0, 1, 7, 11, 15, 1501, 0x8000, 0xFFFF)
    for keep, set_, current in itertools.product(masks, values, (0, 3, 9, 0xFFFF)):
        (asked,) = actions(1, p.MaskWrite(40, keep, set_))
        result = (current & keep) | (set_ & ~keep & 0xFFFF)
        if keep != 0xFFFF and target.admits(asked):
            assert low <= result <= high, f"{asked.describe()} over {current} makes {result}"


def test_bits_alone_are_still_a_rule_for_masked_writes() -> None:
    (target,) = parse_rule({"write": {"holding 40": {"bits": 0x000F}}}, report)
    assert target.admits(*actions(1, p.MaskWrite(40, 0xFFF0, 0x000F)))
    assert not target.admits(*actions(1, p.MaskWrite(40, 0xFFE0, 0x0000)))
