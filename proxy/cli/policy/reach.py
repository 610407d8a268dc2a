"""`bulkhead policy reach`: what somebody who takes a device over can touch, step by step. Asks files, no gateway."""

from __future__ import annotations

import difflib
import json
import time
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxy.cli.asking import check_kinds
from proxy.cli.exits import DONE, FINDINGS, EnvironmentFailure
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option, open_site, protocols

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.core.action import Target
    from proxy.core.principal import Principal
    from proxy.policy.plan import Plan
    from proxy.policy.reach import Reach
    from proxy.policy.way import Assumption, Relay, Words
    from proxy.site import Site


@click.command()
@config_option
@click.argument("device")
@click.option("--depth", type=click.IntRange(1), metavar="N", help="So many steps at most.")
@click.option("--any", "any_contact", is_flag=True, help="Who is touched is taken over, not only who is changed.")
@click.option("--writes", is_flag=True, help="Leave out what changes nothing.")
@click.option(
    "--evidence",
    multiple=True,
    metavar="KIND",
    help="What DEVICE can show: x509, opcua_uri, inside, mac_ip, address, or none. Default: all that binds it.",
)
@click.option("--any-role", is_flag=True, help="Every certificate has every mbaps role that a rule names.")
@click.option("--at", metavar="TIME", help="Count only hours open then, as 2026-12-01T06:00:00+01:00. Default: all.")
@click.option("--within", metavar="PLACE", help="Exit with 1 if something outside PLACE can be touched.")
@click.option("-o", "--output", type=click.Choice(["text", "json", "svg"]), default="text")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
def command(
    config: Path | None,
    device: str,
    depth: int | None,
    any_contact: bool,
    writes: bool,
    evidence: tuple[str, ...],
    any_role: bool,
    at: str | None,
    within: str | None,
    output: str,
    out: Path | None,
) -> int:
    """Say what somebody who takes DEVICE over can touch, and what those it may change can touch in turn.

    DEVICE may carry a role of its certificate: scada+mbaps:Operator. Exits with 0, or with 1 if --within does not hold.
    """
    from proxy.policy.reach import Search, reach

    site = open_site(config)
    start, *roles = device.split("+")
    _check_names(site, start, roles)
    _check_place(site, within)
    assumption = _assumption(site, evidence, roles, any_role, at)
    found = reach(_plan(site), start, assumption, Search(depth, any_contact, writes), _words(site))
    _write(_shown(site, found, assumption, output), out)
    outside = [one for one in found.touched if not _is_within(site.devices[one].place, within)]
    if outside:
        click.echo(f"outside {within}, and can be touched: {', '.join(outside)}", err=True)
    return FINDINGS if outside else DONE


def _check_names(site: Site, start: str, roles: Sequence[str]) -> None:
    from proxy.policy.assume import is_attribute

    if start not in site.devices:
        close = difflib.get_close_matches(start, site.devices, 1)
        raise click.UsageError(f"no device {start!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    for role in roles:
        if not is_attribute(role):
            raise click.UsageError(f"{role!r} is no role of a certificate; write DEVICE+mbaps:ROLE")


def _check_place(site: Site, within: str | None) -> None:
    """Outside of a place that is not there is everything: a slip must not look like an answer."""
    if within is not None and not any(_is_within(device.place, within) for device in site.devices.values()):
        known = sorted({device.place for device in site.devices.values() if device.place})
        raise click.UsageError(f"--within: no device is at {within!r}; there are {', '.join(known)}")


def _assumption(
    site: Site, evidence: tuple[str, ...], roles: Sequence[str], any_role: bool, at: str | None
) -> Assumption:
    from proxy.policy.way import Assumption

    check_kinds(evidence)
    kinds = tuple(kind for kind in evidence if kind != "none") if evidence else None
    if at is None:
        return Assumption(kinds, frozenset(roles), any_role, now=time.time())
    now = _time(at)
    hours = frozenset(one.name for one in site.hours if one.open_at(now))
    return Assumption(kinds, frozenset(roles), any_role, hours, now)


def _time(text: str) -> float:
    wrong = click.UsageError(f"--at: {text!r} is no time with an offset; write it as 2026-12-01T06:00:00+01:00")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise wrong from None
    if moment.tzinfo is None:
        raise wrong
    return moment.timestamp()


def _plan(site: Site) -> Plan:
    from proxy.policy.plan import Door, Plan

    doors = tuple(Door(one.name, str(one.bind), one.protocol, one.to, one.secures) for one in site.listeners)
    return Plan(site.surfaces, site.roles, site.devices, site.hours, doors)


def _words(site: Site) -> Words:
    from proxy.identity.identify import refusal
    from proxy.policy.way import Words
    from proxy.site.outright import pointless_at

    known = protocols()

    def beyond(protocol: str, targets: tuple[Target, ...], nevers: tuple[Target, ...]) -> tuple[Target, ...]:
        return known[protocol].beyond(targets, nevers)

    def stands(principal: Principal) -> bool:
        return refusal(principal, None if principal.id is None else site.devices[principal.id]) is None

    return Words(
        beyond=beyond,
        pointless=lambda target, device: pointless_at(site.devices, known, device, target) is not None,
        relay=lambda device, protocol: _relay(site, device, protocol),
        stands=stands,
    )


def _relay(site: Site, device: str, protocol: str) -> Relay | None:
    """A protocol whose servers pass messages on has a module `passing`, which says what."""
    service = site.devices[device].services.get(protocol)
    name = f"proxy.protocols.{protocol}.passing"
    if service is None or find_spec(name) is None:
        return None
    passages = import_module(name).passages
    return lambda said, heard: passages(said, heard, service.options)


def _shown(site: Site, found: Reach, assumption: Assumption, output: str) -> str:
    from proxy.policy.reach_picture import as_svg
    from proxy.policy.reach_report import as_data, as_text
    from proxy.telemetry.logs import printable

    assumed = list(_assumed(site, found, assumption))
    if output == "json":
        return json.dumps({"apiVersion": API_VERSION, "kind": "Reach", **as_data(found, assumed)}, indent=2)
    if output == "svg":
        return as_svg(found, _plan(site), assumed)
    return "\n".join(printable(line) for line in as_text(found, assumed).splitlines())


def _assumed(site: Site, found: Reach, assumption: Assumption) -> Iterator[str]:
    """What was taken for granted, so that nobody takes the answer for more than it is."""
    from proxy.policy.assume import bound_kinds
    from proxy.policy.ways import roles_in_certificates

    bound = bound_kinds(site.devices[found.start])
    kinds = [kind for kind in bound if assumption.kinds is None or kind in assumption.kinds]
    role = f" with {', '.join(sorted(assumption.attributes))}" if assumption.attributes else ""
    yield f"{found.start} shows {', '.join(kinds) or 'nothing'}{role}; it poses as nobody else"
    counted = "touched" if found.search.any_contact else "changed"
    yield f"a device counts as taken over in turn once it can be {counted}, and then shows all that binds it"
    if assumption.open is None:
        yield "all hours are open, and processes are in the state that rules want"
    else:
        names = ", ".join(sorted(assumption.open)) or "no hours"
        yield f"open: {names}; processes are in the state that rules want"
    roles = roles_in_certificates(site.surfaces, site.roles)
    if roles and assumption.any_role:
        yield f"every certificate has the roles {', '.join(roles)}"
    elif missing := [one for one in roles if one not in assumption.attributes]:
        yield f"no certificate of another device has the role {', '.join(missing)} (--any-role: all have)"
    if shy := [one.id for one in site.devices.values() if one.bindings.address_only and one.id != found.start]:
        yield f"by their address alone are known {', '.join(shy)}: who takes the address can do what they can"


def _write(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text)
        return
    try:
        out.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise EnvironmentFailure(f"{out}: {error.strerror}") from None


def _is_within(place: str | None, within: str | None) -> bool:
    return within is None or place == within or (place or "").startswith(f"{within}/")
