"""What a gateway proves itself with: read from the site's `certs/` when it starts, or the reason why it cannot be."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from proxy.gateway.tls import Contexts, DeviceTls, device_tls, server_contexts
from proxy.pki.applications import GATEWAY_APPLICATION
from proxy.pki.certificate import CertificateError, certificate_facts
from proxy.pki.files import KeyFileError, check_private, read_private, read_public
from proxy.pki.folder import APPLICATIONS, AUTHORITY
from proxy.pki.trusted import LEAST_BITS, MOST_BITS, read_certificates
from proxy.site.model import Listener

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.inventory import Device, Service
    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Site


CERTIFICATES = (".crt", ".der", ".pem")
KEY = ".key"


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


def secrets(site: Site, listener: Listener, spec: ProtocolSpec) -> dict[str, bytes]:
    """The files that the protocol asks for by name: what the gateway proves itself with, and whom it trusts. Names that
    end in .crt, .der or .pem are certificates, .key their keys; all others are known to nobody else."""
    device = site.devices[listener.to]
    asking: dict[str, Device | Listener] = dict.fromkeys(
        spec.secrets(device.services[listener.protocol].options), device
    )
    if listener.options is not None:
        for name in spec.secrets(listener.options):
            asking.setdefault(name, listener)
    found = {name: secret(site, of, name) for name, of in asking.items()}
    for name, content in found.items():
        if name.endswith(KEY):
            _check_pair(_called(asking[name]), name, content, found.get(f"{name.removesuffix(KEY)}.crt"))
    return found


def secret(site: Site, of: Device | Listener, name: str) -> bytes:
    """The file ``name`` of `certs/`, which a device or a listener asks for. Raises UnusableError."""
    what, path = _called(of), site.certs / name
    if Path(name).name != name:
        raise UnusableError(f"{what}: {name!r} is no name of a file in certs/; write the name alone")
    _check_there(what, path, _where_from(name))
    try:
        if not name.endswith(CERTIFICATES):
            return read_private(path)
        content = read_public(path)
    except (OSError, KeyFileError) as error:
        raise UnusableError(f"{what}: {error}") from None
    try:
        read_certificates(content)
    except CertificateError as error:
        raise UnusableError(f"{what}: certs/{name}: {error}") from None
    return content


def _called(of: Device | Listener) -> str:
    return f"listener {of.name}" if isinstance(of, Listener) else f"device {of.id}"


def _where_from(name: str) -> str:
    """How a missing file is come by."""
    stem = Path(name).stem
    if stem in (APPLICATIONS, GATEWAY_APPLICATION):
        return "make it with: bulkhead certs opcua init"
    if name.endswith(".der"):
        return f"copy the other's certificate there: bulkhead certs opcua trust FILE --name {stem}"
    if name.endswith((*CERTIFICATES, KEY)):
        return f"make it with: bulkhead certs opcua issue {stem}"
    return f"write it there, then: chmod 600 certs/{name}"


def _check_pair(what: str, name: str, key: bytes, certificate: bytes | None) -> None:
    """Only OPC UA is handed keys, and its policies know RSA alone."""
    stem = name.removesuffix(KEY)
    try:
        loaded = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableError(f"{what}: certs/{name} is no unencrypted PEM key") from None
    if not isinstance(loaded, rsa.RSAPrivateKey) or not LEAST_BITS <= loaded.key_size <= MOST_BITS:
        mend = "make a pair with: bulkhead certs opcua issue NAME"
        wrong = f"is no RSA key of {LEAST_BITS} to {MOST_BITS} bits, which OPC UA's policies ask for"
        raise UnusableError(f"{what}: certs/{name} {wrong}; {mend}")
    if certificate is not None and read_certificates(certificate)[0].public_key() != loaded.public_key():
        mend = f"bulkhead certs opcua rotate {stem} mends it"
        raise UnusableError(f"{what}: certs/{name} is not the key of certs/{stem}.crt; {mend}")


def _check_there(what: str, path: Path, mend: str) -> None:
    if not path.exists():
        raise UnusableError(f"{what}: certs/{path.name} is missing; {mend}")


def _check_private(what: str, key: Path) -> None:
    try:
        check_private(key)
    except (OSError, KeyFileError) as error:
        raise UnusableError(f"{what}: {error}") from None


def own_certificates(site: Site, protocols: Mapping[str, ProtocolSpec]) -> dict[str, float]:
    """End of each certificate that we show, by name. Raises UnusableError."""
    ends: dict[str, float] = {}
    shown = {listener.tls.certificate for listener in site.listeners if listener.tls is not None}
    for listener in site.listeners:
        tls = site.devices[listener.to].services[listener.protocol].tls
        if tls is not None and tls.certificate is not None:
            shown.add(tls.certificate)
        spec, service = protocols[listener.protocol], site.devices[listener.to].services[listener.protocol]
        for options in (service.options, listener.options):
            if options is not None:
                shown.update(name.removesuffix(KEY) for name in spec.secrets(options) if name.endswith(KEY))
    for name in sorted(shown):
        try:
            first = read_certificates((site.certs / f"{name}.crt").read_bytes())[0]
            ends[name] = certificate_facts(first.public_bytes(Encoding.DER)).not_after
        except (OSError, CertificateError) as error:
            raise UnusableError(f"certs/{name}.crt cannot be used: {error}") from None
    return ends
