"""`bulkhead certs`: the site's certificate authority, its certificates, and the list of revoked ones.

Keys never go to the screen or the command line (T69). Data goes to stdout, notes to stderr. The part about OPC UA is
`proxy.cli.certs_opcua`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from proxy.cli.certs_common import Ttl, dialled, dialled_as, instant, json_text, site_and_form, table, told
from proxy.cli.certs_opcua import opcua
from proxy.cli.certs_site import Address, SiteNames, read_site
from proxy.cli.exits import Findings
from proxy.pki.folder import APPLICATIONS, AUTHORITY, GATEWAY, CertificateFolder, Entry, Listing
from proxy.pki.leaf import GATEWAY_LIFE, LEAF_LIFE, Leaf
from proxy.pki.revoked import read_serial

_COLUMNS = ("name", "state", "until", "role", "serial", "uri")


@click.group(name="certs")
def command() -> None:
    """Make the site's certificate authority; issue, show and revoke certificates."""


command.add_command(opcua)


@command.command()
@site_and_form
@dialled_as
@click.option("--force", is_flag=True, help="Replace the authority: every certificate must be issued again.")
def init(config: Path | None, output: str, dns: tuple[str, ...], ips: tuple[Address, ...], force: bool) -> None:
    """Make the site's authority and the gateway's certificate in certs/. An authority without one keeps its key."""
    with told():
        site, now = read_site(config), datetime.now(UTC)
        folder = _folder(site)
        keep = folder.has(AUTHORITY) and not force
        if keep and folder.has(GATEWAY):
            raise Findings(
                f"{folder.path} has an authority and a gateway certificate. To renew the latter: bulkhead certs issue"
                f" {GATEWAY} --force. For a new authority (all certificates must be issued again): --force"
            )
        if not keep:
            folder.create_authority(now, replace=force)
        folder.issue(_gateway(site, GATEWAY_LIFE, dns, ips), now, replace=force)
        made = {f"{name}.crt" for name in ((GATEWAY,) if keep else (AUTHORITY, GATEWAY))}
        _print([entry for entry in folder.list(now).entries if entry.file in made], output)
        _wrote(folder.path, sorted(made))


@command.command()
@click.argument("name")
@site_and_form
@dialled_as
@click.option("--kind", type=click.Choice(("device", "person")), default="device", show_default=True)
@click.option("--role", help="Its Modbus/TCP Security role, for rules that say mbaps:ROLE.")
@click.option("--ttl", type=Ttl(), help="How long it is valid: 24h (default; the gateway 30d), 8h30m, 7d.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where to write, if not to certs/.")
@click.option("--unlisted", is_flag=True, help="NAME is no device in fingerprints/.")
@click.option("--force", is_flag=True, help="Replace NAME.crt and NAME.key.")
def issue(
    name: str,
    config: Path | None,
    output: str,
    dns: tuple[str, ...],
    ips: tuple[Address, ...],
    kind: str,
    role: str | None,
    ttl: timedelta | None,
    out: Path | None,
    unlisted: bool,
    force: bool,
) -> None:
    """Issue NAME.crt (leaf, then root) and NAME.key. `issue gateway --force` renews the gateway's."""
    with told():
        site, now = read_site(config), datetime.now(UTC)
        if name == GATEWAY:
            if kind == "person" or role is not None:
                raise click.UsageError(f"{GATEWAY} is the gateway: it is no person and has no role")
            leaf = _gateway(site, ttl or GATEWAY_LIFE, dns, ips)
        else:
            leaf = Leaf(name, kind, role, ttl or LEAF_LIFE, dns, ips)
            leaf.check()
            if kind == "device" and not unlisted:
                _known(name, site.devices())
        folder = _folder(site)
        certificate = folder.issue(leaf, now, out=out, replace=force).certificate
        if certificate.not_valid_after_utc < now + leaf.life - timedelta(seconds=1):
            click.echo(f"note: {name} ends with the authority, sooner than asked for", err=True)
        _print([e for e in folder.list(now).entries if e.facts.serial == certificate.serial_number], output)
        _wrote(out or folder.path, [f"{name}.crt"])


@command.command()
@click.argument("name", required=False)
@site_and_form
def show(name: str | None, config: Path | None, output: str) -> None:
    """List the certificates of the site, or those of NAME: role, serial number, until when, revoked or not."""
    with told():
        folder = _folder(read_site(config))
        listing = folder.list(datetime.now(UTC))
        entries = [e for e in listing.entries if name is None or name in (e.name, Path(e.file).stem)]
        if not entries:
            raise Findings(f"there is no certificate of {name!r} in {folder.path}")
        _print(entries, output)
        if listing.unreadable:
            raise Findings(_unreadable(listing))


@command.command()
@click.argument("name", required=False)
@site_and_form
@click.option("--serial", help="A serial number (hexadecimal) instead of a name.")
@click.option("--reason", default="", help="Why; people read it in the list.")
def revoke(name: str | None, config: Path | None, output: str, serial: str | None, reason: str) -> None:
    """Refuse every valid certificate of NAME, or the one with a serial number, at all gateways of the site."""
    if (name is None) == (serial is None):
        raise click.UsageError("give NAME or --serial")
    with told():
        now = datetime.now(UTC)
        folder = _folder(read_site(config))
        listing = folder.list(now)
        if listing.unreadable:
            click.echo(f"note: {_unreadable(listing)}", err=True)
        leaves = [entry for entry in listing.entries if entry.file not in (f"{AUTHORITY}.crt", f"{APPLICATIONS}.crt")]
        if serial is not None:
            wanted = read_serial(serial)
            pairs = [(wanted, next((e.name for e in leaves if e.facts.serial == wanted), ""))]
        else:
            pairs = _to_revoke(name or "", leaves)
        added = folder.revoke(pairs, reason, now)
        if output == "json":
            records = [{"name": r.name, "serial": f"{r.serial:x}", "when": r.when} for r in added]
            click.echo(json_text("Revocations", "revoked", records))
            return
        for one in added:
            click.echo(f"revoked {one.name or 'certificate'} {one.serial:x}")
        if not added:
            click.echo("it was revoked before; nothing changed", err=True)


def _folder(site: SiteNames) -> CertificateFolder:
    return CertificateFolder(site.certs, site.name)


def _to_revoke(name: str, leaves: Sequence[Entry]) -> list[tuple[int, str]]:
    own = [entry for entry in leaves if entry.name == name and entry.state not in ("expired", "of another authority")]
    if not own:
        raise Findings(f"no certificate of {name!r} that still holds is known here; --serial revokes any")
    return [(entry.facts.serial, name) for entry in own]


def _gateway(site: SiteNames, life: timedelta, dns: Sequence[str], ips: Sequence[Address]) -> Leaf:
    return Leaf(GATEWAY, "gateway", None, life, *dialled(site, dns, ips))


def _known(name: str, devices: Sequence[str]) -> None:
    if name in devices:
        return
    near = difflib.get_close_matches(name, devices, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise Findings(f"{name!r} is no device in fingerprints/devices; {hint}--unlisted issues it all the same")


def _unreadable(listing: Listing) -> str:
    return f"not a certificate: {', '.join(listing.unreadable)}"


def _wrote(folder: Path, files: Sequence[str]) -> None:
    for file in files:
        click.echo(f"wrote {folder / file} and {Path(file).stem}.key", err=True)


def _print(entries: Sequence[Entry], output: str) -> None:
    if output == "json":
        click.echo(json_text("Certificates", "certificates", [_record(entry) for entry in entries]))
        return
    click.echo(table([_COLUMNS, *(_row(entry) for entry in entries)]))


def _row(entry: Entry) -> tuple[str, ...]:
    facts = entry.facts
    uris = " ".join(facts.uris) or "-"
    return entry.name, entry.state, instant(facts.not_after), facts.role or "-", f"{facts.serial:x}", uris


def _record(entry: Entry) -> dict[str, object]:
    facts = entry.facts
    return {
        "name": entry.name,
        "file": entry.file,
        "uris": list(facts.uris),
        "role": facts.role,
        "serial": f"{facts.serial:x}",
        "not_before": instant(facts.not_before),
        "not_after": instant(facts.not_after),
        "state": entry.state,
    }
