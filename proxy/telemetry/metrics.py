"""Prometheus metrics, made when somebody scrapes: the data path only ever adds to plain integers.

Labels are names of listeners, surfaces, rules and certificates and device ids from the operator's files, and reason
codes from the closed list; nothing that came over the network becomes a label. docs/metrics.md lists every metric and a
test compares.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from proxy.core.reason import Reason
from proxy.telemetry.counters import ByReason, Counters, DataPlane, ListenerReasons
from proxy.telemetry.publisher_metrics import PublisherCollector, PublisherFigures

if TYPE_CHECKING:
    from proxy.telemetry.heartbeat import Heartbeat

Samples = Iterable[tuple[list[str], float]]

_MESSAGE_REASONS = tuple(r for r in Reason if r.value[0] // 100 in (11, 12, 16))
_CONNECTION_REASONS = tuple(r for r in Reason if r.value[0] // 100 in (10, 11, 16))
_DEVICE_REASONS = (Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_SILENT, Reason.UPSTREAM_INVALID)
"""Series that exist from the start with 0, so that `increase()` sees the first refusal. Others appear when counted."""


class AuditFigures(Protocol):
    """`proxy.audit.figures.AuditStats` is one."""

    written: int
    bytes: int
    syncs: int
    merged: int
    dropped: int
    errors: int
    retired: int
    refused_acts: int


class Audit(Protocol):
    """`proxy.audit.writer.AuditWriter` is one."""

    @property
    def stats(self) -> AuditFigures: ...
    @property
    def healthy(self) -> bool: ...
    @property
    def queued(self) -> int: ...


class Flows(Protocol):
    """`proxy.flows.store.FlowStore` is one."""

    @property
    def rows(self) -> int: ...
    @property
    def untold(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def problem(self) -> str: ...


@dataclass(frozen=True, slots=True)
class MonitorFigures:
    """One thing in monitor, by the names of the files; ``end`` is seconds since 1970."""

    surface: str
    rule: str
    end: float
    would_refuse: int
    would_allow: int


@dataclass(frozen=True, slots=True)
class Reload:
    """The last attempt to load the configuration, and when it last succeeded (wall seconds, 0 for never)."""

    successful: bool
    success_time: float


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a scrape looks. Callables are called in the admin thread and must only read.

    ``certificates`` gives the end (wall seconds) of our own certificates by the operator's name for them.
    ``monitors`` is what is in monitor, ``monitor_errors`` how often its candidate could not decide.
    """

    version: str
    started: float
    counters: Counters
    data_plane: DataPlane
    audit: Audit
    heartbeat: Heartbeat
    reload: Callable[[], Reload]
    certificates: Callable[[], Mapping[str, float]]
    flows: Flows
    monitors: Callable[[], Iterable[MonitorFigures]] = tuple
    monitor_errors: Callable[[], int] = lambda: 0
    publishers: Callable[[], Mapping[str, PublisherFigures]] = dict


def registry(sources: Sources) -> CollectorRegistry:
    """A registry of its own, with the standard ``process_`` metrics beside ours."""
    own = CollectorRegistry()
    own.register(BulkheadCollector(sources))
    own.register(PublisherCollector(sources.publishers))
    ProcessCollector(registry=own)
    return own


class BulkheadCollector(Collector):
    def __init__(self, sources: Sources) -> None:
        self._from = sources

    def describe(self) -> Iterable[Metric]:
        """Nothing: the names are checked by a test, and the first scrape may wait until there is something."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._process()
        yield from self._listeners()
        yield from self._listener_reasons()
        yield from self._devices()
        yield from self._audit()
        yield from self._monitors()
        yield from self._flows()

    def _process(self) -> Iterator[Metric]:
        of = self._from
        info = InfoMetricFamily("bulkhead_build", "Version of Bulkhead and of the Python that runs it.")
        info.add_metric([], {"version": of.version, "python": platform.python_version()})
        yield info
        yield gauge("start_time_seconds", "When the gateway started, since 1970.", of.started)
        yield gauge("loop_lag_seconds", "Worst delay of the data loop in the last 15 to 30 seconds.", of.heartbeat.lag)
        yield counter("loop_stalls", "Times that the data loop was late by a second or more.", of.heartbeat.stalls)
        reload = of.reload()
        yield gauge("config_last_reload_successful", "1 if the last load succeeded.", reload.successful)
        yield gauge(
            "config_last_reload_success_timestamp_seconds", "Last load that succeeded, since 1970.", reload.success_time
        )
        yield gauges(
            "certificate_expiry_timestamp_seconds",
            "End of validity of our own certificates, since 1970.",
            ["certificate"],
            (([name], end) for name, end in of.certificates().items()),
        )

    def _listeners(self) -> Iterator[Metric]:
        counts = dict(self._from.data_plane.listener_counts)
        links = [([name], float(one.live)) for name, one in counts.items()]
        yield gauges("links", "Links open now.", ["listener"], links)
        for field, name, text in _PER_LISTENER:
            read = attrgetter(field)
            yield counters(name, text, ["listener"], [([key], read(one)) for key, one in counts.items()])

    def _listener_reasons(self) -> Iterator[Metric]:
        of = self._from.counters.listeners()
        for name in self._from.data_plane.listener_counts:
            of.setdefault(name, ListenerReasons())
        labels = ["listener", "reason"]
        for field, name, text, reasons in _PER_LISTENER_AND_REASON:
            read = attrgetter(field)
            samples = [([key, r], n) for key, one in of.items() for r, n in _with_zeros(read(one), reasons)]
            yield counters(name, text, labels, samples)
        yield counters(
            "malformed_inputs",
            "Links ended because of input that no strict parser accepts.",
            ["listener"],
            [([key], one.malformed) for key, one in of.items()],
        )
        yield counters(
            "acts_recorded", "Changes with a record of their own.", ["listener"], [([k], o.acts) for k, o in of.items()]
        )

    def _devices(self) -> Iterator[Metric]:
        counts = dict(self._from.data_plane.device_counts)
        connections = [([name], float(one.open)) for name, one in counts.items()]
        yield gauges("device_connections", "Connections to the device open now.", ["device"], connections)
        for field, name, text in _PER_DEVICE:
            read = attrgetter(field)
            yield counters(name, text, ["device"], [([key], read(one)) for key, one in counts.items()])
        faults = self._from.counters.devices()
        for name in counts:
            faults.setdefault(name, ByReason())
        samples = [([key, r], n) for key, one in faults.items() for r, n in _with_zeros(one, _DEVICE_REASONS)]
        yield counters("device_faults", "Failures of the device by reason.", ["device", "reason"], samples)

    def _audit(self) -> Iterator[Metric]:
        audit = self._from.audit
        yield gauge("audit_healthy", "1 if the audit log can be written.", audit.healthy)
        yield gauge("audit_queue_records", "Records that wait for the disk.", audit.queued)
        for field, name, text in _OF_AUDIT:
            yield counter(name, text, getattr(audit.stats, field))

    def _monitors(self) -> Iterator[Metric]:
        of = list(self._from.monitors())
        labels = ["surface", "rule"]
        for field, name, text in _PER_MONITOR:
            read = attrgetter(field)
            yield counters(name, text, labels, [([one.surface, one.rule], read(one)) for one in of])
        ends = [([one.surface, one.rule], one.end) for one in of]
        yield gauges("monitor_end_timestamp_seconds", "When watching is to end, since 1970.", labels, ends)
        errors = self._from.monitor_errors()
        yield counter("monitor_errors", "Times that what is in monitor could not be judged.", errors)

    def _flows(self) -> Iterator[Metric]:
        flows = self._from.flows
        yield gauge("flows", "Flows on disk.", flows.rows)
        yield gauge("flows_healthy", "1 if flows can be written.", not flows.problem)
        for field, name, text in _OF_FLOWS:
            yield counter(name, text, getattr(flows, field))


_PER_LISTENER = (
    ("accepted", "connections_accepted", "TCP connections accepted."),
    ("handshakes", "handshakes_completed", "TLS handshakes that succeeded."),
    ("handshake_failures", "handshakes_failed", "TLS handshakes that failed."),
    ("limited", "connections_limited", "Connections refused or cut because a limit was reached."),
    ("too_slow", "connections_timed_out", "Connections that did not finish their handshake in time."),
    ("messages", "messages_allowed", "Messages passed on towards the device."),
    ("answers", "answers", "Answers given to clients, refusals included."),
    ("bytes_in", "received_bytes", "Bytes received on links that have ended."),
    ("bytes_out", "sent_bytes", "Bytes sent on links that have ended."),
)

_PER_LISTENER_AND_REASON = (
    ("messages_refused", "messages_refused", "Messages refused.", _MESSAGE_REASONS),
    ("connections_refused", "connections_refused", "Connections that never became a link.", _CONNECTION_REASONS),
    ("links_ended", "links_ended", "Links ended by the gateway.", _CONNECTION_REASONS),
)

_PER_DEVICE = (
    ("dials", "device_dials", "Connections to the device tried."),
    ("dial_failures", "device_dial_failures", "Connections to the device that failed."),
    ("lost", "device_connections_lost", "Connections to the device that broke."),
    ("bytes_in", "device_received_bytes", "Bytes received from the device."),
    ("bytes_out", "device_sent_bytes", "Bytes sent to the device."),
)

_OF_AUDIT = (
    ("written", "audit_records", "Records written."),
    ("bytes", "audit_bytes", "Bytes written."),
    ("syncs", "audit_syncs", "Flushes to disk."),
    ("merged", "audit_merged_records", "Events counted in a merged record."),
    ("dropped", "audit_dropped_records", "Events lost because the queue was full; a gap record counts them."),
    ("errors", "audit_errors", "Failed writes."),
    ("refused_acts", "audit_refused_acts", "Acts refused because they could not be recorded."),
    ("retired", "audit_retired_segments", "Oldest segments removed to stay under the size limit."),
)

_PER_MONITOR = (
    ("would_refuse", "monitor_would_refuse", "Messages that went on and would be refused."),
    ("would_allow", "monitor_would_allow", "Messages that were refused and would go on."),
)

_OF_FLOWS = (
    ("untold", "flows_untold_messages", "Messages of flows that got no place in the record of flows."),
    ("dropped", "flows_dropped", "Flows thrown out of the record to keep it in bounds."),
    ("errors", "flows_errors", "Times that flows could not be written."),
)


def gauge(name: str, text: str, value: float) -> Metric:
    return gauges(name, text, [], [([], float(value))])


def gauges(name: str, text: str, labels: list[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(f"bulkhead_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def counter(name: str, text: str, value: float) -> Metric:
    return counters(name, text, [], [([], value)])


def counters(name: str, text: str, labels: list[str], samples: Samples) -> Metric:
    """``_total`` is added by the family."""
    family = CounterMetricFamily(f"bulkhead_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _with_zeros(counts: ByReason, reasons: tuple[Reason, ...]) -> list[tuple[str, int]]:
    found = counts.snapshot()
    return [(r.code, found.get(r, 0)) for r in reasons] + [(r.code, n) for r, n in found.items() if r not in reasons]
