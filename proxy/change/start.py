"""What a gateway starts with: the files as they are, or if they may not come into force, the last good version."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.change.judge import Judged, Question, judge
from proxy.change.reload import Attempt, compared, may_be_taken, waiting
from proxy.site import load_site
from proxy.versions.store import SCRATCH, VersionError
from proxy.versions.tree import Tree, UnfitError, read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Problem, Site
    from proxy.versions.store import Versions

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Beginning:
    """``new``: the version is not yet kept and marked. ``attempt`` tells how it came to be."""

    site: Site
    tree: Tree
    attempt: Attempt
    new: bool
    warnings: tuple[Problem, ...] = ()


class NothingGoodError(Exception):
    """The files may not come into force, and nothing was before. ``problems`` are all of them."""

    def __init__(self, problems: tuple[Problem, ...], text: str = "") -> None:
        super().__init__(text)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Start:
    """What `begin` needs. ``versions`` is asked with what the files call the state folder."""

    config: Path
    protocols: Mapping[str, ProtocolSpec]
    environ: Mapping[str, str]
    wall: Callable[[], float]
    versions: Versions


def begin(start: Start) -> Beginning:
    """Raises NothingGoodError."""
    base = _last_good(start)
    try:
        tree = read_tree(start.config)
    except UnfitError as fault:
        return _fall_back(start, base, None, (f"{fault}",))
    judged = judge(_question(start, tree, None if base is None or base.id == tree.id else base))
    attempt = compared(judged, Attempt(1, "start", "taken", start.wall(), version=tree.id[:16]))
    if judged.site is None:
        return _fall_back(start, base, judged, tuple(str(one) for one in judged.errors))
    if base is None or base.id == tree.id:
        return Beginning(judged.site, tree, attempt, base is None, judged.problems)
    if may_be_taken(judged, start.versions.accepted()):
        return Beginning(judged.site, tree, attempt, True, judged.problems)
    return _fall_back(start, base, judged, (waiting(judged),))


def _fall_back(start: Start, base: Tree | None, judged: Judged | None, why: tuple[str, ...]) -> Beginning:
    """Loud: somebody changed a file and expects to see it in force."""
    problems = () if judged is None else judged.problems
    if base is None:
        raise NothingGoodError(problems, "; ".join(why) if judged is None else "")
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=start.versions.scratch) as scratch:
        home = start.config.absolute().parent
        loaded = load_site(base.write_to(Path(scratch)), start.protocols, start.environ, home=home, now=start.wall())
    if loaded.site is None:
        problems = tuple(one for one in (*problems, *loaded.problems) if not one.warning)
        raise NothingGoodError(problems, f"nor is the last good version, any more: {'; '.join(why)}")
    outcome = "pending" if judged is not None and judged.site is not None else "refused"
    attempt = Attempt(1, "start", outcome, start.wall(), told=why)
    if judged is not None:
        attempt = compared(judged, attempt)
    for line in why:
        _log.error("the files are not taken into use; the last good version is", extra={"why": line})
    return Beginning(loaded.site, base, attempt, False)


def _last_good(start: Start) -> Tree | None:
    try:
        version = start.versions.current()
        return None if version is None else start.versions.read(version.id)
    except VersionError as fault:
        _log.error("the last good version cannot be used; the files are taken as they are", extra={"why": str(fault)})
        return None


def _question(start: Start, tree: Tree, base: Tree | None) -> Question:
    home, scratch = start.config.absolute().parent, start.versions.scratch
    return Question(tree, home, start.protocols, start.environ, start.wall(), base, scratch, start.config)
