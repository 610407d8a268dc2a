"""`bulkhead policy apply`: take the files of the site into use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxy.cli.policy import taking
from proxy.cli.site import config_option
from proxy.versions.tree import Tree, read_tree

if TYPE_CHECKING:
    from proxy.versions.store import Versions


@click.command(name="apply")
@config_option
@click.option(
    "--accept-widening", "accepted", metavar="DIGEST", help="What this change widens was seen, and is wanted."
)
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for the gateway.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(config: Path | None, accepted: str | None, timeout: float, output: str) -> int:
    """Check the files, run the policy's tests, say what changes, and have the gateway take it.

    A change that widens access is not taken before somebody acknowledges exactly this change.

    Exits with 0 if it is in force, 1 if it is refused, 3 if the acknowledgement cannot be written, 4 if no gateway
    answers (it comes into force at the next start), 5 if it waits for an acknowledgement.
    """
    step = taking.look_at(config, _files)
    if not taking.acknowledge(step, accepted):
        return taking.tell(step, "pending", (), output)
    return taking.tell(step, *taking.wait_for(step, timeout), output)


def _files(config: Path, versions: Versions) -> Tree:
    return read_tree(config)
