"""What `apply` and `rollback` share: judge a version, ask for an acknowledgement, wait for the gateway to take it."""

from __future__ import annotations

import http.client
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proxy.cli.exits import DONE, FINDINGS, PENDING, UNREACHABLE, EnvironmentFailure, Findings
from proxy.cli.place import find_place, find_state
from proxy.cli.site import find_config, protocols, text_of
from proxy.cli.status import Unreachable, ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.change.judge import Judged
    from proxy.versions.store import Version, Versions
    from proxy.versions.tree import Tree

API_VERSION = "bulkhead/v1"
PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Step:
    """From the version in force (None: there was none) to ``tree``."""

    config: Path
    versions: Versions
    current: Version | None
    tree: Tree
    judged: Judged

    @property
    def widenings(self) -> tuple[str, ...]:
        return () if self.judged.difference is None else tuple(one.text for one in self.judged.difference.widenings)

    @property
    def narrowings(self) -> tuple[str, ...]:
        return () if self.judged.difference is None else tuple(one.text for one in self.judged.difference.narrowings)

    @property
    def same(self) -> bool:
        return self.current is not None and self.current.id == self.tree.id[:16]

    @property
    def needs_word(self) -> bool:
        """Somebody has to acknowledge it."""
        if self.current is None or self.same or not self.judged.require_ack:
            return False
        return self.judged.difference is None or bool(self.widenings)


def look_at(given: Path | None, tree_of: Callable[[Path, Versions], Tree]) -> Step:
    """Judge the version that ``tree_of`` gives. Raises Findings with every fault."""
    from proxy.change.judge import Question, judge
    from proxy.versions.store import VersionError, Versions
    from proxy.versions.tree import UnfitError

    config = find_config(given)
    versions = Versions(find_state(config) / "policy")
    try:
        current = versions.current()
        base = None if current is None else versions.read(current.id)
        tree = tree_of(config, versions)
    except (VersionError, UnfitError) as fault:
        raise Findings(str(fault)) from None
    judged = judge(Question(tree, config.absolute().parent, protocols(), os.environ, time.time(), base))
    if judged.site is None:
        lines = [text_of(problem, config) for problem in judged.errors]
        raise Findings("\n".join(["not taken into use, for it is not valid:", *lines]))
    return Step(config, versions, current, tree, judged)


def acknowledge(step: Step, accepted: str | None) -> bool:
    """Whether it may go on. Writes the acknowledgement that the gateway looks for."""
    if not step.needs_word:
        return True
    token = step.judged.token
    if accepted is None:
        return False
    if accepted != token:
        raise Findings(f"{accepted} acknowledges another change; this one is --accept-widening {token}")
    try:
        step.versions.accept(token)
    except OSError as fault:
        raise EnvironmentFailure(f"the acknowledgement cannot be written: {fault.strerror}: {fault.filename}") from None
    return True


def wait_for(step: Step, seconds: float) -> tuple[str, tuple[str, ...]]:
    """Asks the gateway to look at its files, and waits until it has taken this version or said why not: the outcome as
    in `/status`, or ``unreachable``."""
    place = find_place(step.config)
    try:
        before = _reload_of(ask(place.host, place.port, "/status"))
    except Unreachable:
        return "unreachable", ("no gateway answers; it comes into force when one is started",)
    _ask_for_it(place.host, place.port)
    until = time.monotonic() + seconds
    wanted = step.tree.id[:16]
    while time.monotonic() < until:
        now = _reload_of(ask(place.host, place.port, "/status"))
        if now.get("in_force") == wanted:
            return "taken", ()
        if now.get("candidate") == wanted and now.get("number") != before.get("number"):
            return str(now.get("outcome")), tuple(map(str, now.get("told") or ()))
        time.sleep(PAUSE)
    hint = "policy.watch is off in bulkhead.yaml? send it SIGHUP"
    return "not yet", (f"the gateway did not look at its files within {seconds:g} s; {hint}",)


def tell(step: Step, outcome: str, told: tuple[str, ...], output: str) -> int:
    """Prints what became of it; the exit code."""
    if output == "json":
        click.echo(json.dumps(_data(step, outcome, told), indent=2))
    else:
        for line in _lines(step, outcome, told):
            click.echo(line)
    codes = {"taken": DONE, "unchanged": DONE, "pending": PENDING, "unreachable": UNREACHABLE, "not yet": PENDING}
    return codes.get(outcome, FINDINGS)


def _lines(step: Step, outcome: str, told: tuple[str, ...]) -> list[str]:
    lines = [f"wider     {line}" for line in step.widenings] + [f"narrower  {line}" for line in step.narrowings]
    if not lines and not step.same and step.current is not None:
        lines = ["no access appears or disappears"]
    if outcome == "pending":
        lines += ["", "It widens access. If that is what you want:", _command(step)]
    elif outcome in ("taken", "unchanged"):
        lines.append(f"version {step.tree.id[:16]} is in force{', as it was' if step.same else ''}")
    else:
        lines.append(f"version {step.tree.id[:16]} is not in force: {outcome}")
    return [*lines, *told]


def _command(step: Step) -> str:
    return f"  bulkhead policy apply --accept-widening {step.judged.token}"


def _data(step: Step, outcome: str, told: tuple[str, ...]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "PolicyApply",
        "outcome": outcome,
        "version": step.tree.id[:16],
        "before": None if step.current is None else step.current.id,
        "widenings": list(step.widenings),
        "narrowings": list(step.narrowings),
        "accept": step.judged.token if step.needs_word else None,
        "told": list(told),
    }


def _reload_of(status: dict[str, Any]) -> dict[str, Any]:
    found = status.get("reload")
    return found if isinstance(found, dict) else {}


def _ask_for_it(host: str, port: int) -> None:
    """Where the site does not allow it the file watch notices a moment later."""
    connection = http.client.HTTPConnection(host, port, timeout=5.0)
    try:
        connection.request("POST", "/-/reload")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
