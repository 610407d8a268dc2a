"""Metrics of the publishers to the UNS (`proxy.telemetry.metrics` has the rest)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class SideFigures(Protocol):
    """`proxy.uplink.figures.SideFigures` is one."""

    @property
    def up(self) -> bool: ...
    @property
    def losses(self) -> int: ...


class PublisherFigures(Protocol):
    """`proxy.uplink.figures.Figures` is one."""

    @property
    def device(self) -> SideFigures: ...
    @property
    def broker(self) -> SideFigures: ...
    @property
    def refused(self) -> Mapping[str, str]: ...
    @property
    def waiting(self) -> int: ...


COUNTS = (
    ("samples", "publisher_samples", "Values that came from the device."),
    ("published", "publisher_published", "Values that the broker has."),
    ("dropped", "publisher_dropped", "Values that made room because too many waited for the broker."),
    ("unpublished", "publisher_unpublished", "Messages that the broker or the policy refused for good."),
    ("gaps", "publisher_gaps", "Times that values were lost before they came, and were said to be."),
    ("missed", "publisher_missed_notifications", "Notifications that the device no longer had."),
    ("rebirths", "publisher_rebirths", "Times that a host asked to be told everything again."),
)


class PublisherCollector(Collector):
    """Labels are the names of publishers in the site's files."""

    def __init__(self, figures: Callable[[], Mapping[str, PublisherFigures]]) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        figures = self._figures()
        for field, name, text in COUNTS:
            counter = CounterMetricFamily(f"bulkhead_{name}", text, labels=["publisher"])
            for key, one in figures.items():
                counter.add_metric([key], attrgetter(field)(one))
            yield counter
        waiting = GaugeMetricFamily(
            "bulkhead_publisher_waiting", "Values that wait for the broker.", labels=["publisher"]
        )
        refused = GaugeMetricFamily(
            "bulkhead_publisher_nodes_refused", "Nodes that are not told.", labels=["publisher"]
        )
        up = GaugeMetricFamily("bulkhead_publisher_up", "1 if that side is there.", labels=["publisher", "side"])
        losses = CounterMetricFamily(
            "bulkhead_publisher_losses", "Times that a side was there and went away.", labels=["publisher", "side"]
        )
        for key, one in figures.items():
            waiting.add_metric([key], one.waiting)
            refused.add_metric([key], len(one.refused))
            for side, of in (("device", one.device), ("broker", one.broker)):
                up.add_metric([key, side], of.up)
                losses.add_metric([key, side], of.losses)
        yield from (waiting, refused, up, losses)
