"""The `certs/` folder of a site: its authority, the certificates it issued, and which of them are refused.

site-ca.crt  site-ca.key     the authority
NAME.crt  NAME.key           leaf then root, and its key; NAME is a device, a person, or `gateway`
opcua-ca.crt and others      the authority of OPC UA applications, and what it issued (`proxy.pki.applications`)
issued/SERIAL.crt            what was issued and has not ended, so that revoking a name finds all of it
revoked.yaml                 the deny list (`proxy.pki.revocation`)
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.pki.authority import Authority, AuthorityError, Issued, certificate_pem, key_pem
from proxy.pki.certificate import CertificateError, certificate_facts
from proxy.pki.files import PUBLIC, make_folder, read_private, write_file, write_pair
from proxy.pki.revocation import RevocationList, revoke
from proxy.pki.revoked import Revocation

if TYPE_CHECKING:
    from proxy.core.facts import CertificateFacts
    from proxy.pki.leaf import Leaf

AUTHORITY = "site-ca"
APPLICATIONS = "opcua-ca"
GATEWAY = "gateway"
KEEP_ENDED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate of the folder. ``file`` is relative to it; ``state`` is ``valid``, ``expired``,
    ``not yet valid``, ``revoked`` or ``of another authority``."""

    file: str
    facts: CertificateFacts
    state: str

    @property
    def name(self) -> str:
        return self.facts.common_name or ""


@dataclass(frozen=True, slots=True)
class Listing:
    """``unreadable`` says which files called ``.crt`` hold no certificate, relative to the folder."""

    entries: tuple[Entry, ...]
    unreadable: tuple[str, ...]


class CertificateFolder:
    """Raises OSError where the disk says no, and what each method names."""

    def __init__(self, path: Path, site: str) -> None:
        self.path = path
        self.site = site

    def has(self, name: str) -> bool:
        return (self.path / f"{name}.crt").exists()

    def create_authority(self, now: datetime, *, replace: bool = False) -> Authority:
        """Makes the site's authority and writes it. Raises FileExistsError unless ``replace``."""
        authority = Authority.create(self.site, now)
        make_folder(self.path)
        pem = certificate_pem(authority.certificate)
        write_pair(*self._pair(AUTHORITY, pem, key_pem(authority.key)), replace=replace)
        return authority

    def authority(self) -> Authority:
        """Raises AuthorityError, KeyFileError (others may read the key), FileNotFoundError."""
        chain = (self.path / f"{AUTHORITY}.crt").read_bytes()
        authority = Authority.load(chain, read_private(self.path / f"{AUTHORITY}.key"))
        if authority.site != self.site:
            raise AuthorityError(f"the authority is of the site {authority.site!r}, not {self.site!r}")
        return authority

    def issue(self, leaf: Leaf, now: datetime, *, out: Path | None = None, replace: bool = False) -> Issued:
        """Issues and writes NAME.crt and NAME.key, into ``out`` if given. Raises as `Authority.issue` and `authority`,
        FileExistsError unless ``replace``, ValueError for the authority's own name."""
        if leaf.name in (AUTHORITY, APPLICATIONS):
            raise ValueError(f"{leaf.name} is the authority's own name")
        issued = self.authority().issue(leaf, now)
        with self.recorded(issued.certificate, now):
            if out is not None:
                make_folder(out)
            write_pair(*self._pair(leaf.name, issued.chain_pem, issued.key_pem, out), replace=replace)
        return issued

    @contextmanager
    def recorded(self, certificate: x509.Certificate, now: datetime) -> Iterator[None]:
        """Keeps what was issued, before it is written anywhere: nothing unrecorded may get out. Forgets it again if
        that fails."""
        self._forget_ended(now)
        record = self.path / "issued" / f"{certificate.serial_number:x}.crt"
        make_folder(record.parent)
        write_file(record, certificate_pem(certificate), PUBLIC)
        try:
            yield
        except BaseException:
            record.unlink()
            raise

    def list(self, now: datetime) -> Listing:
        """Every certificate in the folder once, by name, the newest first. A file that holds none hides no other.

        Raises CertificateError or FileNotFoundError without an authority, RevocationError.
        """
        roots = [_load(self.path / f"{name}.crt") for name in (AUTHORITY, APPLICATIONS) if self.has(name)]
        if not roots:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path / f"{AUTHORITY}.crt"))
        revoked = RevocationList(self.path / "revoked.yaml")
        found: dict[str, Entry] = {}
        unreadable: list[str] = []
        for path in (*sorted(self.path.glob("*.crt")), *sorted(self.path.glob("issued/*.crt"))):
            file = str(path.relative_to(self.path))
            try:
                certificate = _load(path)
                facts = certificate_facts(certificate.public_bytes(Encoding.DER))
            except CertificateError:
                unreadable.append(file)
                continue
            found.setdefault(facts.sha256, Entry(file, facts, _state(certificate, facts, roots, revoked, now)))
        entries = sorted(found.values(), key=lambda e: (e.name, -e.facts.not_before, e.file))
        return Listing(tuple(entries), tuple(unreadable))

    def revoke(self, serials: Iterable[tuple[int, str]], reason: str, now: datetime) -> tuple[Revocation, ...]:
        """Adds (serial, name) pairs to the deny list; returns those that were not in it. Raises RevocationError."""
        when = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return revoke(self.path / "revoked.yaml", [Revocation(serial, name, when, reason) for serial, name in serials])

    def _pair(self, name: str, chain: bytes, key: bytes, folder: Path | None = None) -> tuple[Path, bytes, Path, bytes]:
        folder = folder or self.path
        return folder / f"{name}.crt", chain, folder / f"{name}.key", key

    def _forget_ended(self, now: datetime) -> None:
        for path in self.path.glob("issued/*.crt"):
            try:
                ends = _load(path).not_valid_after_utc
            except CertificateError:
                continue  # `list` names it
            if ends < now - KEEP_ENDED:
                path.unlink(missing_ok=True)


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as fault:
        raise CertificateError(f"{path} holds no certificate") from fault


def issued_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _state(
    certificate: x509.Certificate,
    facts: CertificateFacts,
    roots: Sequence[x509.Certificate],
    revoked: RevocationList,
    now: datetime,
) -> str:
    if not any(issued_by(certificate, root) for root in roots):
        return "of another authority"
    if facts.serial in revoked:
        return "revoked"
    if now.timestamp() < facts.not_before:
        return "not yet valid"
    return "expired" if now.timestamp() >= facts.not_after else "valid"
