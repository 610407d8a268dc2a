from __future__ import annotations

import pytest

from proxy.core.reason import Reason
from proxy.telemetry.counters import Counters, DeviceFigures, ListenerFigures


def test_each_kind_of_record_is_counted_where_it_belongs() -> None:
    counters = Counters()
    counters.count("refuse", Reason.DEFAULT_DENY, "a", "plc")
    counters.count("refuse", Reason.NEVER_RULE, "a", "plc")
    counters.count("refuse", Reason.NEVER_RULE, "b", "plc")
    counters.count("connect", Reason.TLS_FAILED, "a", "plc")
    counters.count("close", Reason.POLICY_CHANGED, "a", "plc")
    counters.count("malformed", Reason.MALFORMED, "a", "plc")
    counters.count("act", None, "a", "plc")
    counters.count("device", Reason.UPSTREAM_SILENT, "a", "plc")
    a, b = counters.listener("a"), counters.listener("b")
    assert a.messages_refused.snapshot() == {Reason.DEFAULT_DENY: 1, Reason.NEVER_RULE: 1}
    assert b.messages_refused.snapshot() == {Reason.NEVER_RULE: 1}
    assert a.connections_refused.snapshot() == {Reason.TLS_FAILED: 1}
    assert a.links_ended.snapshot() == {Reason.POLICY_CHANGED: 1}
    assert (a.malformed, a.acts) == (1, 1)
    assert counters.device("plc").snapshot() == {Reason.UPSTREAM_SILENT: 1}


@pytest.mark.parametrize("what", ["connect", "close", "device", "refuse", "start"])
def test_what_has_no_reason_is_not_counted_by_reason(what: str) -> None:
    counters = Counters()
    counters.count(what, None, "a", "plc")
    assert counters.devices() == {}
    assert not any(one.connections_refused.snapshot() for one in counters.listeners().values())


def test_events_of_a_shared_upstream_make_no_listener() -> None:
    counters = Counters()
    counters.count("refuse", Reason.DEFAULT_DENY, None, "plc")
    assert counters.listeners() == {}


def test_the_data_plane_has_the_figures_that_metrics_read() -> None:
    """The two sides never import each other; mypy holds the types to it, and this the names."""
    from proxy.gateway.ports import DeviceCounts, ListenerCounts

    listener: ListenerFigures = ListenerCounts()
    device: DeviceFigures = DeviceCounts()
    assert all(getattr(listener, name) == 0 for name in ListenerFigures.__annotations__)
    assert all(getattr(device, name) == 0 for name in DeviceFigures.__annotations__)


def test_the_audit_writer_has_the_figures_that_metrics_read() -> None:
    from proxy.audit.figures import AuditStats
    from proxy.telemetry.metrics import AuditFigures

    stats: AuditFigures = AuditStats()
    assert all(getattr(stats, name) == 0 for name in AuditFigures.__annotations__)


def test_counting_goes_on_while_a_reader_walks() -> None:
    """The admin thread reads while the event loop counts: a new reason must not change what is being walked."""
    counters = Counters()
    counters.count("refuse", Reason.DEFAULT_DENY, "a", "plc")
    counters.count("device", Reason.UPSTREAM_SILENT, None, "plc")
    for _ in counters.listeners():
        counters.count("refuse", Reason.NEVER_RULE, "b", "plc")
    for _ in counters.devices():
        counters.count("device", Reason.UPSTREAM_SILENT, None, "plc-2")
    refused = counters.listener("a").messages_refused
    seen = []
    for reason in refused.snapshot():
        refused.add(Reason.RATE_SPENT)
        seen.append(reason)
    assert seen == [Reason.DEFAULT_DENY]
