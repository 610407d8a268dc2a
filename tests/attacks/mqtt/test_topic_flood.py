"""T47: refused messages on ever other topics. Each topic was a kind of its own for the audit log, which therefore wrote
every refusal out, and removed its oldest segments to make room for them."""

from __future__ import annotations

import pytest

from proxy.audit.merge import DIFFERENT, Merger
from proxy.audit.record import Record
from proxy.protocols.mqtt.actions import Message, Subscription
from tests.audit.kit import DENY, subject

MESSAGES = 5000


@pytest.mark.parametrize("spaced", [False, True])
def test_t47_refusals_about_many_topics_are_few_records(spaced: bool) -> None:
    merger = Merger()
    end = " qos 0" if spaced else ""
    written = 0
    for number in range(MESSAGES):
        for action in (Message("publish", f"no/{number}{end}"), Subscription("subscribe", f"no/{number}{end}/#")):
            record = Record("refuse", subject(), reason=DENY.reason, verdict=DENY, action=action.describe())
            written += merger.offer(record, number * 1e-5)
    assert written == 2 * DIFFERENT
    assert merger.merged == 2 * MESSAGES - written
