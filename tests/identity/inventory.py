"""A small inventory for tests, and connections to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.facts import CertificateFacts, ConnFacts
from proxy.core.inventory import Bindings, Device
from proxy.core.origin import Origin
from proxy.identity.identify import Identifier
from proxy.identity.sources.address import Address
from proxy.identity.sources.mac_ip import MacIp
from proxy.identity.sources.opcua_uri import OpcuaUri
from proxy.identity.sources.syn import Syn
from proxy.identity.sources.x509 import X509

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.core.evidence import Evidence
    from proxy.core.principal import Principal

SITE = "bottling"
MAC_1, MAC_2 = "00:0e:8c:aa:bb:01", "00:0e:8c:aa:bb:02"


def device(name: str, bindings: Bindings | None = None, address: str | None = None) -> Device:
    return Device(name, "server", None, address, Origin(f"{name}.yaml", 1), {}, bindings or Bindings())


def bound(
    *,
    uri: str | None = None,
    cn: str | None = None,
    mac: str | None = None,
    ip: str | None = None,
    address_only: bool = False,
    require: Iterable[str] = (),
    opcua_uri: str | None = None,
) -> Bindings:
    return Bindings(uri, cn, mac, ip, address_only, frozenset(require), opcua_uri)


def certificate(*uris: str, cn: str | None = None, role: str | None = None, serial: int = 0x1F0A) -> CertificateFacts:
    return CertificateFacts(serial, cn, uris, role, 0.0, 1.0, "00")


def of_device(name: str, role: str | None = None) -> CertificateFacts:
    """What `bulkhead certs issue NAME` makes."""
    return certificate(f"spiffe://{SITE}/device/{name}", cn=name, role=role)


def conn(
    ip: str = "10.3.0.99", mac: str | None = None, cert: CertificateFacts | None = None, syn: str | None = None
) -> ConnFacts:
    return ConnFacts("cell-3-modbus", ip, 50_000, mac, syn, "TLSv1.3" if cert else None, cert)


def on_channel(
    cert: CertificateFacts | None = None, said: str | None = None, ip: str = "10.3.0.99", mac: str | None = None
) -> ConnFacts:
    """A client that came in through OPC UA's own handshake; without a certificate: policy None."""
    return ConnFacts("cell-3-opcua", ip, 50_000, mac, certificate=cert, application_uri=said, channel=True)


def identifier(*devices: Device, baselines: Mapping[str, frozenset[str]] | None = None) -> Identifier:
    return Identifier(SITE, {d.id: d for d in devices}, (X509(SITE), OpcuaUri(), MacIp(), Address(), Syn(baselines)))


def by_kind(principal: Principal) -> dict[str, Evidence]:
    found = {evidence.kind: evidence for evidence in principal.evidence}
    assert len(found) == len(principal.evidence)
    return found
