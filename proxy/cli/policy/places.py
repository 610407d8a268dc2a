"""Where a version of a site is: a folder, a config file, a revision in git, or a version that the gateway kept."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from proxy.cli.exits import EnvironmentFailure, Findings
from proxy.cli.place import find_state
from proxy.cli.site import PLACES, protocols

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.site import Site
    from proxy.versions.tree import Tree

GIT, VERSION = "git:", "version:"
PARTS = ("policies", "fingerprints")
MOST = 256 * 1024 * 1024
"""Bytes of an archive that git makes of a site."""


@dataclass(frozen=True, slots=True)
class Place:
    """``label`` is how people call it. One of ``config`` (files as they are), ``revision`` and ``version`` is set."""

    label: str
    config: Path | None = None
    revision: str | None = None
    version: str | None = None


def place_of(text: str, config: Path) -> Place:
    """What ``text`` means beside the site of ``config``. A path that exists wins, then git, then what was kept."""
    if text.startswith(GIT):
        return Place(text, revision=_commit(config, text.removeprefix(GIT)))
    if text.startswith(VERSION):
        return Place(text, version=_kept(config, text.removeprefix(VERSION)))
    if (path := Path(text)).exists():
        return Place(text, config=config_in(path))
    if (commit := _commit_or_none(config, text)) is not None:
        return Place(f"{GIT}{text}", revision=commit)
    try:
        return Place(f"{VERSION}{text}", version=_kept(config, text))
    except EnvironmentFailure as fault:
        known = f"it is no folder, no revision in git, and {fault.message}"
        raise EnvironmentFailure(f"{text!r} is no version of a site: {known}") from None


def config_in(path: Path) -> Path:
    return path / PLACES[0] if path.is_dir() else path


def in_force(config: Path) -> Place:
    """What the gateway took last; without a gateway what was committed last."""
    from proxy.versions.store import VersionError, Versions

    try:
        current = Versions(find_state(config) / "policy").current()
    except VersionError as fault:
        raise EnvironmentFailure(f"{fault}; say what to compare with: bulkhead policy diff A B") from None
    if current is not None:
        return Place(f"{VERSION}{current.id} (in force)", version=current.id)
    commit = _commit_or_none(config, "HEAD")
    if commit is None:
        raise EnvironmentFailure(
            "nothing to compare with: no gateway has taken these files into use, and they are not in git; "
            "say what: bulkhead policy diff A B"
        )
    return Place("git:HEAD", revision=commit)


def site_at(place: Place, config: Path) -> Site:
    """The site as it is, or was, at ``place``. Raises Findings if it is not sound, EnvironmentFailure."""
    from proxy.site import load_site

    home = None if place.config is not None else config.absolute().parent
    with _files(place, config) as there:
        loaded = load_site(there, protocols(), os.environ, home=home)
    if loaded.site is None:
        faults = [str(problem) for problem in loaded.problems if not problem.warning]
        raise Findings("\n".join([f"the site at {place.label} is not valid:", *faults]))
    return loaded.site


@contextmanager
def _files(place: Place, config: Path) -> Iterator[Path]:
    """The config file, with the rest of the site beside it. The checkout is not touched."""
    if place.config is not None:
        yield place.config
        return
    with TemporaryDirectory(prefix="bulkhead-") as scratch:
        if place.revision is not None:
            yield _unpacked(_archive(config, place.revision), Path(scratch)) / config.name
        else:
            yield _tree(config, place.version or "").write_to(Path(scratch))


def _tree(config: Path, version: str) -> Tree:
    """The one place that knows how the gateway keeps versions."""
    from proxy.versions.store import VersionError, Versions

    try:
        return Versions(find_state(config) / "policy").read(version)
    except VersionError as fault:
        raise EnvironmentFailure(str(fault)) from None


def _kept(config: Path, prefix: str) -> str:
    from proxy.versions.store import VersionError, Versions

    try:
        return Versions(find_state(config) / "policy").find(prefix).id
    except VersionError as fault:
        raise EnvironmentFailure(str(fault)) from None


def _commit(config: Path, revision: str) -> str:
    commit = _commit_or_none(config, revision)
    if commit is None:
        where = config.absolute().parent
        raise EnvironmentFailure(f"{revision!r} is no revision in git of {where}; git log lists them")
    return commit


def _commit_or_none(config: Path, revision: str) -> str | None:
    """The revision as a digest, so that nothing that is called like an option reaches git again."""
    done = _git(config, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return done.stdout.decode("ascii", "replace").strip() or None if done.returncode == 0 else None


def _archive(config: Path, commit: str) -> bytes:
    listed = _git(config, "ls-tree", "--name-only", commit)
    names = set(listed.stdout.decode("utf-8", "replace").splitlines())
    if listed.returncode or config.name not in names:
        raise EnvironmentFailure(f"there was no {config.name} in {config.absolute().parent} at {commit[:12]}")
    wanted = [config.name, *(name for name in PARTS if name in names)]
    done = _git(config, "archive", "--format=tar", commit, "--", *wanted)
    if done.returncode or len(done.stdout) > MOST:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise EnvironmentFailure(f"git cannot give {commit[:12]}: {said or 'it is too large'}")
    return done.stdout


def _unpacked(archive: bytes, folder: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def _git(config: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    # Neither a pager nor a hook nor a setting of the person who asks may change what is read.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(config.absolute().parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    except OSError as fault:
        return subprocess.CompletedProcess(command, 1, b"", str(fault).encode())
