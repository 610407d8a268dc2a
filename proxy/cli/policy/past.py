"""What the commands share that look at recorded flows: reading them, and the files that they are held against."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from proxy.cli.exits import EnvironmentFailure, Findings
from proxy.cli.place import find_place, find_state
from proxy.cli.site import protocols, text_of
from proxy.versions.store import VersionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from proxy.core.action import Action
    from proxy.core.inventory import Device
    from proxy.core.principal import Principal
    from proxy.core.reason import Reason
    from proxy.core.surface import Monitor, Surface
    from proxy.flows.row import FlowRow
    from proxy.policy.backtest import Limits, Past
    from proxy.policy.backtest import Site as Deciding
    from proxy.site import Problem, Site

_AGE = re.compile(r"(?P<count>[1-9][0-9]{0,4})(?P<unit>min|h|d)")
_SECONDS = {"min": 60, "h": 3600, "d": 86400}
UNKNOWN = "unknown"


class Age(click.ParamType[float]):
    """``14d``, ``8h``, ``30min``: in seconds."""

    name = "AGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = _AGE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is not an age; write 14d, 8h or 30min", param, ctx)
        return float(int(match["count"]) * _SECONDS[match["unit"]])


flows_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--flows",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file of recorded flows; else flows.sqlite in the site's state folder.",
)


@dataclass(frozen=True, slots=True)
class Unread:
    """A record that cannot be asked again, and why."""

    row: FlowRow
    why: str


def rows_of(config: Path | None, flows: Path | None, age: float) -> list[FlowRow]:
    """Flows last seen within ``age`` seconds. Raises EnvironmentFailure."""
    from proxy.flows.store import FILE, FlowsError, read_flows

    path = flows or find_place(config).audit.parent / FILE
    try:
        return read_flows(path, since=time.time() - age)
    except FlowsError as missing:
        raise EnvironmentFailure(str(missing)) from None


def past_of(rows: Sequence[FlowRow], devices: Mapping[str, Device]) -> tuple[list[Past], list[Unread]]:
    """The rows in the words of policy. ``devices`` tells where the speakers stand."""
    known = protocols()
    found: list[Past] = []
    unread: list[Unread] = []
    for row in rows:
        spec = known.get(row.protocol)
        if spec is None:
            unread.append(Unread(row, f"nothing here speaks {row.protocol}"))
            continue
        try:
            low, high = spec.parse_actions(row.low), spec.parse_actions(row.high)
        except ValueError as fault:
            unread.append(Unread(row, f"its text is of another version: {fault}"))
            continue
        found.append(_past(row, low, high, _principal(row, devices)))
    return found, unread


def _past(row: FlowRow, low: tuple[Action, ...], high: tuple[Action, ...], who: Principal) -> Past:
    from proxy.policy.backtest import Past

    return Past(
        principal=who,
        device=row.to,
        protocol=row.protocol,
        low=low,
        high=high,
        texts=(row.low, row.high),
        allowed=row.allowed,
        code=row.code,
        rule=row.rule,
        at=row.at,
        would=row.would,
        policy=row.policy,
        count=row.count,
        first=row.first,
        last=row.last,
    )


def _principal(row: FlowRow, devices: Mapping[str, Device]) -> Principal:
    """As it was recorded: what matched, matched, and nothing else. A device that the files do not know keeps its name;
    whoever judges it says that it is unknown."""
    from proxy.core.evidence import Evidence, Outcome, Strength
    from proxy.core.principal import Principal
    from proxy.policy.assume import STRENGTHS

    evidence = tuple(
        Evidence(kind, Outcome.MATCH, STRENGTHS.get(kind, Strength.HINT), note="recorded") for kind in row.evidence
    )
    device = devices.get(row.who)
    who = None if row.who == UNKNOWN else row.who
    return Principal(who, frozenset(row.attributes), evidence, device.place if device else None)


def refused_before(site: Site) -> Callable[[Past, tuple[Action, ...]], tuple[Reason, str] | None]:
    """What no rule is asked about: whether the speaker is believed, and what the protocol refuses by itself."""
    from proxy.identity.identify import refusal
    from proxy.site.outright import refused_outright

    known = protocols()

    def refused(past: Past, actions: tuple[Action, ...]) -> tuple[Reason, str] | None:
        who = past.principal
        reason = refusal(who, None if who.id is None else site.devices.get(who.id))
        if reason is not None:
            return reason, f"identity of {who.label}: {reason.sentence}"
        return refused_outright(site.devices, known, past.device, actions)

    return refused


def deciding(site: Site, *, everything: bool = False, now: float | None = None) -> Deciding:
    """What decides if these files are taken into use. ``everything``: as if no rule and no surface were monitored."""
    from proxy.policy.backtest import Site as Deciding
    from proxy.policy.shadow import enforced, lenient

    at = time.time() if now is None else now
    surfaces = tuple(map(_over, site.surfaces)) if everything else site.surfaces
    return Deciding(enforced(surfaces, at), site.roles, site.devices, site.hours, lenient(surfaces, at))


def _over(surface: Surface) -> Surface:
    """As it will be when all its monitoring is over, and enforced."""
    return replace(
        surface,
        rules=tuple(replace(one, monitor=_ended(one.monitor)) for one in surface.rules),
        nevers=tuple(replace(one, monitor=_ended(one.monitor)) for one in surface.nevers),
        monitor=_ended(surface.monitor),
        mark="",
    )


def _ended(monitor: Monitor | None) -> Monitor | None:
    return None if monitor is None else replace(monitor, until=0.0, then="enforce")


def digest_of(site: Site) -> str:
    """What records call the policy of these files."""
    from proxy.policy.shadowed import compile_shadowed

    return compile_shadowed(site.surfaces, site.roles, site.devices, site.hours, now=time.time()).digest


def digest_in_force(config: Path) -> str | None:
    """What records call the policy that a gateway of this site took last. None: there was none, or nobody can tell."""
    from proxy.versions.store import Versions

    with suppress(VersionError):
        current = Versions(find_state(config) / "policy").current()
        return (current.policy or None) if current is not None else None
    return None


def limits_then(config: Path, site: Site, past: Sequence[Past]) -> dict[str, dict[str, Limits]]:
    """By the digest of a policy that was in force: what each of its rules asked besides the message. Versions that are
    not kept any more, or are damaged, are left out: then nobody can tell."""
    from proxy.policy.backtest import limits_of
    from proxy.policy.shadow import enforced
    from proxy.site import load_site
    from proxy.versions.store import Versions

    wanted = {one.policy for one in past}
    versions = Versions(find_place(config).audit.parent / "policy")
    found: dict[str, dict[str, Limits]] = {digest_of(site): limits_of(enforced(site.surfaces, time.time()), site.hours)}
    with suppress(VersionError):
        for version in versions.history():
            if version.policy in wanted and version.policy not in found:
                with suppress(VersionError, OSError), TemporaryDirectory(prefix="bulkhead-") as name:
                    there = versions.read(version.id).write_to(Path(name))
                    then = load_site(there, protocols(), os.environ, home=config.parent, now=version.time).site
                    if then is not None:
                        found[version.policy] = limits_of(enforced(then.surfaces, version.time), then.hours)
    return found


@contextmanager
def copy_of(config: Path, changed: Mapping[str, str]) -> Iterator[Path]:
    """The config file of a copy of the site in which ``changed`` files (path in the site -> text) are put."""
    from proxy.versions.tree import read_tree

    tree = read_tree(config)
    tree = replace(tree, files={**tree.files, **{name: text.encode() for name, text in changed.items()}})
    with TemporaryDirectory(prefix="bulkhead-") as name:
        yield tree.write_to(Path(name))


def sound_site(config: Path, home: Path) -> tuple[Site | None, list[Problem]]:
    """The site of ``config`` if it has no error, tests included; and all that is wrong. ``home`` is the folder of
    the real site, if this is a copy."""
    from proxy.change.findings import policy_problems
    from proxy.site import in_order, load_site

    known = protocols()
    loaded = load_site(config, known, os.environ, home=home)
    problems = list(loaded.problems)
    if loaded.site is not None:
        problems = list(in_order((*problems, *policy_problems(loaded.site, known))))
    failed = any(not problem.warning for problem in problems)
    return None if failed else loaded.site, problems


def errors_text(problems: Sequence[Problem], config: Path) -> str:
    return "\n".join(text_of(problem, config) for problem in problems if not problem.warning)


def as_findings(first: str, problems: Sequence[Problem], config: Path) -> Findings:
    return Findings(f"{first}\n{errors_text(problems, config)}")
