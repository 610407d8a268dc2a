"""The composition root: a validated `Site` becomes a running gateway. The only place that knows concrete classes.

Order of start: limits of the process, keys, policy, audit, sockets; only when all of it holds does anything listen.
Order of stop: listeners, answers under way, links, devices, and the audit last, so that every end is on record.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from proxy import keys
from proxy.audit.record import Record, rfc3339
from proxy.audit.writer import AuditBusyError, AuditWriter
from proxy.gateway.gateway import Gateway
from proxy.gateway.ports import Entrance, Judges, Limits, Timing
from proxy.identity.identify import Identifier
from proxy.identity.sources.address import Address
from proxy.identity.sources.mac_ip import MacIp
from proxy.identity.sources.syn import Syn
from proxy.identity.sources.x509 import X509
from proxy.identity.syn import read_saved_syn
from proxy.journal import AuditJournal
from proxy.pki.certificate import CertificateReader
from proxy.pki.revocation import RevocationList
from proxy.pki.revoked import RevocationError
from proxy.policy.check import run_tests
from proxy.policy.compile import Policy, PolicyError, compile_policy
from proxy.protocols.base import Watched
from proxy.site.outright import refused_outright
from proxy.telemetry.admin import AdminBindError, AdminServer, Probes
from proxy.telemetry.counters import Counters
from proxy.telemetry.heartbeat import STALL, Heartbeat
from proxy.telemetry.metrics import Reload, Sources, registry
from proxy.telemetry.notify import ServiceManager
from proxy.telemetry.status import AuditStatus, Check, DeviceStatus, ListenerStatus, Status

if TYPE_CHECKING:
    from proxy.core.reason import Reason
    from proxy.core.surface import RuleTest
    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Site
    from proxy.site.model import Listener

RESERVED_FDS = 64
"""File descriptors that no client may use up: audit, admin, reloads (T48)."""
POLL = 0.25
"""Seconds between looks at the deny list: a revoked certificate is cut within a second."""

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The gateway cannot start; the text says what, where and how to mend it. Nothing listens."""


@dataclass(frozen=True, slots=True)
class World:
    """What a running gateway takes from its surroundings. ``clock`` is monotonic seconds, ``wall`` time of day."""

    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    entropy: Callable[[int], bytes] = os.urandom
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


class App:
    """One gateway process. Built inside its event loop; `start`, then `run` until the event is set."""

    def __init__(self, site: Site, config: Path, protocols: Mapping[str, ProtocolSpec], world: World) -> None:
        """Raises StartError."""
        self._site = site
        self._config = config
        self._world = world
        self._started = world.wall()
        self._loop = asyncio.get_running_loop()
        self._service_manager = ServiceManager(world.environ)
        self._heartbeat = Heartbeat(world.clock)
        self._counters = Counters()
        self._policy = _compile(site, protocols)
        self._watched = Watched()
        self._revoked = _deny_list(site)
        self._audit = AuditWriter(
            site.state / "audit",
            wall=world.wall,
            monotonic=world.clock,
            call_soon=self._loop.call_soon_threadsafe,
        )
        self._gateway = Gateway(
            [_entrance(site, listener, protocols) for listener in site.listeners],
            loop=self._loop,
            clock=world.clock,
            judges=self._judges(),
            journal=AuditJournal(self._audit, self._counters, self._policy.digest, world.clock),
            limits=_limits(site),
            timing=Timing(),
            parse_syn=read_saved_syn,
            entropy=world.entropy,
        )
        self._admin = AdminServer(site.admin.host, site.admin.port, self._probes())
        self._bound = False

    @property
    def admin_port(self) -> int:
        return self._admin.port

    @property
    def gateway(self) -> Gateway:
        return self._gateway

    def start(self) -> None:
        """Audit, sockets, then the first accept. Raises StartError, and then nothing is left open."""
        try:
            self._audit.start()
            self._gateway.bind()
            self._admin.start()
        except (AuditBusyError, AdminBindError) as error:
            raise StartError(str(error)) from None
        except OSError as error:
            raise StartError(f"{error.filename or 'start'}: {error.strerror}{_bind_hint(error)}") from None
        self._bound = True
        self._audit.record(Record("start", detail=f"bulkhead {version('bulkhead')}, policy {self._policy.digest[:12]}"))
        self._heartbeat.start(self._loop)
        # What was built until now lives as long as the process: the collector need not walk it for each link.
        gc.collect()
        gc.freeze()
        self._gateway.accept()
        self._service_manager.tell("READY=1")

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until ``stop`` is set, then drains."""
        keep = asyncio.ensure_future(self._keep())
        try:
            await stop.wait()
        finally:
            keep.cancel()
            await self._end()

    async def _end(self) -> None:
        self._service_manager.tell("STOPPING=1")
        self._bound = False
        await self._gateway.drain()
        self._heartbeat.stop()
        self._audit.record(Record("stop"))
        await asyncio.to_thread(self._audit.close)
        await asyncio.to_thread(self._admin.stop)

    async def _keep(self) -> None:
        """Looks at the deny list and pats the watchdog, from the loop that it watches."""
        pat = 0.0
        while True:
            await asyncio.sleep(POLL)
            try:
                await self._look_at_deny_list()
            except Exception:  # no thread to be had, or a bug: it must not be the last look, or nobody is revoked again
                _log.exception("looking at the deny list failed; it is tried again")
            if self._service_manager.watchdog and self._world.clock() >= pat:
                pat = self._world.clock() + self._service_manager.watchdog / 3
                self._service_manager.tell("WATCHDOG=1")

    async def _look_at_deny_list(self) -> None:
        if self._revoked.changed():
            # In a thread: a list of 10,000 takes 0.2 s to parse, and the swap is one assignment.
            problem = await asyncio.to_thread(self._revoked.reload)
            await self._revoked_anew(problem)

    async def _revoked_anew(self, problem: RevocationError | None) -> None:
        if problem is not None:
            _log.error("the deny list is not readable; the last good one stays in force", extra={"why": str(problem)})
            return
        _log.info("deny list read", extra={"revoked": len(self._revoked)})
        await self._gateway.decide_again()

    def _judges(self) -> Judges:
        identifier = Identifier(
            self._site.name,
            self._site.devices,
            (X509(self._site.name), MacIp(), Address(), Syn()),
        )
        return Judges(
            identify=identifier.identify,
            standing=identifier.refusal,
            open_authority=self._policy.open,
            read_certificate=CertificateReader().read,
            revoked=self._revoked.__contains__,
            wall=self._world.wall,
            watched=lambda device, protocol: self._watched,
            observe=self._policy.circumstances.observe,
        )

    # What the admin listener shows. Called in its thread: only reads.

    def _probes(self) -> Probes:
        own = keys.own_certificates(self._site)
        sources = Sources(
            version=version("bulkhead"),
            started=self._started,
            counters=self._counters,
            data_plane=self._gateway,
            audit=self._audit,
            heartbeat=self._heartbeat,
            reload=lambda: Reload(self._revoked.problem is None, self._started),
            certificates=lambda: own,
        )
        return Probes(registry(sources), self._heartbeat, self._readiness, self._status)

    def _readiness(self) -> tuple[Check, ...]:
        problem = self._revoked.problem
        return (
            Check("listeners", self._bound, "" if self._bound else "not bound"),
            Check("policy", True),
            Check("deny_list", problem is None, "" if problem is None else str(problem)),
            Check("audit", self._audit.healthy, "" if self._audit.healthy else "the audit log cannot be written"),
            Check("event_loop", self._heartbeat.age < STALL, f"last beat {self._heartbeat.age:.1f} s ago"),
        )

    def _status(self) -> Status:
        site, gateway = self._site, self._gateway
        records, head = self._audit.head
        listeners = tuple(
            ListenerStatus(
                name=bound.entrance.name,
                bind=f"{bound.entrance.host}:{bound.entrance.port}",
                protocol=bound.entrance.protocol.name,
                to=bound.entrance.device.id,
                tls=bound.entrance.secured,
                links=gateway.listener_counts[bound.entrance.name].live,
            )
            for bound in gateway.listeners
        )
        devices = tuple(
            DeviceStatus(
                id=name, address=site.devices[name].address or "", connections=counts.open, state=_state(counts)
            )
            for name, counts in gateway.device_counts.items()
        )
        return Status(
            site=site.name,
            version=version("bulkhead"),
            config=str(self._config),
            started=rfc3339(self._started),
            policy=self._policy.digest,
            policy_loaded=rfc3339(self._started),
            audit=AuditStatus(self._audit.healthy, str(self._audit.folder), records, head, self._audit.queued),
            listeners=listeners,
            devices=devices,
            modes={surface.name: "enforce" for surface in site.surfaces},
        )


async def serve(
    site: Site, config: Path, protocols: Mapping[str, ProtocolSpec], stop: asyncio.Event, started: Callable[[App], None]
) -> None:
    """Runs the gateway of ``site`` until ``stop``. ``started`` is called once it accepts. Raises StartError."""
    app = App(site, config, protocols, World())
    app.start()
    started(app)
    await app.run(stop)


def _compile(site: Site, protocols: Mapping[str, ProtocolSpec]) -> Policy:
    """Compiled, and its own tests passed: a policy that does not do what it says it does is not taken into use."""
    try:
        policy = compile_policy(site.surfaces, site.roles, site.devices)
    except PolicyError as error:
        raise StartError(str(error)) from None

    def outright(test: RuleTest) -> tuple[Reason, str] | None:
        return refused_outright(site.devices, protocols, test.to, test.actions)

    if failed := run_tests(policy, site.devices, outright):
        raise StartError("\n".join(["the policy's own tests fail:", *map(str, failed)]))
    return policy


def _deny_list(site: Site) -> RevocationList:
    try:
        return RevocationList(site.certs / "revoked.yaml")
    except RevocationError as error:
        raise StartError(f"certs: {error}; a gateway does not start without its deny list") from None


def _entrance(site: Site, listener: Listener, protocols: Mapping[str, ProtocolSpec]) -> Entrance:
    device = site.devices[listener.to]
    service = device.services[listener.protocol]
    spec = protocols[listener.protocol]
    try:
        contexts = keys.contexts(site, listener)
        secrets = {name: keys.secret(site, device, name) for name in spec.secrets(service.options)}
        tls = keys.towards_device(site, device, service)
    except keys.UnusableError as error:
        raise StartError(str(error)) from None
    return Entrance(
        name=listener.name,
        host=listener.bind.host,
        port=listener.bind.port,
        protocol=spec,
        device=device,
        service=service,
        deny_style=listener.deny_style,
        contexts=contexts,
        secrets=secrets,
        device_tls=tls,
    )


def _limits(site: Site) -> Limits:
    """The site's limits, within what the kernel gives this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = site.limits
    room = hard - RESERVED_FDS
    handshakes = max(1, min(wanted.handshakes, room // 4))
    # A link that shares no connection has two sockets.
    links = max(1, min(wanted.links, (room - handshakes) // 2))
    if links < wanted.links:
        _log.warning("fewer links than configured: the limit of open files is too low", extra={"links": links})
    return Limits(
        links=links,
        handshakes=handshakes,
        links_per_source=wanted.links_per_source,
        links_per_identity=wanted.links_per_identity,
    )


def _state(counts: object) -> str:
    open_now, failures, dials = (getattr(counts, name) for name in ("open", "dial_failures", "dials"))
    if open_now:
        return "connected"
    return "unreachable" if failures and failures == dials else "idle"


def _bind_hint(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "; a port below 1024 needs CAP_NET_BIND_SERVICE"
    return ""
