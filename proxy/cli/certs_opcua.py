"""`bulkhead certs opcua`: certificates of OPC UA applications, and whom the gateway trusts on its channels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from proxy.cli.certs_common import Ttl, dialled, dialled_as, instant, json_text, site_and_form, table, told
from proxy.cli.certs_site import Address, SiteNames, read_site
from proxy.cli.exits import Findings
from proxy.pki.application import APPLICATION_LIFE, BITS, Application, default_uri
from proxy.pki.applications import GATEWAY_APPLICATION, ApplicationEntry, ApplicationFolder
from proxy.pki.certificate import MAX_DER_BYTES, CertificateError
from proxy.pki.folder import APPLICATIONS
from proxy.pki.leaf import check_name
from proxy.pki.trusted import check_application, check_authority, read_certificate

_COLUMNS = ("file", "kind", "state", "until", "key", "thumbprint (SHA-1)", "uri")

_bits = click.option("--bits", type=click.Choice([str(one) for one in BITS]), default="2048", show_default=True)
_ttl = click.option("--ttl", type=Ttl(), default=None, help="How long it is valid: 365d (default), 90d.")


@click.group()
def opcua() -> None:
    """Certificates of OPC UA applications: an RSA authority of their own, trust, renewal."""


@opcua.command()
@site_and_form
@dialled_as
@click.option("--uri", help="The gateway's ApplicationUri; default urn:bulkhead:SITE:opcua.")
@_bits
@_ttl
@click.option("--force", is_flag=True, help="Replace the authority: every application must be told of the new one.")
def init(
    config: Path | None,
    output: str,
    dns: tuple[str, ...],
    ips: tuple[Address, ...],
    uri: str | None,
    bits: str,
    ttl: timedelta | None,
    force: bool,
) -> None:
    """Make the authority for applications (opcua-ca), its revocation list, and the gateway's certificate (opcua)."""
    with told():
        site, now = read_site(config), datetime.now(UTC)
        folder = _folder(site)
        names, addresses = dialled(site, dns, ips)
        given = uri or default_uri(site.name, GATEWAY_APPLICATION)
        own = Application(GATEWAY_APPLICATION, given, int(bits), ttl or APPLICATION_LIFE, names, addresses)
        own.check()
        keep = folder.has(APPLICATIONS) and not force
        if keep and folder.has(GATEWAY_APPLICATION):
            raise Findings(
                f"{folder.path} has an OPC UA authority and the gateway's certificate. To renew the latter: bulkhead"
                f" certs opcua rotate {GATEWAY_APPLICATION}. For a new authority: --force"
            )
        if force and folder.has(GATEWAY_APPLICATION):
            for suffix in ("crt", "key"):  # of the authority that goes
                (folder.path / f"{GATEWAY_APPLICATION}.{suffix}").unlink(missing_ok=True)
        if not keep:
            folder.create_authority(now, replace=force)
        folder.issue(own, now)
        made = {f"{name}.crt" for name in ((GATEWAY_APPLICATION,) if keep else (APPLICATIONS, GATEWAY_APPLICATION))}
        _print([entry for entry in folder.list(now) if entry.file in made], output)
        for file in sorted(made):
            click.echo(f"wrote {folder.path / file} and {Path(file).stem}.key", err=True)
        if not keep:
            click.echo(f"give {APPLICATIONS}.crt and {APPLICATIONS}.crl to those who shall trust the gateway", err=True)


@opcua.command()
@click.argument("name")
@site_and_form
@dialled_as
@click.option("--uri", help="Its ApplicationUri, as the software is set to; default urn:bulkhead:SITE:NAME.")
@_bits
@_ttl
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where to write, if not to certs/.")
@click.option("--force", is_flag=True, help="Replace NAME.crt and NAME.key.")
def issue(
    name: str,
    config: Path | None,
    output: str,
    dns: tuple[str, ...],
    ips: tuple[Address, ...],
    uri: str | None,
    bits: str,
    ttl: timedelta | None,
    out: Path | None,
    force: bool,
) -> None:
    """Issue NAME.crt and NAME.key to an application: an HMI, a server, a second certificate of the gateway."""
    with told():
        site, now = read_site(config), datetime.now(UTC)
        folder = _folder(site)
        given = uri or default_uri(site.name, name)
        application = Application(name, given, int(bits), ttl or APPLICATION_LIFE, dns, ips)
        issued = folder.issue(application, now, out=out, replace=force).certificate
        if issued.not_valid_after_utc < now + application.life - timedelta(seconds=1):
            click.echo(f"note: {name} ends with the authority, sooner than asked for", err=True)
        _print([folder.entry(f"{name}.crt", issued, now)], output)
        click.echo(f"wrote {(out or folder.path) / name}.crt and {name}.key", err=True)


@opcua.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@site_and_form
@click.option("--name", help="certs/NAME.der; default: what FILE is called.")
@click.option("--authority", is_flag=True, help="Trust all that this authority issues to applications.")
@click.option("--force", is_flag=True, help="Replace NAME.der.")
def trust(file: Path, config: Path | None, output: str, name: str | None, authority: bool, force: bool) -> None:
    """Look at the certificate of somebody else's application and copy it to certs/NAME.der, for `trust:` of listeners
    and `server:` of devices."""
    with told():
        site, now = read_site(config), datetime.now(UTC)
        folder = _folder(site)
        called = check_name(name or file.stem.lower())
        with file.open("rb") as opened:
            data = opened.read(4 * MAX_DER_BYTES + 1)
        try:
            certificate = read_certificate(data)
            (check_authority if authority else check_application)(certificate, now)
        except CertificateError as fault:
            raise Findings(f"{file}: {fault}") from fault
        path = folder.trust(certificate, called, replace=force)
        _print([entry for entry in folder.list(now) if entry.file == path.name], output)
        click.echo(f"wrote {path}", err=True)
        click.echo(
            "compare the thumbprint with what the application itself shows; then name it in bulkhead.yaml:"
            f" opcua: {{ trust: [{APPLICATIONS}, {path.name}] }}, or for a server in its device: server: {path.name}",
            err=True,
        )


@opcua.command(name="list")
@site_and_form
def list_(config: Path | None, output: str) -> None:
    """List the certificates that OPC UA can use: the authority, what it issued, who is trusted."""
    with told():
        _print(_folder(read_site(config)).list(datetime.now(UTC)), output)


@opcua.command()
@click.argument("names", nargs=-1)
@site_and_form
@click.option("--before", type=Ttl(), help="Renew what ends within this time; default 60d, or a third of its life.")
@click.option("--new-key", is_flag=True, help="Make a new key too.")
def rotate(names: tuple[str, ...], config: Path | None, output: str, before: timedelta | None, new_key: bool) -> None:
    """Renew what opcua-ca has issued and ends soon, or NAMES, and the revocation list. For a timer; a running gateway
    takes the new files at its next reload (SIGHUP)."""
    with told():
        site, now = read_site(config), datetime.now(UTC)
        folder = _folder(site)
        folder.write_list(now)
        serials = set()
        for name in names or folder.due(now, before):
            try:
                serials.add(folder.renew(name, now, new_key=new_key).certificate.serial_number)
            except CertificateError as fault:
                raise Findings(str(fault)) from fault
        _print([entry for entry in folder.list(now) if entry.serial in serials], output)
        if not serials:
            click.echo(f"nothing ends soon; wrote {folder.path / APPLICATIONS}.crl", err=True)
        else:
            click.echo("a running gateway takes them at its next reload (SIGHUP)", err=True)


def _folder(site: SiteNames) -> ApplicationFolder:
    return ApplicationFolder(site.certs, site.name)


def _print(entries: Sequence[ApplicationEntry], output: str) -> None:
    if output == "json":
        click.echo(json_text("Applications", "applications", [_record(entry) for entry in entries]))
    elif entries:
        click.echo(table([_COLUMNS, *(_row(entry) for entry in entries)]))


def _row(entry: ApplicationEntry) -> tuple[str, ...]:
    uris = " ".join(entry.uris) or "-"
    return entry.file, entry.kind, entry.state, instant(entry.until), f"RSA {entry.bits}", entry.thumbprint, uris


def _record(entry: ApplicationEntry) -> dict[str, object]:
    return {
        "file": entry.file,
        "kind": entry.kind,
        "state": entry.state,
        "uris": list(entry.uris),
        "bits": entry.bits,
        "serial": f"{entry.serial:x}",
        "not_after": instant(entry.until),
        "sha1": entry.thumbprint,
        "sha256": entry.sha256,
    }
