"""From a folder of files to a `Site`, or to every problem at once.

Nothing is ever taken for "no policy": a missing folder, an empty file or one fault anywhere leaves no site at all
(T70). The order is that of threats.md 5.1: read once, parse strictly, judge each file, then the files together.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from proxy.core.collector import without_collector
from proxy.core.origin import Origin
from proxy.site import network, overrides
from proxy.site.digest import Digest
from proxy.site.draft import Draft, Voice, read_document, shaped
from proxy.site.files import Unusable, list_yaml
from proxy.site.hours import Calendar
from proxy.site.inventory import Inventory
from proxy.site.model import Bind, Change, Site
from proxy.site.names import bind
from proxy.site.policies import Roles, SurfaceBuilder
from proxy.site.problem import Collector, Finding, Problem
from proxy.site.publishers import publishers
from proxy.site.questions import Cases
from proxy.site.readers import parsed_ahead
from proxy.site.shapes import Shapes, SiteShape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from proxy.protocols.base import ProtocolSpec

ShapeT = TypeVar("ShapeT", bound=BaseModel)

DEVICES = "fingerprints/devices"
SURFACES = "policies/surfaces"
ROLES = "policies/roles"
SHIFTS = "policies/shifts"
WINDOWS = "policies/windows"
TESTS = "policies/tests"
KEY_OF = {DEVICES: "device", SURFACES: "surface", ROLES: "role", SHIFTS: "shift", WINDOWS: "window", TESTS: "test"}
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Loaded:
    """``site`` is None exactly if some problem is an error. ``problems`` are in the order of files and lines."""

    site: Site | None
    problems: tuple[Problem, ...]


def load_site(
    config: Path,
    protocols: Mapping[str, ProtocolSpec],
    environ: Mapping[str, str] = _NO_VARIABLES,
    *,
    home: Path | None = None,
    now: float | None = None,
) -> Loaded:
    """Read the site that `config` (its `bulkhead.yaml`) belongs to. Never raises because of what the files say.

    ``home`` is the folder that `certs/` and the state folder lie in, if these files are a copy kept elsewhere.
    ``now`` (seconds since 1970, else the time it is) judges how long something is watched.
    """
    loader = _Loader(config, protocols, environ, config.parent if home is None else home, now)
    with without_collector():
        site = loader.load()
    return Loaded(None if loader.collector.failed else site, loader.collector.sorted())


class _Loader:
    def __init__(
        self,
        config: Path,
        protocols: Mapping[str, ProtocolSpec],
        environ: Mapping[str, str],
        home: Path,
        now: float | None,
    ) -> None:
        self.collector = Collector()
        self._config = config
        self._folder = config.absolute().parent
        self._home = home.absolute()
        self._now = time.time() if now is None else now
        self._protocols = protocols
        self._environ = environ
        self._shapes = Shapes.of(protocols)
        self._digest = Digest()
        self._open_ended: list[str] = []

    def load(self) -> Site | None:
        voice = Voice(self._config.name, self.collector)
        draft = self._read_config(voice)
        if draft is None and not self._config.exists():
            return None  # there is no site here to find more faults in
        shape = None if draft is None else draft.shape
        self._check_folder("policies", ("surfaces", "roles", "shifts", "windows", "tests"))
        self._check_folder("fingerprints", ("devices",))
        devices = Inventory(self._read(DEVICES, self._shapes.device), self._protocols, shape.site if shape else "site")
        roles = Roles(self._read(ROLES, self._shapes.role, optional=True), devices)
        calendar = self._calendar()
        surfaces = SurfaceBuilder(devices, roles, calendar, self._protocols, self._now)
        for surface in self._read(SURFACES, self._shapes.surface):
            surfaces.add(surface)
        cases = self._cases(surfaces)
        if not self.collector.failed:  # what a faulty file says is not known, so neither is what nobody says
            roles.check_use()
            calendar.check_use()
        for folder, declared in (
            (DEVICES, devices.declared),
            (ROLES, roles.declared),
            (SHIFTS, calendar.shifts),
            (WINDOWS, calendar.windows),
            (SURFACES, surfaces.declared),
            (TESTS, cases.declared),
        ):
            network.check_names(folder, declared, KEY_OF[folder])
        self._check_ends()
        return None if shape is None else self._site(shape, voice, devices, (roles, calendar, surfaces, cases))

    def _calendar(self) -> Calendar:
        shifts = self._read(SHIFTS, self._shapes.shift, optional=True)
        return Calendar(shifts, self._read(WINDOWS, self._shapes.window, optional=True), self._now)

    def _cases(self, surfaces: SurfaceBuilder) -> Cases:
        drafts = self._read(TESTS, self._shapes.cases, optional=True)
        whole = surfaces.named.keys() == surfaces.declared.keys()
        return Cases(drafts, surfaces.questions, surfaces.named if whole else None)

    def _site(
        self,
        shape: SiteShape,
        voice: Voice,
        devices: Inventory,
        policies: tuple[Roles, Calendar, SurfaceBuilder, Cases],
    ) -> Site:
        roles, calendar, surfaces, cases = policies
        listeners = network.listeners(shape, devices, self._protocols, voice)
        if not self.collector.failed:
            network.check_reach(listeners, surfaces.surfaces.values(), voice)
            network.check_sight(listeners, surfaces.surfaces.values(), self.collector)
        return Site(
            name=shape.site,
            folder=self._home,
            state=self._home / shape.state,
            admin=Bind(*bind(shape.admin.bind)),
            limits=network.limits(shape, voice),
            listeners=listeners,
            devices=MappingProxyType(dict(sorted(devices.devices.items()))),
            surfaces=tuple(surface for _, surface in sorted(surfaces.surfaces.items())),
            roles=tuple(role for _, role in sorted(roles.roles.items())),
            digest=self._digest.hex(),
            hours=tuple(one for _, one in sorted(calendar.hours.items())),
            cases=tuple(cases.tests),
            change=Change(watch=shape.policy.watch, require_ack=shape.policy.require_ack),
            admin_reload=shape.admin.reload,
            publishers=publishers(shape.publishers, devices, self._protocols, voice),
        )

    def _read_config(self, voice: Voice) -> Draft[SiteShape] | None:
        document = read_document(self._config, voice)
        if document is None:
            return None
        voice.moved = overrides.apply(self._environ, document.value, self.collector)
        draft = shaped(document, voice, self._shapes.site)
        self._note(draft, "site")
        return draft

    def _read(self, folder: str, shape: type[ShapeT], *, optional: bool = False) -> Iterator[Draft[ShapeT]]:
        """One file after the other, so that a large site is not in memory as text."""
        if optional and not (self._folder / folder).exists():
            return
        names = self._list(folder)
        if not names and not optional:
            self._error(Finding.MISSING, folder, "holds no .yaml file", "an empty folder is never 'no policy': add one")
        place = self._folder / folder
        for name, ahead in zip(names or (), parsed_ahead(place, names or ()), strict=True):
            voice = Voice(f"{folder}/{name}", self.collector)
            document = read_document(place / name, voice, ahead)
            draft: Draft[ShapeT] = Draft(voice, None) if document is None else shaped(document, voice, shape)
            self._note(draft, folder)
            yield draft

    def _note(self, draft: Draft[ShapeT], kind: str) -> None:
        if kind != TESTS:
            self._digest.add(kind, "" if kind == "site" else draft.claims(KEY_OF[kind]), draft.value)
        if draft.voice.document is not None and not draft.voice.document.closed:
            self._open_ended.append(draft.voice.file)

    def _list(self, folder: str, folders: tuple[str, ...] = ()) -> list[str] | None:
        """The files to read. What lies there and would not be read is told: it may hold a `never` (T70)."""
        try:
            names, unread = list_yaml(self._folder / folder, folders)
        except Unusable as fault:
            self._error(fault.finding, folder, f"the folder {fault.wrong}", fault.mend)
            return None
        for name, why in unread:
            where = f"{folder}/{name}"
            if name.lower().endswith((".yaml", ".yml", ".json")) or why.startswith("this folder"):
                self._error(Finding.UNFIT, where, why, "rename it to NAME.yaml in its place, or take it away")
            else:
                self.collector.add(Problem(Finding.DOUBTFUL, Origin(where, 1), (), why, "take it away", warning=True))
        return names

    def _check_folder(self, folder: str, folders: tuple[str, ...]) -> None:
        if not (self._folder / folder).exists():
            return  # told when its inner folders are read
        for name in self._list(folder, folders) or ():
            mend = f"move it to {' or '.join(f'{folder}/{inner}' for inner in folders)}"
            self._error(Finding.UNFIT, f"{folder}/{name}", "files in this place are not read", mend)

    def _check_ends(self) -> None:
        if self._open_ended:
            count = len(self._open_ended)
            many = f"{count} files, this one first, do" if count > 1 else "1 file does"
            wrong = f"{many} not end in '...', so half of it would look whole"
            mend = "open each file with '---' and close it with '...'"
            origin = Origin(min(self._open_ended), 1)
            self.collector.add(Problem(Finding.DOUBTFUL, origin, (), wrong, mend, warning=True))

    def _error(self, finding: Finding, where: str, wrong: str, mend: str) -> None:
        self.collector.add(Problem(finding, Origin(where, 1), (), wrong, mend))
