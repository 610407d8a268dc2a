"""What a gateway proves itself with: read from the site's `certs/` when it starts, or the reason why it cannot be."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.gateway.tls import Contexts, DeviceTls, device_tls, server_contexts
from proxy.pki.certificate import certificate_facts
from proxy.pki.files import KeyFileError, check_private, read_private
from proxy.pki.folder import AUTHORITY

if TYPE_CHECKING:
    from proxy.core.inventory import Device, Service
    from proxy.site import Site
    from proxy.site.model import Listener


class UnusableError(Exception):
    """A file is missing, open to others, or not what it should be. The text says which, for what, how to mend it."""


def contexts(site: Site, listener: Listener) -> Contexts | None:
    if listener.tls is None:
        return None
    name = listener.tls.certificate
    certificate, key = site.certs / f"{name}.crt", site.certs / f"{name}.key"
    authority = site.certs / f"{AUTHORITY}.crt"
    what = f"listener {listener.name}"
    for path in (authority, certificate, key):
        _check_there(what, path, "make it with: bulkhead certs init")
    _check_private(what, key)
    try:
        return server_contexts(versions=listener.tls.versions, certificate=certificate, key=key, client_ca=authority)
    except (OSError, ssl.SSLError) as error:
        raise UnusableError(f"{what}: certs/{name}.crt and .key cannot be used: {error}") from None


def towards_device(site: Site, device: Device, service: Service) -> DeviceTls | None:
    tls = service.tls
    if tls is None:
        return None
    what = f"device {device.id}, services.{service.protocol}.tls"
    ca = site.certs / f"{tls.ca}.crt"
    _check_there(what, ca, "put the certificate of the device's authority there, as PEM")
    certificate = key = None
    if tls.certificate is not None:
        certificate, key = site.certs / f"{tls.certificate}.crt", site.certs / f"{tls.certificate}.key"
        for path in (certificate, key):
            _check_there(what, path, f"make it with: bulkhead certs issue {tls.certificate}")
        _check_private(what, key)
    try:
        return device_tls(ca=ca, name=tls.name, certificate=certificate, key=key)
    except (OSError, ssl.SSLError) as error:
        files = f"certs/{ca.name}" if certificate is None else f"certs/{ca.name}, {tls.certificate}.crt and .key"
        raise UnusableError(f"{what}: {files} cannot be used: {error}") from None


def secret(site: Site, device: Device, name: str) -> bytes:
    """What the gateway proves itself with to the device, other than a key."""
    what, path = f"device {device.id}", site.certs / name
    if Path(name).name != name:
        raise UnusableError(f"{what}: {name!r} is no name of a file in certs/; write the name alone")
    _check_there(what, path, f"write it there, then: chmod 600 certs/{name}")
    try:
        return read_private(path)
    except (OSError, KeyFileError) as error:
        raise UnusableError(f"{what}: {error}") from None


def _check_there(what: str, path: Path, mend: str) -> None:
    if not path.exists():
        raise UnusableError(f"{what}: certs/{path.name} is missing; {mend}")


def _check_private(what: str, key: Path) -> None:
    try:
        check_private(key)
    except (OSError, KeyFileError) as error:
        raise UnusableError(f"{what}: {error}") from None


def own_certificates(site: Site) -> dict[str, float]:
    """End of each certificate that we show, by name."""
    ends: dict[str, float] = {}
    shown = {listener.tls.certificate for listener in site.listeners if listener.tls is not None}
    for listener in site.listeners:
        tls = site.devices[listener.to].services[listener.protocol].tls
        if tls is not None and tls.certificate is not None:
            shown.add(tls.certificate)
    for name in sorted(shown):
        pem = (site.certs / f"{name}.crt").read_text()
        first = pem[: pem.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")]
        ends[name] = certificate_facts(ssl.PEM_cert_to_DER_cert(first)).not_after
    return ends
