"""The shape of ``publishers:`` in `bulkhead.yaml`; `proxy.site.publishers` looks at what it names."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from proxy.site.quantities import DURATION_PATTERN, duration
from proxy.site.shape import Shape, key
from proxy.site.texts import Id, Kind, Present

LEAST_EVERY, MOST_EVERY = 0.05, 3600.0
MOST_NODES = 1000
"""As many items as one request of a client may name (protocols.md 4.1)."""
_METRIC = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}){0,7}")
_METRIC_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}){0,7}$"


def _metric(text: str) -> None:
    if _METRIC.fullmatch(text) is None:
        raise ValueError(f"{text[:70]!r} is not the name of a value")
    if text.partition("/")[0] == "uplink":
        raise ValueError(f"{text[:70]!r} is below uplink, where publishers say whether they are there")


def _every(text: str) -> None:
    if not LEAST_EVERY <= duration(text) <= MOST_EVERY:
        raise ValueError(f"{text[:40]!r} is not between 50ms and 1h")


Metric = Annotated[str, Kind(_metric, "use letters, digits and . _ - with '/' between levels", _METRIC_PATTERN)]
Every = Annotated[str, Kind(_every, "write for example 500ms, from 50ms to 1h", DURATION_PATTERN)]
_NODES = {"speed": "nsu=urn:robot:7;s=Line1.Speed"}


class PublisherShape(Shape):
    """Values of one device, subscribed to through the policy and published on the UNS through the policy."""

    from_: Id = key("robot-7", alias="from", doc="The device whose nodes these are; it has the service opcua.")
    to: Id = key("uns", doc="The broker: a device with the service mqtt.")
    as_: Annotated[Id | None, Present()] = key(
        "gateway-1", default=None, alias="as", doc="Who speaks. Needed unless one device is a gateway."
    )
    format: Literal["sparkplug", "json"] = "sparkplug"
    every: Every = key("500ms", default="1s", doc="How often the server looks at the nodes and tells what changed.")
    nodes: dict[Metric, str] = key(_NODES, doc="Name on the UNS -> node of the device.")
    backlog: Annotated[int, Field(ge=100, le=1_000_000)] = key(
        default=10_000, doc="Values that wait at most while the broker is away; the oldest goes first."
    )
