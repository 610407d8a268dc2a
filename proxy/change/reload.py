"""From "the files have changed" to "they are in force", or to the reason why not. One attempt at a time.

    asked (file watch, SIGHUP, admin) -> read -> judged elsewhere -> acknowledged? -> kept on disk -> taken -> marked

Whatever fails leaves what is in force as it is, is told in the log and in `status`, and is tried again only when
somebody asks or a file changes (T70, T71).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from proxy.change.judge import Judged, Question
from proxy.change.judging import JudgingError
from proxy.change.watch import Signature, signature
from proxy.versions.store import Version, VersionError
from proxy.versions.tree import Tree, UnfitError, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.core.inventory import Device
    from proxy.core.surface import Surface
    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Site
    from proxy.versions.store import Versions

LOOK = 0.5
"""Seconds between looks at the files. What changed is taken when it has not changed again by the next look. *"""
SHARE = 50
"""A look that takes long (a large site, a slow disk) is followed by a pause of so many times as long."""
TOLD = 200
"""Lines kept for `status` and the history; `bulkhead check` and `policy diff` tell all."""
LENGTH = 500
"""Characters of such a line: a rule may have thousands of targets."""
REST = 5.0
"""Seconds at most after an attempt without another: asked without end, judging takes half of the time, not all. *"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try, and its end. ``outcome`` is ``taken``, ``unchanged``, ``refused`` (faults), ``pending`` (it widens
    access and nobody acknowledged it) or ``failed`` (no room, no process, no port). ``version`` is the candidate's id.
    ``time`` is wall seconds; of the ``seconds`` that it took, ``deciding`` went into deciding live links again."""

    number: int
    why: str
    outcome: str
    time: float
    seconds: float = 0.0
    deciding: float = 0.0
    version: str = ""
    told: tuple[str, ...] = ()
    widenings: tuple[str, ...] = ()
    narrowings: tuple[str, ...] = ()
    token: str = ""

    @property
    def successful(self) -> bool:
        return self.outcome in ("taken", "unchanged")


@dataclass(frozen=True, slots=True)
class Taken:
    """``policy`` is the digest that is in force now, ``deciding`` the seconds of deciding live links again."""

    policy: str
    deciding: float


class TakeError(Exception):
    """The candidate is sound and could not be taken: a port, a key, a file. Nothing has changed."""


class Judges(Protocol):
    """`proxy.change.judging.Judging` is one."""

    async def ask(self, question: Question, known: Mapping[str, Surface], devices: Mapping[str, Device]) -> Judged: ...
    async def prepare(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """``site`` is what is in force; ``take`` brings another into force, all or nothing, and raises TakeError. It is
    given what to call between "ready" and "taken": that keeps the version on disk, and may raise OSError."""

    config: Path
    protocols: Mapping[str, ProtocolSpec]
    environ: Mapping[str, str]
    wall: Callable[[], float]
    clock: Callable[[], float]
    versions: Versions
    judging: Judges
    site: Callable[[], Site]
    take: Callable[[Site, Callable[[], Awaitable[None]]], Awaitable[Taken]]
    report: Callable[[Attempt], None]


class Reloader:
    """``last`` is the newest attempt, ``good`` the newest that left the files in force. Both are shown elsewhere, in
    another thread: they are exchanged whole."""

    def __init__(self, around: Surroundings, last: Attempt, good: Attempt, tree: Tree) -> None:
        """``tree``: the files that are in force now."""
        self._around = around
        self.last = last
        self.good = good
        self._tree = tree
        self._asked = asyncio.Event()
        self._why = ""
        self._number = last.number
        self._seen = Signature((), ())

    @property
    def version(self) -> str:
        """The id of what is in force."""
        return self._tree.id[:16]

    def ask(self, why: str) -> None:
        """From the event loop. Asks that come while one is carried out are one more, not many."""
        self._why = why
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled."""
        await self._make_ready()
        before = settled = await self._look()
        pause = LOOK
        while True:
            try:
                await asyncio.wait_for(self._asked.wait(), pause)
            except TimeoutError:
                if not self._around.site().change.watch:
                    continue
                began = self._around.clock()
                now = await self._look()
                pause = max(LOOK, SHARE * (self._around.clock() - began))
                changed, before = now != before, now
                if changed or now == settled:
                    continue  # it is being written, or nothing has happened
                self.ask("the files have changed")
            self._asked.clear()
            files = (await self._look()).files
            attempt = await self.attempt(self._why)
            # An acknowledgement that was used is gone; a file that changed meanwhile is looked at again.
            before = settled = (await self._look())._replace(files=files)
            await self._make_ready()
            await asyncio.sleep(min(attempt.seconds, REST))

    async def attempt(self, why: str) -> Attempt:
        """One try. Never raises: what goes wrong is its outcome."""
        began = self._around.clock()
        self._number += 1
        attempt = Attempt(self._number, why, "failed", self._around.wall())
        try:
            attempt = await self._try(attempt)
        except Exception as bug:  # a reload that fails must leave a gateway that goes on, and can be asked again
            _log.exception("the reload failed; what was in force stays in force")
            attempt = replace(attempt, told=(f"a bug in Bulkhead: {type(bug).__name__}; the log says more",))
        attempt = replace(attempt, seconds=round(self._around.clock() - began, 3))
        self.last = attempt
        if attempt.successful:
            self.good = attempt
        self._around.report(attempt)
        return attempt

    async def _try(self, attempt: Attempt) -> Attempt:
        around = self._around
        try:
            tree = await asyncio.to_thread(_read, around.config)
        except UnfitError as fault:
            return replace(attempt, outcome="refused", told=(f"{fault}; bulkhead check says more",))
        except OSError as fault:
            return replace(attempt, told=(_why_not(fault),))
        attempt = replace(attempt, version=tree.id[:16])
        known = {surface.name: surface for surface in around.site().surfaces}
        home, scratch = around.site().folder, around.versions.scratch
        question = Question(tree, home, around.protocols, around.environ, around.wall(), self._tree, scratch)
        try:
            judged = await around.judging.ask(question, known, around.site().devices)
        except JudgingError as fault:
            await asyncio.to_thread(around.versions.sweep)
            return replace(attempt, told=(str(fault),))
        return await self._take(tree, judged, attempt)

    async def _take(self, tree: Tree, judged: Judged, attempt: Attempt) -> Attempt:
        around = self._around
        attempt = compared(judged, attempt)
        if judged.site is None:
            return replace(attempt, outcome="refused", told=in_short([str(one) for one in judged.errors]))
        if tree.id == self._tree.id:
            # Keys and certificates are not in the tree: they may be what somebody asked for.
            attempt = replace(attempt, widenings=(), narrowings=(), token="")
        elif not may_be_taken(judged, around.versions.accepted()):
            return replace(attempt, outcome="pending", told=(waiting(judged),))

        async def keep() -> None:
            await asyncio.to_thread(around.versions.keep, tree)

        try:
            done = await around.take(judged.site, keep)
        except (TakeError, OSError, VersionError) as fault:
            return replace(attempt, told=(_why_not(fault),))
        outcome = "unchanged" if tree.id == self._tree.id else "taken"
        taken = replace(attempt, outcome=outcome, deciding=round(done.deciding, 4))
        version = Version(tree.id[:16], done.policy, around.wall(), "reload", attempt.widenings)
        return await self._mark(tree, version, judged.token, taken)

    async def _mark(self, tree: Tree, version: Version, token: str, taken: Attempt) -> Attempt:
        self._tree = tree
        if taken.outcome == "unchanged":
            return taken
        try:
            await asyncio.to_thread(self._around.versions.mark, version, tree.id)
        except OSError as fault:
            text = f"in force, but a restart would return to the version before: {fault.strerror}: {fault.filename}"
            _log.error("what runs and what is kept differ", extra={"why": text})
            return replace(taken, told=(text,))
        self._around.versions.used(token)
        return taken

    async def _look(self) -> Signature:
        try:
            accepted = self._around.versions.folder / "accepted"
            self._seen = await asyncio.to_thread(signature, self._around.config, accepted)
        except RuntimeError as fault:  # no thread to be had: this is not the last look
            _log.error("the files cannot be looked at; it is tried again", extra={"why": str(fault)})
        return self._seen

    async def _make_ready(self) -> None:
        try:
            await self._around.judging.prepare()
        except OSError as fault:
            _log.error("no process for the next reload; it will try again", extra={"why": str(fault)})


def _read(config: Path) -> Tree:
    """With its id, which is kept once it was made: for a large site that takes 20 ms, and this is a thread."""
    tree = read_tree(config)
    _ = tree.id
    return tree


def may_be_taken(judged: Judged, accepted: frozenset[str]) -> bool:
    """What widens access needs an acknowledgement of exactly this step; what cannot be compared does, too."""
    if not judged.require_ack or judged.token in accepted:
        return True
    return judged.difference is not None and not judged.difference.widenings


def waiting(judged: Judged) -> str:
    what = "it cannot be compared with what is in force" if judged.difference is None else "it widens access"
    return f"{what}; see it with: bulkhead policy diff; then: bulkhead policy apply --accept-widening {judged.token}"


def compared(judged: Judged, attempt: Attempt) -> Attempt:
    if judged.difference is None:
        return replace(attempt, token=judged.token)
    return replace(
        attempt,
        widenings=in_short([one.text for one in judged.difference.widenings]),
        narrowings=in_short([one.text for one in judged.difference.narrowings]),
        token=judged.token if judged.difference.widenings else "",
    )


def in_short(lines: Sequence[str]) -> tuple[str, ...]:
    """At most `TOLD` lines of at most `LENGTH` characters."""
    shown = [line if len(line) <= LENGTH else f"{line[: LENGTH - 3]}..." for line in lines[:TOLD]]
    if len(lines) > TOLD:
        shown[-1] = f"and {len(lines) - TOLD + 1} more: bulkhead policy diff shows all"
    return tuple(shown)


def _why_not(fault: Exception) -> str:
    if isinstance(fault, OSError):
        return f"{fault.strerror or fault}{f': {fault.filename}' if fault.filename else ''}"
    return str(fault)
