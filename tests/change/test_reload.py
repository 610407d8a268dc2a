"""From "the files have changed" to "in force", with everything around it played: what may fail, and that it changes
nothing when it does (T70, T71)."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.change.judge import Judged, Question
from proxy.change.judging import JudgingError
from proxy.change.reload import Attempt, Reloader, Surroundings, TakeError, Taken
from proxy.cli.site import protocols
from proxy.core.origin import Origin
from proxy.policy.entry import Difference, Entry
from proxy.site import Finding, Problem, load_site
from proxy.versions.store import Version, Versions
from proxy.versions.tree import read_tree
from tests.change.folder import write_site

if TYPE_CHECKING:
    from proxy.core.inventory import Device
    from proxy.core.surface import Surface
    from proxy.site import Site

PROBLEM = Problem(Finding.BAD_VALUE, Origin("policies/surfaces/cell.yaml", 3), ("rules",), "is wrong", "mend it")
STEP = "0123456789abcdef" * 2
OTHER = STEP[::-1]


@dataclass
class FakeJudging:
    """Answers what a test sets."""

    answer: Judged | Exception
    asked: list[Question] = field(default_factory=list)

    async def ask(self, question: Question, known: Mapping[str, Surface], devices: Mapping[str, Device]) -> Judged:
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def prepare(self) -> None: ...


class Plant:
    """A reloader whose surroundings are this object."""

    def __init__(self, folder: Path) -> None:
        self.config = write_site(folder)
        loaded = load_site(self.config, protocols())
        assert loaded.site is not None, loaded.problems
        self.site = loaded.site
        self.judging = FakeJudging(Judged(self.site, (), Difference((), ()), STEP))
        self.versions = Versions(folder / "var/policy")
        tree = read_tree(self.config)
        self.versions.mark(Version(self.versions.keep(tree), "first", 0.0, "start"), tree.id)
        self.taken: list[Site] = []
        self.fault: Exception | None = None
        self.reports: list[Attempt] = []
        self.reported = asyncio.Event()
        first = Attempt(1, "start", "taken", 0.0, version=tree.id[:16])
        around = Surroundings(
            config=self.config,
            protocols=protocols(),
            environ={},
            wall=time.time,
            clock=time.monotonic,
            versions=self.versions,
            judging=self.judging,
            site=lambda: self.site,
            take=self._take,
            report=self._report,
        )
        self.reloader = Reloader(around, first, first, tree)

    async def _take(self, site: Site, keep: Callable[[], Awaitable[None]]) -> Taken:
        if isinstance(self.fault, TakeError | RuntimeError):
            raise self.fault
        await keep()
        self.taken.append(site)
        return Taken("policy-digest", 0.25)

    def _report(self, attempt: Attempt) -> None:
        self.reports.append(attempt)
        self.reported.set()

    def edit(self) -> str:
        """Changes the files; the id of what they are now."""
        with (self.config.parent / "policies/surfaces/cell.yaml").open("a") as file:
            file.write("# changed\n")
        return read_tree(self.config).id[:16]

    def current(self) -> str:
        version = self.versions.current()
        assert version is not None
        return version.id


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def narrower() -> Difference:
    return Difference((), (Entry("access", "mes may no more: read"),))


def wider() -> Difference:
    return Difference((Entry("access", "mes may now also: write"),), ())


async def test_taken_kept_and_marked(plant: Plant) -> None:
    now = plant.edit()
    attempt = await plant.reloader.attempt("SIGHUP")
    assert (attempt.outcome, attempt.version, attempt.why) == ("taken", now, "SIGHUP")
    assert plant.taken and plant.current() == now == plant.reloader.version
    assert plant.reloader.good is plant.reloader.last is attempt
    assert plant.versions.history()[0].policy == "policy-digest" and attempt.deciding == 0.25


async def test_the_same_files_are_taken_for_the_keys_that_may_have_changed(plant: Plant) -> None:
    attempt = await plant.reloader.attempt("SIGHUP")
    assert attempt.outcome == "unchanged" and plant.taken
    assert len(plant.versions.history()) == 1


async def test_faults_change_nothing_and_are_told(plant: Plant) -> None:
    before = plant.current()
    plant.edit()
    plant.judging.answer = Judged(None, (PROBLEM,))
    attempt = await plant.reloader.attempt("the files have changed")
    assert attempt.outcome == "refused" and attempt.told == (str(PROBLEM),)
    assert not plant.taken and plant.current() == before == plant.reloader.version
    assert plant.reloader.last is attempt and plant.reloader.good.outcome == "taken"


async def test_a_widening_waits_for_its_own_acknowledgement(plant: Plant) -> None:
    now = plant.edit()
    plant.judging.answer = Judged(plant.site, (), wider(), STEP)
    plant.versions.accept(OTHER)
    waits = await plant.reloader.attempt("SIGHUP")
    assert waits.outcome == "pending" and waits.token == STEP and waits.widenings == ("mes may now also: write",)
    assert f"--accept-widening {STEP}" in waits.told[0]
    assert not plant.taken
    plant.versions.accept(STEP)
    taken = await plant.reloader.attempt("acknowledged")
    assert taken.outcome == "taken" and plant.current() == now
    assert plant.versions.accepted() == {OTHER}, "it counts once"
    assert plant.versions.history()[0].widenings == ("mes may now also: write",)


@pytest.mark.parametrize("difference", [wider(), None])
async def test_no_acknowledgement_where_the_version_in_force_wants_none(
    plant: Plant, difference: Difference | None
) -> None:
    plant.edit()
    plant.judging.answer = Judged(plant.site, (), difference, STEP, require_ack=False)
    assert (await plant.reloader.attempt("SIGHUP")).outcome == "taken"


async def test_a_narrowing_and_what_cannot_be_compared(plant: Plant) -> None:
    plant.edit()
    plant.judging.answer = Judged(plant.site, (), None, STEP)
    assert (await plant.reloader.attempt("SIGHUP")).outcome == "pending"
    plant.judging.answer = Judged(plant.site, (), narrower(), STEP)
    assert (await plant.reloader.attempt("SIGHUP")).outcome == "taken"


@pytest.mark.parametrize(
    "fault",
    [
        JudgingError("no process to judge it: Cannot allocate memory"),
        TakeError("listener door: certs/gateway.crt is missing"),
        RuntimeError("a bug"),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "current"),
    ],
)
async def test_whatever_fails_leaves_what_is_in_force(
    plant: Plant, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = plant.current()
    plant.edit()
    if isinstance(fault, JudgingError):
        plant.judging.answer = fault
    elif isinstance(fault, OSError):
        full = fault

        def keep(tree: object) -> str:
            raise full

        monkeypatch.setattr(plant.versions, "keep", keep)
    else:
        plant.fault = fault
    attempt = await plant.reloader.attempt("SIGHUP")
    assert attempt.outcome == "failed" and attempt.told
    assert not plant.taken and plant.current() == before == plant.reloader.version
    assert not plant.reloader.last.successful and plant.reloader.good.successful
    plant.judging.answer = Judged(plant.site, (), narrower(), STEP)
    plant.fault = None
    monkeypatch.undo()
    assert (await plant.reloader.attempt("again")).outcome == "taken", "and the next one is taken"


async def test_unreadable_files_are_refused(plant: Plant) -> None:
    (plant.config.parent / "policies/surfaces/dangling.yaml").symlink_to("nothing")
    attempt = await plant.reloader.attempt("SIGHUP")
    assert attempt.outcome == "refused" and "dangling.yaml" in attempt.told[0]
    assert not plant.judging.asked


async def test_marked_or_not_is_told(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(version: Version, tree: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "current")

    plant.edit()
    monkeypatch.setattr(plant.versions, "mark", broken)
    attempt = await plant.reloader.attempt("SIGHUP")
    assert attempt.outcome == "taken" and "a restart would return" in attempt.told[0]


async def test_the_watch_takes_what_has_come_to_rest(plant: Plant) -> None:
    running = asyncio.ensure_future(plant.reloader.run())
    await asyncio.sleep(0.7)
    for _ in range(4):  # somebody writes for a second
        now = plant.edit()
        await asyncio.sleep(0.3)
    await asyncio.wait_for(plant.reported.wait(), 10.0)
    running.cancel()
    assert [(one.why, one.version) for one in plant.reports] == [("the files have changed", now)]


async def test_no_watch_where_the_site_wants_none(plant: Plant) -> None:
    plant.site = replace(plant.site, change=replace(plant.site.change, watch=False))
    running = asyncio.ensure_future(plant.reloader.run())
    await asyncio.sleep(0.7)
    plant.edit()
    await asyncio.sleep(1.8)
    assert not plant.reports
    plant.reloader.ask("SIGHUP")
    await asyncio.wait_for(plant.reported.wait(), 10.0)
    running.cancel()
    assert [one.why for one in plant.reports] == ["SIGHUP"]
