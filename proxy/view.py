"""What the admin listener shows of a running gateway. Called in its thread: only reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.audit.record import rfc3339
from proxy.telemetry.heartbeat import STALL
from proxy.telemetry.metrics import MonitorFigures, Reload
from proxy.telemetry.status import (
    AuditStatus,
    Check,
    DeviceStatus,
    FlowStatus,
    ListenerStatus,
    MonitorStatus,
    ReloadStatus,
    Status,
)
from proxy.uplink.shown import publisher_status

if TYPE_CHECKING:
    from proxy.audit.writer import AuditWriter
    from proxy.change.reload import Attempt, Reloader
    from proxy.flows.store import FlowStore
    from proxy.gateway.gateway import Gateway
    from proxy.live import Live
    from proxy.pki.revocation import RevocationList
    from proxy.telemetry.heartbeat import Heartbeat
    from proxy.uplink.publishers import Publishers


class View:
    """``bound``: whether the listeners are open."""

    def __init__(
        self,
        *,
        config: Path,
        started: float,
        live: Live,
        gateway: Gateway,
        audit: AuditWriter,
        flows: FlowStore,
        wall: Callable[[], float],
        reloader: Reloader,
        revoked: RevocationList,
        heartbeat: Heartbeat,
        publishers: Publishers,
        bound: Callable[[], bool],
    ) -> None:
        self._config = config
        self._started = started
        self._live = live
        self._gateway = gateway
        self._audit = audit
        self._flows = flows
        self._wall = wall
        self._reloader = reloader
        self._revoked = revoked
        self._heartbeat = heartbeat
        self._publishers = publishers
        self._bound = bound

    def reload(self) -> Reload:
        return Reload(self._reloader.last.successful and self._revoked.problem is None, self._reloader.good.time)

    def readiness(self) -> tuple[Check, ...]:
        problem = self._revoked.problem
        bound = self._bound()
        return (
            Check("listeners", bound, "" if bound else "not bound"),
            Check("policy", True),
            Check("deny_list", problem is None, "" if problem is None else str(problem)),
            Check("audit", self._audit.healthy, "" if self._audit.healthy else "the audit log cannot be written"),
            Check("event_loop", self._heartbeat.age < STALL, f"last beat {self._heartbeat.age:.1f} s ago"),
        )

    def status(self) -> Status:
        site = self._live.site
        records, head = self._audit.head
        return Status(
            site=site.name,
            version=version("bulkhead"),
            config=str(self._config),
            started=rfc3339(self._started),
            policy=self._live.policy.digest,
            policy_loaded=rfc3339(self._reloader.good.time),
            audit=AuditStatus(self._audit.healthy, str(self._audit.folder), records, head, self._audit.queued),
            reload=_reload(self._reloader.last, self._reloader.version),
            listeners=self._listeners(),
            devices=self._devices(),
            modes={surface.name: "enforce" if surface.monitor is None else "monitor" for surface in site.surfaces},
            monitors=self._monitors(),
            flows=self._flow_status(),
            publishers=tuple(publisher_status(setting, one) for setting, one in self._publishers.shown),
            degraded=tuple(self._degraded()),
        )

    def monitors(self) -> list[MonitorFigures]:
        """For the metrics."""
        policy = self._live.policy
        return [
            MonitorFigures(
                one.ref.surface,
                one.ref.name,
                one.monitor.until,
                policy.counts.of(one.ref).would_refuse,
                policy.counts.of(one.ref).would_allow,
            )
            for one in policy.monitored
        ]

    def monitor_errors(self) -> int:
        candidate = self._live.policy.candidate
        return 0 if candidate is None else candidate.faults.count

    def _monitors(self) -> tuple[MonitorStatus, ...]:
        policy, wall = self._live.policy, self._wall()
        return tuple(
            MonitorStatus(
                surface=one.ref.surface,
                rule=one.ref.name,
                until=rfc3339(one.monitor.until),
                why=one.monitor.why,
                then=one.monitor.then,
                overdue=one.overdue(wall),
                would_refuse=policy.counts.of(one.ref).would_refuse,
                would_allow=policy.counts.of(one.ref).would_allow,
            )
            for one in policy.monitored
        )

    def _flow_status(self) -> FlowStatus:
        flows = self._flows
        return FlowStatus(str(flows.path), flows.rows, flows.untold, flows.dropped, flows.problem)

    def _degraded(self) -> Iterator[str]:
        """It is ready, and somebody has to see to it."""
        last = self._reloader.last
        if not last.successful:
            yield f"the files are not in force: reload {last.outcome}"
        for one in self._monitors():
            if one.overdue:
                yield f"{one.surface}/{one.rule} is still in monitor, which ended {one.until}"
        for setting, figures in self._publishers.shown:
            yield from (f"publisher {setting.name}: {problem}" for problem in figures.problems)
        if self._flows.problem:
            yield f"flows are not recorded: {self._flows.problem}"

    def _listeners(self) -> tuple[ListenerStatus, ...]:
        gateway = self._gateway
        return tuple(
            ListenerStatus(
                name=bound.entrance.name,
                bind=f"{bound.entrance.host}:{bound.entrance.port}",
                protocol=bound.entrance.protocol.name,
                to=bound.entrance.device.id,
                tls=bound.entrance.secured,
                links=gateway.listener_counts[bound.entrance.name].live,
                channel=bool(getattr(bound.entrance.options, "secures", False)),
                unsafe=tuple(getattr(bound.entrance.options, "unsafe", ())),
            )
            for bound in gateway.listeners
        )

    def _devices(self) -> tuple[DeviceStatus, ...]:
        devices = self._live.site.devices
        return tuple(
            DeviceStatus(id=name, address=devices[name].address or "", connections=counts.open, state=_state(counts))
            for name, counts in self._gateway.device_counts.items()
            if name in devices
        )


def _reload(last: Attempt, in_force: str) -> ReloadStatus:
    return ReloadStatus(
        in_force=in_force,
        number=last.number,
        outcome=last.outcome,
        why=last.why,
        time=rfc3339(last.time),
        seconds=last.seconds,
        deciding=last.deciding,
        candidate=last.version,
        told=last.told,
        widenings=last.widenings,
        narrowings=last.narrowings,
        accept=last.token if last.outcome == "pending" else "",
    )


def _state(counts: object) -> str:
    open_now, failures, dials = (getattr(counts, name) for name in ("open", "dial_failures", "dials"))
    if open_now:
        return "connected"
    return "unreachable" if failures and failures == dials else "idle"
