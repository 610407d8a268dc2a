"""What `/status` and `bulkhead status` show, and what `/readyz` asks. The JSON form is stable (`apiVersion`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

API_VERSION = "bulkhead/v1"


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of being ready. ``detail`` says what is wrong and names no secret."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """``bind`` is ``host:port`` as it is really bound; ``to`` the device behind. ``channel``: clients are secured by a
    channel of the protocol's own. ``unsafe``: the keys by which less than that is taken from them (T51)."""

    name: str
    bind: str
    protocol: str
    to: str
    tls: bool
    links: int
    channel: bool = False
    unsafe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """``connections`` to the device open now; ``state`` is ``connected``, ``idle`` or ``unreachable``."""

    id: str
    address: str
    connections: int
    state: str


@dataclass(frozen=True, slots=True)
class AuditStatus:
    """``records`` and ``head`` (SHA-256 of the last line on disk) are a checkpoint if somebody keeps them elsewhere."""

    healthy: bool
    folder: str
    records: int
    head: str
    queued: int


@dataclass(frozen=True, slots=True)
class ReloadStatus:
    """The newest attempt to take the files into use, and what is in force after it. ``outcome``: ``taken``,
    ``unchanged``, ``refused``, ``pending`` or ``failed``; ``told`` says why. ``in_force`` and ``candidate`` are ids of
    versions; ``accept`` is what acknowledges a pending widening. ``deciding``: those of the ``seconds`` that went into
    deciding live links again."""

    in_force: str
    number: int
    outcome: str
    why: str
    time: str
    seconds: float
    deciding: float = 0.0
    candidate: str = ""
    told: tuple[str, ...] = ()
    widenings: tuple[str, ...] = ()
    narrowings: tuple[str, ...] = ()
    accept: str = ""


@dataclass(frozen=True, slots=True)
class MonitorStatus:
    """One thing in monitor: a rule or `never`, or a whole surface (``rule`` is then ``monitor``). ``until`` is RFC
    3339; ``then`` is ``enforce`` or ``alarm``; ``overdue``: that time is over, and somebody has to decide."""

    surface: str
    rule: str
    until: str
    why: str
    then: str
    overdue: bool
    would_refuse: int
    would_allow: int


@dataclass(frozen=True, slots=True)
class FlowStatus:
    """The record of flows. ``problem`` says why the last flush failed, or is empty. ``rows`` are flows on disk,
    ``dropped`` those thrown out to stay in bounds, ``untold`` messages of flows that got no place."""

    file: str
    rows: int
    untold: int
    dropped: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PublisherStatus:
    """One publisher to the UNS. ``device`` and ``broker`` are ``up``, ``connecting``, or ``down`` with the reason.
    ``refused`` maps nodes, by their names on the UNS, to the status that answered. Counts are since it began."""

    name: str
    source: str
    to: str
    speaks_as: str
    format: str
    device: str
    broker: str
    nodes: int
    samples: int
    published: int
    waiting: int
    dropped: int
    unpublished: int
    gaps: int
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Status:
    """The whole gateway. Times are RFC 3339 UTC. ``modes`` maps protect surfaces to their mode. ``degraded`` says what
    an operator has to see to although it is ready."""

    site: str
    version: str
    config: str
    started: str
    policy: str
    policy_loaded: str
    audit: AuditStatus
    reload: ReloadStatus
    listeners: tuple[ListenerStatus, ...] = ()
    devices: tuple[DeviceStatus, ...] = ()
    modes: Mapping[str, str] = field(default_factory=dict)
    monitors: tuple[MonitorStatus, ...] = ()
    flows: FlowStatus | None = None
    publishers: tuple[PublisherStatus, ...] = ()
    degraded: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        return {"apiVersion": API_VERSION, "kind": "Status", **asdict(self), "modes": dict(self.modes)}


def ready_as_json(checks: tuple[Check, ...]) -> dict[str, object]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Readiness",
        "ready": all(check.ok for check in checks),
        "checks": [asdict(check) for check in checks],
    }
