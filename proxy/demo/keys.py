"""The certificates of the demo, made anew at each start: those that are fine, and those that should not work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from proxy.demo.tls import Papers
from proxy.pki.authority import Authority, Issued
from proxy.pki.certificate import certificate_facts
from proxy.pki.files import write_pair
from proxy.pki.folder import AUTHORITY, GATEWAY, CertificateFolder
from proxy.pki.leaf import GATEWAY_LIFE, Leaf

if TYPE_CHECKING:
    from proxy.core.facts import CertificateFacts

AGE = timedelta(days=2)
"""How old the authority is, so that it can have signed something that has expired."""
OPERATOR = "Operator"


class Keys:
    """``folder`` is the site's certs/. Raises what `CertificateFolder` raises."""

    def __init__(self, folder: Path, site: str, gateway_ips: set[str]) -> None:
        self._folder = CertificateFolder(folder, site)
        self._site = site
        now = datetime.now(UTC)
        self._folder.create_authority(now - AGE)
        self._folder.issue(
            Leaf(GATEWAY, "gateway", None, GATEWAY_LIFE, ("localhost",), tuple(map(ip_address, sorted(gateway_ips)))),
            now,
        )
        for name in ("scada", "mes", "engineer", "sensor-3-2", "sensor-3-3"):
            self._folder.issue(Leaf(name), now)
        self._folder.issue(Leaf("anna", "person", OPERATOR), now)
        self._folder.issue(Leaf("visitor", "person"), now)

    @property
    def without(self) -> Papers:
        """Trusts the gateway and shows nothing."""
        return Papers(self._folder.path / f"{AUTHORITY}.crt")

    def of(self, name: str, folder: Path | None = None) -> Papers:
        own = folder or self._folder.path
        return Papers(self.without.authority, own / f"{name}.crt", own / f"{name}.key")

    def steal(self, name: str) -> tuple[Papers, int]:
        """One more valid certificate of ``name``, in the wrong hands, and its serial number."""
        papers, issued = self._aside("stolen", Leaf(name), datetime.now(UTC))
        return papers, issued.certificate.serial_number

    def revoke(self, serial: int, name: str) -> None:
        """As `bulkhead certs revoke --serial` does. On disk when this returns."""
        self._folder.revoke([(serial, name)], "stolen", datetime.now(UTC))

    def expired(self) -> Papers:
        """A certificate of the SCADA that ended yesterday."""
        return self._aside("expired", Leaf("scada", life=timedelta(hours=24)), datetime.now(UTC) - AGE)[0]

    def short(self, life: timedelta) -> tuple[Papers, CertificateFacts]:
        """A certificate of the SCADA that ends soon, and what it says."""
        papers, issued = self._aside("short", Leaf("scada", life=life), datetime.now(UTC))
        return papers, certificate_facts(issued.certificate.public_bytes(Encoding.DER))

    def foreign(self) -> Papers:
        """The SCADA's own names, signed by an authority that calls itself like the site's and is another."""
        now = datetime.now(UTC)
        issued = Authority.create(self._site, now).issue(Leaf("scada"), now)
        folder = self._folder.path / "foreign"
        folder.mkdir(exist_ok=True)
        write_pair(folder / "scada.crt", issued.chain_pem, folder / "scada.key", issued.key_pem, replace=True)
        return self.of("scada", folder)

    def _aside(self, kind: str, leaf: Leaf, now: datetime) -> tuple[Papers, Issued]:
        folder = self._folder.path / kind
        return self.of(leaf.name, folder), self._folder.issue(leaf, now, out=folder, replace=True)
