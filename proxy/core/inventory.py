"""Devices and what the operator bound to them: the validated form of `fingerprints/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.core.origin import Origin


@dataclass(frozen=True, slots=True)
class ServiceTls:
    """TLS towards a device. ``ca`` names ``certs/CA.crt``, which its certificate must come from; ``name`` is the host
    name or address that it must be made out to; ``certificate`` names our own ``certs/NAME.crt`` and ``.key``, if it
    asks for one."""

    ca: str
    name: str
    certificate: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """One protocol a device serves. ``options`` is the protocol folder's own validated type.

    ``shared``: one connection to the device serves every client; otherwise each client gets its own. ``tls`` None: it
    is spoken to in the clear.
    """

    protocol: str
    port: int
    shared: bool
    options: object
    origin: Origin
    tls: ServiceTls | None = None

    def as_if_at(self, origin: Origin) -> Service:
        """The same, written elsewhere: what two versions are compared by."""
        return replace(self, origin=origin)


@dataclass(frozen=True, slots=True)
class Bindings:
    """What proves that a speaker is this device. Every field is the operator's word and outranks any guess.

    ``opcua_uri``: the ApplicationUri in the certificate that it shows on OPC UA's secure channels."""

    x509_uri: str | None = None
    x509_cn: str | None = None
    mac: str | None = None
    ip: str | None = None
    address_only: bool = False
    require: frozenset[str] = frozenset()
    opcua_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    id: str
    kind: str
    place: str | None
    address: str | None
    origin: Origin
    services: Mapping[str, Service] = field(default_factory=dict)
    bindings: Bindings = field(default_factory=Bindings)
