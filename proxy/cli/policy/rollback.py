"""`bulkhead policy rollback`: put the files of an earlier version back, and take them into use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxy.cli.exits import EnvironmentFailure
from proxy.cli.policy import taking
from proxy.cli.site import config_option
from proxy.versions.tree import Tree, UnfitError, read_tree

if TYPE_CHECKING:
    from proxy.versions.store import Versions


@click.command(name="rollback")
@config_option
@click.argument("version")
@click.option("--accept-widening", "accepted", metavar="DIGEST", help="What this widens was seen, and is wanted.")
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for the gateway.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(config: Path | None, version: str, accepted: str | None, timeout: float, output: str) -> int:
    """Return to VERSION (the first digits of an id that `history` shows).

    It is an apply like any other: the same checks, the same comparison, the same acknowledgement. The files as they are
    now are kept as a version of their own before they are replaced.

    Exits as `apply` does: 0 in force, 1 refused or no such version, 3 files that cannot be written, 4 no gateway
    answers, 5 it waits for an acknowledgement.
    """
    step = taking.look_at(config, lambda _, versions: versions.read(versions.find(version).id))
    if not taking.acknowledge(step, accepted):
        return taking.tell(step, "pending", (), output)
    kept = _set_aside(step.config, step.versions)
    try:
        _put_back(step.config.absolute().parent, step.tree)
    except OSError as fault:
        raise EnvironmentFailure(f"the files cannot be replaced: {fault.strerror}: {fault.filename}") from None
    outcome, told = taking.wait_for(step, timeout)
    return taking.tell(step, outcome, (*told, *kept), output)


def _set_aside(config: Path, versions: Versions) -> tuple[str, ...]:
    """Nobody's edits are lost, even those that are not valid."""
    try:
        now = read_tree(config)
        id = versions.keep(now)
    except UnfitError as fault:
        raise EnvironmentFailure(f"the files as they are cannot be kept, so they are not replaced: {fault}") from None
    except OSError as fault:
        raise EnvironmentFailure(f"the files as they are cannot be kept: {fault.strerror}: {fault.filename}") from None
    return (f"the files as they were are kept as version {id}",)


def _put_back(folder: Path, tree: Tree) -> None:
    """File by file, each whole. The gateway takes them when they have come to rest."""
    now = read_tree(folder / tree.config)
    for name, content in tree.files.items():
        if now.files.get(name) == content:
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_bytes(content)
        if path.exists():
            fresh.chmod(path.stat().st_mode & 0o777)
        os.replace(fresh, path)
    for name in now.files.keys() - tree.files.keys():
        (folder / name).unlink()
