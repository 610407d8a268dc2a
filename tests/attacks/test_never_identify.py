"""FC 43/14: the extended stream begins with the basic objects, and so does what FC 17 tells."""

from __future__ import annotations

import pytest

from proxy.protocols.modbus import pdu as p
from proxy.protocols.modbus.actions import actions
from proxy.protocols.modbus.rules import LEVELS, parse_never


def report(path: object, wrong: str, mend: str = "") -> None:
    raise AssertionError(wrong)


@pytest.mark.parametrize("level", LEVELS)
def test_a_forbidden_level_is_not_read_through_a_higher_one(level: str) -> None:
    (target,) = parse_never({"identify": level}, report)
    for request in (p.DeviceId(LEVELS[level], 0), p.DeviceId(3, 0), p.DeviceId(4, 0), p.Bare(17)):
        for action in actions(1, request):
            assert target.covers(action), action.describe()
