"""OPC UA's part of the `certs/` folder: the authority for applications, what it issued, and whom the operator trusts.

opcua-ca.crt  opcua-ca.key   the authority
opcua-ca.crl                 what it has revoked (DER), for servers and clients that ask for such a list
opcua.crt     opcua.key      what the gateway shows on OPC UA's channels
NAME.crt      NAME.key       of another application: an HMI, a server
NAME.der                     a certificate of somebody else's that `trust` has looked at
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.pki.application import Application, ApplicationAuthority, ApplicationIssued, application_of
from proxy.pki.authority import AuthorityError, certificate_pem, key_pem
from proxy.pki.certificate import CertificateError, certificate_facts
from proxy.pki.files import MAX_FILE_BYTES, PUBLIC, make_folder, read_private, write_file, write_pair
from proxy.pki.folder import APPLICATIONS, AUTHORITY, GATEWAY, CertificateFolder, issued_by
from proxy.pki.revocation import RevocationList
from proxy.pki.trusted import read_certificate, rsa_key, uris_of

if TYPE_CHECKING:
    from collections.abc import Iterator

GATEWAY_APPLICATION = "opcua"
"""The certificate that the gateway shows if a listener or service names no other."""
RENEW_BEFORE = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class ApplicationEntry:
    """One certificate. ``kind`` is ``authority``, ``issued`` (by ours) or ``trusted`` (somebody else's); ``state`` as
    in `proxy.pki.folder.Entry`. ``thumbprint`` is the SHA-1 that OPC UA tools show, hexadecimal; ``until`` is wall
    seconds."""

    file: str
    kind: str
    state: str
    uris: tuple[str, ...]
    bits: int
    serial: int
    until: float
    thumbprint: str
    sha256: str


class ApplicationFolder:
    """Raises OSError where the disk says no, and what each method names."""

    def __init__(self, path: Path, site: str) -> None:
        self.path = path
        self.site = site
        self._folder = CertificateFolder(path, site)

    def has(self, name: str) -> bool:
        return self._folder.has(name)

    def create_authority(self, now: datetime, *, replace: bool = False) -> ApplicationAuthority:
        """Makes the authority and its revocation list. Raises FileExistsError unless ``replace``."""
        authority = ApplicationAuthority.create(self.site, now)
        make_folder(self.path)
        pair = (certificate_pem(authority.certificate), key_pem(authority.key))
        write_pair(self._file(APPLICATIONS, "crt"), pair[0], self._file(APPLICATIONS, "key"), pair[1], replace=replace)
        self._write_list(authority, now)
        return authority

    def authority(self) -> ApplicationAuthority:
        """Raises AuthorityError, KeyFileError (others may read the key), FileNotFoundError."""
        pem = self._file(APPLICATIONS, "crt").read_bytes()
        authority = ApplicationAuthority.load(pem, read_private(self._file(APPLICATIONS, "key")))
        if authority.site != self.site:
            raise AuthorityError(f"the OPC UA authority is of the site {authority.site!r}, not {self.site!r}")
        return authority

    def write_list(self, now: datetime) -> None:
        """Writes opcua-ca.crl anew: all serial numbers of the deny list. Raises as `authority`, RevocationError."""
        self._write_list(self.authority(), now)

    def issue(
        self, application: Application, now: datetime, *, out: Path | None = None, replace: bool = False
    ) -> ApplicationIssued:
        """Issues and writes NAME.crt and NAME.key, into ``out`` if given. Raises as `ApplicationAuthority.issue` and
        `authority`, FileExistsError unless ``replace``, ValueError for a name that another kind of certificate has."""
        if application.name in (AUTHORITY, APPLICATIONS, GATEWAY):
            raise ValueError(f"{application.name} is no name for an application")
        authority = self.authority()
        target = (out or self.path) / f"{application.name}.crt"
        if target.exists() and not self._is_ours(target, authority):
            raise ValueError(f"{target} is not of an OPC UA application of this site; choose another name")
        issued = authority.issue(application, now)
        with self._folder.recorded(issued.certificate, now):
            if out is not None:
                make_folder(out)
            write_pair(target, issued.pem, target.with_suffix(".key"), issued.key_pem, replace=replace)
        return issued

    def due(self, now: datetime, before: timedelta | None = None) -> list[str]:
        """Names of what ours has issued and that lies here with its key, ends within ``before`` (by default within 60
        days or a third of its life) and is not revoked."""
        revoked = self._revoked()
        return [
            name
            for name, one in self._own()
            if one.not_valid_after_utc <= now + (_late(one) if before is None else before)
            and one.serial_number not in revoked
        ]

    def renew(self, name: str, now: datetime, *, new_key: bool = False) -> ApplicationIssued:
        """Issues the same again, from now on. With the key that is there only the certificate is exchanged, in one
        step: at no moment is there a pair that does not fit. With ``new_key`` a power cut may leave one, and to renew
        again mends it.

        Raises as `issue`, and CertificateError for what is not there, is revoked or not ours.
        """
        authority = self.authority()
        certificate = dict(self._own()).get(name)
        if certificate is None:
            raise CertificateError(f"{self.path / name}.crt and .key are not of an application that this site issued")
        if certificate.serial_number in self._revoked():
            raise CertificateError(f"{name} is revoked; to let it in again: bulkhead certs opcua issue {name} --force")
        key = self._key_of(name, certificate)
        again = None if new_key else key
        issued = authority.issue(replace(application_of(certificate), name=name), now, again)
        with self._folder.recorded(issued.certificate, now):
            if again is None:
                pair = (self._file(name, "crt"), issued.pem, self._file(name, "key"), issued.key_pem)
                write_pair(*pair, replace=True)
            else:
                write_file(self._file(name, "crt"), issued.pem, PUBLIC, replace=True)
        return issued

    def trust(self, certificate: x509.Certificate, name: str, *, replace: bool = False) -> Path:
        """Writes NAME.der. Raises FileExistsError unless ``replace``, ValueError for a name that is taken by ours."""
        if self.has(name):
            raise ValueError(f"{self.path / name}.crt is there already; choose another name")
        make_folder(self.path)
        path = self._file(name, "der")
        write_file(path, certificate.public_bytes(Encoding.DER), PUBLIC, replace=replace)
        return path

    def entry(self, file: str, certificate: x509.Certificate, now: datetime) -> ApplicationEntry:
        """What `list` would say of it, wherever it lies. It has an RSA key."""
        entry = _entry(file, certificate, self._root(), self._revoked(), now)
        if entry is None:
            raise CertificateError(f"{file} has no RSA key")
        return entry

    def list(self, now: datetime) -> list[ApplicationEntry]:
        """Every certificate with an RSA key in the folder, by file. What is none is told by `CertificateFolder.list`.
        Raises RevocationError."""
        root = self._root()
        revoked = self._revoked()
        found = []
        for path in sorted((*self.path.glob("*.crt"), *self.path.glob("*.der"))):
            try:
                certificate = read_certificate(path.read_bytes()[:MAX_FILE_BYTES])
                found.append(_entry(path.name, certificate, root, revoked, now))
            except CertificateError:
                continue
        return [entry for entry in found if entry is not None]

    def _own(self) -> Iterator[tuple[str, x509.Certificate]]:
        """What ours has issued and that lies here with its key."""
        root = self._root()
        for path in sorted(self.path.glob("*.crt")) if root is not None else ():
            if path.stem == APPLICATIONS or not path.with_suffix(".key").exists():
                continue
            try:
                certificate = read_certificate(path.read_bytes())
            except CertificateError:
                continue
            if root is not None and issued_by(certificate, root):
                yield path.stem, certificate

    def _root(self) -> x509.Certificate | None:
        path = self._file(APPLICATIONS, "crt")
        return read_certificate(path.read_bytes()) if path.exists() else None

    def _key_of(self, name: str, certificate: x509.Certificate) -> rsa.RSAPrivateKey | None:
        """The key that lies with it; None if it is another's, as a power cut may leave it."""
        try:
            key = serialization.load_pem_private_key(read_private(self._file(name, "key")), password=None)
        except (ValueError, TypeError):
            return None
        fits = isinstance(key, rsa.RSAPrivateKey) and key.public_key() == certificate.public_key()
        return key if fits and isinstance(key, rsa.RSAPrivateKey) else None

    def _is_ours(self, path: Path, authority: ApplicationAuthority) -> bool:
        try:
            return issued_by(read_certificate(path.read_bytes()), authority.certificate)
        except CertificateError:
            return False

    def _write_list(self, authority: ApplicationAuthority, now: datetime) -> None:
        serials = [entry.serial for entry in self._revoked().entries]
        write_file(self._file(APPLICATIONS, "crl"), authority.revocations(serials, now), PUBLIC, replace=True)

    def _revoked(self) -> RevocationList:
        return RevocationList(self.path / "revoked.yaml")

    def _file(self, name: str, suffix: str) -> Path:
        return self.path / f"{name}.{suffix}"


def _late(certificate: x509.Certificate) -> timedelta:
    """How long before its end it is time for another."""
    return min(RENEW_BEFORE, (certificate.not_valid_after_utc - certificate.not_valid_before_utc) / 3)


def _entry(
    file: str, certificate: x509.Certificate, root: x509.Certificate | None, revoked: RevocationList, now: datetime
) -> ApplicationEntry | None:
    key = rsa_key(certificate)
    if key is None:
        return None
    facts = certificate_facts(certificate.public_bytes(Encoding.DER))
    ours = root is not None and certificate != root and issued_by(certificate, root)
    kind = "authority" if file == f"{APPLICATIONS}.crt" else "issued" if ours else "trusted"
    if facts.serial in revoked:
        state = "revoked"
    elif now.timestamp() < facts.not_before:
        state = "not yet valid"
    else:
        state = "expired" if now.timestamp() >= facts.not_after else "valid"
    thumbprint = certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - a name that people compare, no proof
    uris = uris_of(certificate)
    return ApplicationEntry(
        file, kind, state, uris, key.key_size, facts.serial, facts.not_after, thumbprint, facts.sha256
    )
