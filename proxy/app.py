"""The composition root: a site becomes a running gateway. The only place that knows concrete classes.

Order of start: limits of the process, keys, policy, audit, sockets; only when all of it holds does anything listen.
Order of stop: listeners, answers under way, links, devices, and the audit last, so that every end is on record.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from proxy import keys
from proxy.audit.record import Record, rfc3339
from proxy.audit.writer import AuditBusyError, AuditWriter
from proxy.change.judging import Judging
from proxy.change.reload import Attempt, Reloader, Surroundings, TakeError, Taken
from proxy.entrances import entrances, inside, inside_name, limits
from proxy.flows.book import Book
from proxy.flows.store import FILE as FLOWS
from proxy.flows.store import FLUSH, FlowStore
from proxy.gateway.gateway import Gateway
from proxy.gateway.ports import Timing
from proxy.identity.syn import read_saved_syn
from proxy.journal import AuditJournal
from proxy.live import Live
from proxy.pki.revocation import RevocationList
from proxy.pki.revoked import RevocationError
from proxy.policy.compile import PolicyError
from proxy.telemetry.admin import AdminBindError, AdminServer, Probes
from proxy.telemetry.counters import Counters
from proxy.telemetry.heartbeat import Heartbeat
from proxy.telemetry.metrics import Sources, registry
from proxy.telemetry.notify import ServiceManager
from proxy.uplink.publishers import Around, Publishers
from proxy.versions.store import Version, Versions
from proxy.view import View

if TYPE_CHECKING:
    from proxy.change.start import Beginning
    from proxy.core.action import Action
    from proxy.policy.shadow import Watched
    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Site

POLL = 0.25
"""Seconds between looks at the clock and at the deny list: what ended is cut within a second."""
LEAVES = 0.05
"""Seconds that the goodbyes of publishers have to get through the gateway, before it takes nothing more."""

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

    def __init__(self, beginning: Beginning, config: Path, protocols: Mapping[str, ProtocolSpec], world: World) -> None:
        """Raises StartError."""
        site = beginning.site
        self._beginning = beginning
        self._config = config
        self._protocols = protocols
        self._world = world
        self._started = world.wall()
        self._loop = asyncio.get_running_loop()
        self._service_manager = ServiceManager(world.environ)
        self._heartbeat = Heartbeat(world.clock)
        self._counters = Counters()
        self._versions = Versions(site.state / "policy")
        self._judging = Judging()
        try:
            self._live = Live(site, world.wall)
            opened, inner = entrances(site, protocols), inside(site, protocols)
            self._shown = keys.own_certificates(site, protocols)
        except (PolicyError, keys.UnusableError) as error:
            raise StartError(str(error)) from None
        self._revoked = _deny_list(site)
        self._audit = AuditWriter(
            site.state / "audit",
            wall=world.wall,
            monotonic=world.clock,
            call_soon=self._loop.call_soon_threadsafe,
        )
        self._book = Book()
        self._flush_at = 0.0
        self._flows = FlowStore(site.state / FLOWS, _text_with(protocols), world.wall)
        self._journal = AuditJournal(
            self._audit, self._counters, self._live.policy.digest, world.clock, world.wall, self._book
        )
        self._gateway = Gateway(
            opened,
            loop=self._loop,
            clock=world.clock,
            judges=self._live.judges(self._revoked.__contains__),
            journal=self._journal,
            limits=limits(site),
            timing=Timing(),
            parse_syn=read_saved_syn,
            entropy=world.entropy,
            inside=inner,
        )
        self._publishers = Publishers(
            Around(self._loop, self._gateway.attach, inside_name, world.clock, world.wall, world.entropy)
        )
        self._reloader = self._make_reloader()
        self._bound = False
        self._admin = AdminServer(site.admin.host, site.admin.port, self._probes())

    @property
    def admin_port(self) -> int:
        return self._admin.port

    @property
    def gateway(self) -> Gateway:
        return self._gateway

    def reload(self, why: str) -> None:
        """Takes the files into use, if they may come into force. From the event loop."""
        self._service_manager.tell("RELOADING=1")
        self._reloader.ask(why)

    def start(self) -> None:
        """Audit, sockets, then the first accept. Raises StartError, and then nothing is left open."""
        try:
            self._audit.start()
            self._flows.start()
            self._gateway.bind()
            self._admin.start()
            self._keep_beginning()
        except (AuditBusyError, AdminBindError) as error:
            raise StartError(str(error)) from None
        except OSError as error:
            raise StartError(f"{error.filename or 'start'}: {error.strerror}{_bind_hint(error)}") from None
        self._bound = True
        digest = self._live.policy.digest[:12]
        self._audit.record(Record("start", detail=f"bulkhead {version('bulkhead')}, policy {digest}"))
        self._record_monitors(())
        self._heartbeat.start(self._loop)
        # What was built until now lives as long as the process: the collector need not walk it for each link.
        gc.collect()
        gc.freeze()
        self._gateway.accept()
        self._publishers.exchange(self._live.site.publishers)
        self._service_manager.tell("READY=1")

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until ``stop`` is set, then drains."""
        tasks = [asyncio.ensure_future(self._keep()), asyncio.ensure_future(self._reloader.run())]
        try:
            await stop.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._end()

    async def _end(self) -> None:
        self._service_manager.tell("STOPPING=1")
        self._bound = False
        await self._judging.close()
        if self._publishers.stop():
            await asyncio.sleep(LEAVES)
        await self._gateway.drain()
        self._heartbeat.stop()
        self._audit.record(Record("stop"))
        await asyncio.to_thread(self._flows.close, self._book)
        await asyncio.to_thread(self._audit.close)
        await asyncio.to_thread(self._admin.stop)

    async def _keep(self) -> None:
        """What is due now and then: the clock, deny list, flows and watchdog, from the loop that it watches."""
        pat = 0.0
        while True:
            for duty in (self._wait, self._look_at_clock, self._look_at_deny_list, self._look_at_flows):
                try:
                    await duty()
                except Exception:  # no thread to be had, or a bug: neither the next duty nor the next look may suffer
                    _log.exception("%s failed; it is tried again", duty.__name__)
                    await asyncio.sleep(POLL)
            now = self._world.clock()
            if self._service_manager.watchdog and now >= pat:
                pat = now + self._service_manager.watchdog / 3
                self._service_manager.tell("WATCHDOG=1")

    async def _wait(self) -> None:
        """Not longer than until hours open or close: what they end is cut at that moment."""
        change = self._live.next_look()
        await asyncio.sleep(POLL if change is None else min(POLL, max(0.001, change - self._world.wall())))

    async def _look_at_clock(self) -> None:
        if concerned := self._live.look():
            _log.info("the hours have turned", extra={"devices": len(concerned)})
            self._journal.in_force(self._live.policy.digest)
            await self._gateway.decide_again(concerned)

    async def _look_at_deny_list(self) -> None:
        if self._revoked.changed():
            # In a thread: a list of 10,000 takes 0.2 s to parse, and the swap is one assignment.
            problem = await asyncio.to_thread(self._revoked.reload)
            await self._revoked_anew(problem)

    async def _look_at_flows(self) -> None:
        """Those of some links into the book, and the book now and then to disk."""
        self._journal.gather()
        if (now := self._world.clock()) >= self._flush_at:
            self._flush_at = now + FLUSH
            self._flows.flush(self._book)

    async def _revoked_anew(self, problem: RevocationError | None) -> None:
        if problem is not None:
            _log.error("the deny list is not readable; the last good one stays in force", extra={"why": str(problem)})
            return
        _log.info("deny list read", extra={"revoked": len(self._revoked)})
        await self._gateway.decide_again()

    # Another version of the site.

    async def _take(self, site: Site, keep: Callable[[], Awaitable[None]]) -> Taken:
        """See `proxy.change.reload.Surroundings`. Everything that can fail comes before the exchange."""
        try:
            opened = await asyncio.to_thread(entrances, site, self._protocols)
            inner = await asyncio.to_thread(inside, site, self._protocols)
            shown = await asyncio.to_thread(keys.own_certificates, site, self._protocols)
            policy = self._live.compiled(site, await self._live.ahead(site))
        except (PolicyError, keys.UnusableError) as error:
            raise TakeError(str(error)) from None
        bounds, prepared = limits(site), self._gateway.prepare(opened, inner)
        with ExitStack() as failed:
            failed.callback(prepared.drop)
            failed.callback(lambda: self._publishers.exchange(self._live.site.publishers))
            if self._publishers.retire(site.publishers):
                await asyncio.sleep(LEAVES)
            await keep()
            failed.pop_all()
        if (site.admin, site.state) != (self._live.site.admin, self._live.site.state):
            _log.warning("admin and state are taken from the files at a restart only")
        before = self._live.policy.monitored
        concerned = self._live.exchange(site, policy)
        self._journal.in_force(policy.digest)
        self._record_monitors(before)
        self._gateway.exchange(prepared, bounds)
        self._publishers.exchange(site.publishers)
        self._shown = shown
        # As at the start, but without a collection: it would stop the loop for as long as the heap is large.
        gc.freeze()
        began = self._world.clock()
        await self._gateway.decide_again(concerned)
        return Taken(policy.digest, self._world.clock() - began)

    def _record_monitors(self, before: Sequence[Watched]) -> None:
        """Whoever stops enforcing something, if only for a while, leaves a trace (threats.md 4)."""
        known = {(one.ref.surface, one.ref.name, one.monitor.until) for one in before}
        for one in self._live.policy.monitored:
            if (one.ref.surface, one.ref.name, one.monitor.until) not in known:
                detail = f"{one.ref} is watched and not enforced until {rfc3339(one.monitor.until)}: {one.monitor.why}"
                self._audit.record(Record("monitor", detail=detail))
                _log.warning("in monitor: %s", detail)

    def _attempted(self, attempt: Attempt) -> None:
        """An attempt to reload has ended, well or not."""
        self._service_manager.tell("READY=1")
        extra = {"version": attempt.version, "seconds": attempt.seconds}
        if attempt.successful:
            _log.info("reload: %s (%s)", attempt.outcome, attempt.why, extra=extra)
        else:
            _log.error("reload: %s (%s); what was in force stays in force", attempt.outcome, attempt.why, extra=extra)
        changes = (*(f"wider: {one}" for one in attempt.widenings), *(f"narrower: {one}" for one in attempt.narrowings))
        for line in (*attempt.told, *changes):
            _log.log(logging.INFO if attempt.successful else logging.ERROR, "reload: %s", line)
        self._audit.record(Record("reload", detail=_sum_up(attempt)))

    def _make_reloader(self) -> Reloader:
        around = Surroundings(
            config=self._config,
            protocols=self._protocols,
            environ={name: value for name, value in self._world.environ.items() if name.startswith("BULKHEAD_")},
            wall=self._world.wall,
            clock=self._world.clock,
            versions=self._versions,
            judging=self._judging,
            site=lambda: self._live.site,
            take=self._take,
            report=self._attempted,
        )
        first = self._beginning.attempt
        good = first if first.successful else Attempt(0, "start", "taken", self._started)
        return Reloader(around, first, good, self._beginning.tree)

    def _keep_beginning(self) -> None:
        """What a gateway starts with is the last good version from then on. Raises OSError."""
        beginning = self._beginning
        self._versions.sweep()
        if not beginning.new:
            return
        self._versions.keep(beginning.tree)
        attempt = beginning.attempt
        made = Version(beginning.tree.id[:16], self._live.policy.digest, self._started, "start", attempt.widenings)
        self._versions.mark(made, beginning.tree.id)
        self._versions.used(attempt.token)

    def _probes(self) -> Probes:
        view = View(
            config=self._config,
            started=self._started,
            live=self._live,
            gateway=self._gateway,
            audit=self._audit,
            flows=self._flows,
            wall=self._world.wall,
            reloader=self._reloader,
            revoked=self._revoked,
            heartbeat=self._heartbeat,
            publishers=self._publishers,
            bound=lambda: self._bound,
        )
        sources = Sources(
            version=version("bulkhead"),
            started=self._started,
            counters=self._counters,
            data_plane=self._gateway,
            audit=self._audit,
            heartbeat=self._heartbeat,
            reload=view.reload,
            certificates=lambda: self._shown,
            flows=self._flows,
            monitors=view.monitors,
            monitor_errors=view.monitor_errors,
            publishers=lambda: self._publishers.figures,
        )
        return Probes(registry(sources), self._heartbeat, view.readiness, view.status, reload=self._asked_by_admin)

    def _asked_by_admin(self) -> bool:
        """Called in the admin thread. False: the site does not allow it."""
        if not self._live.site.admin_reload:
            return False
        self._loop.call_soon_threadsafe(self.reload, "the admin listener")
        return True


async def serve(
    beginning: Beginning,
    config: Path,
    protocols: Mapping[str, ProtocolSpec],
    stop: asyncio.Event,
    started: Callable[[App], None],
) -> None:
    """Runs the gateway until ``stop``. ``started`` is called once it accepts. Raises StartError."""
    app = App(beginning, config, protocols, World())
    app.start()
    started(app)
    await app.run(stop)


def _text_with(protocols: Mapping[str, ProtocolSpec]) -> Callable[[str, Sequence[Action]], str]:
    """What was asked, as the question that asks it again."""
    return lambda protocol, actions: protocols[protocol].text_of(actions)


def _deny_list(site: Site) -> RevocationList:
    try:
        return RevocationList(site.certs / "revoked.yaml")
    except RevocationError as error:
        raise StartError(f"certs: {error}; a gateway does not start without its deny list") from None


def _sum_up(attempt: Attempt) -> str:
    counts = f"{len(attempt.widenings)} wider, {len(attempt.narrowings)} narrower"
    return (
        f"{attempt.outcome} version {attempt.version or '-'} ({attempt.why}): {'; '.join(attempt.told[:2]) or counts}"
    )


def _bind_hint(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "; a port below 1024 needs CAP_NET_BIND_SERVICE"
    return ""
