"""Whether a version of the site may come into force, and what it would change. Touches nothing that is in force.

The order is that of threats.md 5.1: read once, parse strictly, lint, compile, run the policy's own tests, compare with
what is in force. What is judged is a copy of the files, so that they may change meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.change.findings import policy_problems
from proxy.policy.diff import compare
from proxy.policy.plan import Door, Plan
from proxy.site import Finding, in_order, load_site
from proxy.versions.store import SCRATCH
from proxy.versions.tree import Tree, UnfitError, read_tree

if TYPE_CHECKING:
    from proxy.core.action import Target
    from proxy.policy.entry import Difference
    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Loaded, Problem, Site

SURFACES = "policies/surfaces/"


@dataclass(frozen=True, slots=True)
class Question:
    """``home`` is the site's folder, ``base`` what is in force (None: nothing was yet), ``wall`` time of day.
    ``scratch`` is where files are laid out to be read; None: where this machine keeps what is temporary. ``at``: where
    the tree was read from, for who would rather read it there once more than lay it out: 2 s for 2,000 files."""

    tree: Tree
    home: Path
    protocols: Mapping[str, ProtocolSpec]
    environ: Mapping[str, str]
    wall: float
    base: Tree | None = None
    scratch: Path | None = None
    at: Path | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """``site`` is None if some problem is an error. ``difference`` is None if there was nothing to compare with.
    ``require_ack`` is what the version in force says: a candidate does not excuse itself."""

    site: Site | None
    problems: tuple[Problem, ...]
    difference: Difference | None = None
    token: str = ""
    require_ack: bool = True

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if not problem.warning)


def judge(asked: Question) -> Judged:
    """Total but for OSError: no room to lay the files out."""
    loaded = _loaded_in_place(asked) or _loaded_from_copy(asked)
    if loaded.site is None:
        return Judged(None, loaded.problems)
    problems = in_order((*loaded.problems, *policy_problems(loaded.site, asked.protocols, asked.wall)))
    if any(_blocks(problem, asked.base) for problem in problems):
        return Judged(None, problems)
    if asked.base is None:
        return Judged(loaded.site, problems)
    step = token(asked.base, asked.tree)
    before, after = _both(asked, asked.base, loaded.site)
    if before is None:
        return Judged(loaded.site, problems, token=step)
    difference = differ(before, after, asked.protocols, asked.wall)
    return Judged(loaded.site, problems, difference, step, before.change.require_ack)


def _loaded_from_copy(asked: Question) -> Loaded:
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=asked.scratch) as scratch:
        config = asked.tree.write_to(Path(scratch))
        return load_site(config, asked.protocols, asked.environ, home=asked.home, now=asked.wall)


def _loaded_in_place(asked: Question) -> Loaded | None:
    """None if the files are not at hand, or are not what they were: then the copy decides."""
    if asked.at is None:
        return None
    loaded = load_site(asked.at, asked.protocols, asked.environ, home=asked.home, now=asked.wall)
    try:
        return loaded if read_tree(asked.at).id == asked.tree.id else None
    except UnfitError:
        return None


def _blocks(problem: Problem, base: Tree | None) -> bool:
    """An allow that runs into a never is not taken into use. A start with nothing to fall back to is no change: there
    it is told, and the never wins at each message, so that an upgrade of Bulkhead never keeps a plant from starting."""
    return not problem.warning and (base is not None or problem.finding is not Finding.CONTRADICTION)


def token(base: Tree, tree: Tree) -> str:
    """What acknowledges the step from one version to another, and no other step: whoever writes the files must not
    find two changes with the same one, so it has 128 bits."""
    return hashlib.sha256(f"{base.id} {tree.id}".encode()).hexdigest()[:32]


def plan(site: Site) -> Plan:
    doors = tuple(
        Door(one.name, str(one.bind), one.protocol, one.to, one.secures, one.options) for one in site.listeners
    )
    state = os.path.relpath(site.state, site.folder)
    return Plan(site.surfaces, site.roles, site.devices, site.hours, doors, site.name, state)


def differ(before: Site, after: Site, protocols: Mapping[str, ProtocolSpec], now: float) -> Difference:
    """``now``: from when on they are compared, seconds since 1970."""

    def beyond(protocol: str, targets: tuple[Target, ...], others: tuple[Target, ...]) -> tuple[Target, ...]:
        return protocols[protocol].beyond(targets, others) if protocol in protocols else targets

    return compare(plan(before), plan(after), beyond, now)


def _both(asked: Question, base: Tree, after: Site) -> tuple[Site | None, Site]:
    """What is in force and the candidate, both without the surfaces that are the same in both. None if what is in force
    cannot be read any more (another version of Bulkhead wrote it): there is nothing to compare with then."""
    same = _unchanged(base, asked.tree)
    before = _loaded(asked, base, same)
    if before is None:
        return None, after
    if same and any(one.monitor is not None for site in (before, after) for one in site.surfaces):
        # What a monitored surface lets through depends on the other surfaces of its members, so all are compared.
        return _loaded(asked, base, frozenset()), after
    return before, replace(after, surfaces=tuple(one for one in after.surfaces if one.origin.file not in same))


def _loaded(asked: Question, base: Tree, without: frozenset[str]) -> Site | None:
    reduced = Tree(base.config, {name: content for name, content in base.files.items() if name not in without})
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=asked.scratch) as scratch:
        config = reduced.write_to(Path(scratch))
        return load_site(config, asked.protocols, asked.environ, home=asked.home, now=asked.wall).site


def _unchanged(base: Tree, tree: Tree) -> frozenset[str]:
    """Files of surfaces that need not be read a second time: with all that they refer to, they are as they were. One is
    read all the same where nothing would be left."""
    changed = {name for name in base.files.keys() | tree.files.keys() if base.files.get(name) != tree.files.get(name)}
    if base.config != tree.config or any(not name.startswith(SURFACES) for name in changed):
        return frozenset()
    same = sorted(name for name in base.files if name.startswith(SURFACES) and name not in changed)
    left = any(name.startswith(SURFACES) and name in base.files for name in changed)
    return frozenset(same if left else same[1:])
