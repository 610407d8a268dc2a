"""What the commands about certificates have in common: options, durations, addresses, how faults are told."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click

from proxy.cli.certs_site import Address, SiteNames
from proxy.cli.exits import EnvironmentFailure, Findings
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option
from proxy.pki.authority import AuthorityError
from proxy.pki.certificate import CertificateError
from proxy.pki.files import KeyFileError
from proxy.pki.folder import APPLICATIONS, AUTHORITY
from proxy.pki.revoked import RevocationError

_TTL = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?")
_HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")

Option = Callable[[Callable[..., None]], Callable[..., None]]


class Ttl(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        match = _TTL.fullmatch(value)
        days, hours, minutes, seconds = (int(n or 0) for n in match.groups()) if match else (0, 0, 0, 0)
        life = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if not life:
            self.fail(f"{value!r} is not a duration such as 24h, 8h30m or 30d", param, ctx)
        return life


class Ip(click.ParamType[Address]):
    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        try:
            return ip_address(value)
        except ValueError:
            self.fail(f"{value!r} is not an IP address", param, ctx)


def options_of(*options: Option) -> Option:
    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


site_and_form = options_of(
    config_option,
    click.option("-o", "--output", type=click.Choice(("text", "json")), default="text", show_default=True),
)
dialled_as = options_of(
    click.option("--dns", multiple=True, help="A name that clients dial; repeatable."),
    click.option("--ip", "ips", multiple=True, type=Ip(), help="An address that clients dial; repeatable."),
)


@contextmanager
def told() -> Iterator[None]:
    """One sentence and an exit code for everything that can be somebody else's fault."""
    try:
        yield
    except FileExistsError as fault:
        raise Findings(f"{fault.filename2 or fault.filename} exists; --force replaces it") from fault
    except (KeyFileError, AuthorityError, RevocationError, CertificateError) as fault:
        raise EnvironmentFailure(str(fault)) from fault
    except FileNotFoundError as fault:
        name = Path(str(fault.filename)).name
        mends = {AUTHORITY: "; bulkhead certs init makes", APPLICATIONS: "; bulkhead certs opcua init makes"}
        mend = next((f"{text} the authority" for stem, text in mends.items() if name.startswith(f"{stem}.")), "")
        raise EnvironmentFailure(f"{fault.filename} does not exist{mend}") from fault
    except OSError as fault:
        raise EnvironmentFailure(f"{fault.filename or 'certs'}: {fault.strerror}") from fault
    except ValueError as fault:
        raise click.UsageError(str(fault)) from fault


def dialled(site: SiteNames, dns: Sequence[str], ips: Sequence[Address]) -> tuple[tuple[str, ...], tuple[Address, ...]]:
    """Clients look for the name they dial in the certificate: the listeners' addresses and this host's name."""
    hosts = [host for host in site.hosts if not host.is_unspecified]
    everywhere = not hosts or len(hosts) < len(site.hosts)
    if everywhere:
        hosts += [ip_address("127.0.0.1"), ip_address("::1")]
        if not ips and not dns:
            click.echo("note: a listener binds every address; name those that clients dial: --ip, --dns", err=True)
    names = ["localhost"] if any(host.is_loopback for host in hosts) else []
    if everywhere and _HOST_NAME.fullmatch(platform.node().lower()):
        names.append(platform.node().lower())
    return tuple(dict.fromkeys((*names, *dns))), tuple(dict.fromkeys((*hosts, *ips)))


def table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def json_text(kind: str, name: str, records: Sequence[Mapping[str, object]]) -> str:
    return json.dumps({"apiVersion": API_VERSION, "kind": kind, name: records}, indent=2)


def instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
