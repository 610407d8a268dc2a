"""`fingerprints/devices/`: from shapes to devices, and the cross-checks among them."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING, Any, NamedTuple

from proxy.core.inventory import Bindings, Device, Service, ServiceTls
from proxy.site import names
from proxy.site.draft import Heard, first_of
from proxy.site.problem import Finding
from proxy.site.shapes import RAW, IdentityShape, ServiceShape, ServiceTlsShape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.protocols.base import ProtocolSpec
    from proxy.site.draft import Draft, Voice
    from proxy.site.shapes import DeviceShape

Path = tuple[str | int, ...]


class Inventory:
    """All devices that the files declare. ``declared`` also holds those whose file has faults: a reference to one of
    these is not a fault of its own."""

    def __init__(self, drafts: Iterable[Draft[DeviceShape]], protocols: Mapping[str, ProtocolSpec], site: str) -> None:
        self.devices: dict[str, Device] = {}
        self.declared: dict[str, Voice] = {}
        self.safety: set[str] = set()
        self._protocols = protocols
        self._expanded: dict[str, tuple[str, ...]] = {}
        self._marks: dict[str, bytes] = {}
        for draft in drafts:
            self._add(draft)
        self._check_claims(site)

    def expand(self, text: str) -> tuple[str, ...]:
        """The declared ids that an id or pattern means, in name order. Remembered: rules repeat their patterns."""
        if "*" not in text:
            return (text,) if text in self.declared else ()
        found = self._expanded.get(text)
        if found is None:
            found = tuple(sorted(name for name in self.declared if names.matches(text, name)))
            self._expanded[text] = found
        return found

    def look_up(self, texts: Iterable[str], path: Path, voice: Voice) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for at, text in enumerate(texts):
            found |= dict.fromkeys(self.look_up_one(text, (*path, at), voice))
        return tuple(found)

    def look_up_one(self, text: str, path: Path, voice: Voice) -> tuple[str, ...]:
        """The devices that an id or pattern means. No such id is an error, a pattern that fits nothing a warning."""
        found = self.expand(text)
        if not found and "*" in text:
            voice.warn(path, f"no device fits {text}", "mend the pattern, or add the device to fingerprints/devices")
        elif not found:
            voice.unknown(path, "device", text, self.declared)
        return found

    def mark(self, voice: Voice, patterns: Iterable[str]) -> str:
        """What was made of a file is the same if this is: hex SHA-256 of its name, its text and what its patterns mean
        here. Without a pattern the text says it all."""
        whole = hashlib.sha256(f"{voice.file}\0".encode())
        whole.update(voice.hashed)
        for text in sorted(set(patterns)):
            known = self._marks.get(text)
            if known is None:
                known = self._marks[text] = hashlib.sha256("\0".join((text, *self.expand(text))).encode()).digest()
            whole.update(known)
        return whole.hexdigest()

    def offers(self, device: str, protocol: str) -> bool:
        """Whether the file of the device lists the service; of a file with faults, that is not known and so True."""
        if device not in self.devices:
            return True
        document = self.declared[device].document
        services = None if document is None else document.value.get("services")
        return isinstance(services, dict) and protocol in services

    def _add(self, draft: Draft[DeviceShape]) -> None:
        name, voice = draft.claims("device"), draft.voice
        if not first_of(self.declared, name, "device", voice):
            return
        if draft.value.get("safety") is True:
            self.safety.add(name)
        if draft.shape is not None:
            self.devices[name] = self._device(draft.shape, voice)

    def _device(self, shape: DeviceShape, voice: Voice) -> Device:
        address = None if shape.address is None else names.address(shape.address)
        if address is not None:
            _check_address(address, ("address",), voice)
        services = {
            name: service
            for name in sorted(shape.services.model_fields_set)
            if (service := self._service(name, getattr(shape.services, name), address, voice)) is not None
        }
        if services and address is None:
            wrong = "the device has services but no address to reach them at"
            voice.error(Finding.MISSING, ("services",), wrong, "add for example 'address: 10.3.0.11'", key=True)
        bindings = _bindings(shape.identity, address, voice)
        return Device(shape.device, shape.kind, shape.place, address, voice.origin(("device",)), services, bindings)

    def _service(self, name: str, shape: ServiceShape, address: str | None, voice: Voice) -> Service | None:
        path = ("services", name)
        own: dict[str, Any] = shape.model_extra or {}
        origin = voice.origin(path, key=True)
        spec = self._protocols.get(name)
        if spec is None:
            for key in (*own, *(["tls"] if shape.tls is not None else [])):
                wrong = f"unknown key {key[:60]!r}"
                voice.error(Finding.UNKNOWN_KEY, (*path, key), wrong, "known here: port", key=True)
            self._check_way_round(name, shape.port, voice)
            return Service(name, shape.port, True, None, origin)
        heard = Heard(voice.below(path))
        options = spec.parse_service(own, heard)
        if options is None:
            if not heard.anything:
                voice.error(Finding.BAD_VALUE, path, "is not understood", "see docs/schema", key=True)
            return None
        if shape.shared and not spec.shareable:
            wrong = f"no connection can serve several clients of {name}"
            voice.error(Finding.CONTRADICTION, (*path, "shared"), wrong, "delete the line: each client gets its own")
        shared = spec.shareable if shape.shared is None else shape.shared
        return Service(name, shape.port, shared, options, origin, _tls(shape.tls, address))

    def _check_way_round(self, name: str, port: int, voice: Voice) -> None:
        for spec in self._protocols.values():
            if port in spec.ports:
                wrong = f"port {port} is {spec.name}: as {RAW} it would pass without inspection"
                mend = f"declare it under services: {spec.name}, or give the port that is really meant"
                voice.error(Finding.CONTRADICTION, ("services", name, "port"), wrong, mend)

    def _check_claims(self, site: str) -> None:
        """No two devices may be told by the same evidence: then nobody knows which of them speaks."""
        claims = [(claim, name) for name, device in self.devices.items() for claim in _claims(device, site)]
        # Two devices may share an address if their MACs tell them apart, but not if the address alone is to tell.
        taken = {
            (_ADDRESS, device.bindings.ip or device.address or ""): name
            for name, device in self.devices.items()
            if device.bindings.mac is not None
        }
        for claim, name in sorted(claims, key=lambda both: both[0].rank):
            other = taken.setdefault((claim.what, claim.key), name)
            if other == name:
                continue
            wrong = f"{claim.what} {claim.key} already means {other} ({self.declared[other].file})"
            voice = self.declared[name]
            if claim.what == _SERVICE:
                voice.warn(claim.path, wrong, "declare one device with both sets of units, or another port", key=True)
            else:
                mend = "bind each device to evidence of its own"
                voice.error(Finding.DUPLICATE, claim.path, wrong, mend, key=True)


class _Claim(NamedTuple):
    """Something that means one device. Of two devices with the same, the one of higher rank is told to change."""

    rank: int
    what: str
    key: str
    path: Path


_SERVICE = "the service at"
_BINDING = {
    "mac_ip": "mac_ip: { mac: ... }",
    "address": "unsafe_address_only: true",
    "opcua_uri": "opcua_uri: urn:...",
}
_ADDRESS = "the address"


def _claims(device: Device, site: str) -> Iterable[_Claim]:
    bindings = device.bindings
    if bindings.x509_uri is not None:
        yield _Claim(1, "the certificate URI", bindings.x509_uri, ("identity", "x509", "uri"))
    elif bindings.x509_cn is not None:
        yield _Claim(1, "the certificate name", bindings.x509_cn, ("identity", "x509", "cn"))
    else:
        yield _Claim(0, "the certificate URI", f"spiffe://{site}/device/{device.id}", ("device",))
    if bindings.opcua_uri is not None:
        yield _Claim(1, "the certificate URI", bindings.opcua_uri, ("identity", "opcua_uri"))
    address = bindings.ip or device.address
    if bindings.mac is not None:
        yield _Claim(0, "the MAC", f"{bindings.mac} at {address}", ("identity", "mac_ip"))
    if bindings.address_only and address is not None:
        yield _Claim(1, _ADDRESS, address, ("identity", "unsafe_address_only"))
    for service in device.services.values():
        yield _Claim(0, _SERVICE, f"{device.address} port {service.port}", ("services", service.protocol))


def _tls(shape: ServiceTlsShape | None, address: str | None) -> ServiceTls | None:
    if shape is None:
        return None
    name = address or "" if shape.name is None else names.host(shape.name)
    return ServiceTls(shape.ca, name, shape.certificate)


def _bindings(shape: IdentityShape, address: str | None, voice: Voice) -> Bindings:
    path = ("identity",)
    x509, mac_ip = shape.x509, shape.mac_ip
    if x509 is not None and x509.uri is None and x509.cn is None:
        wrong = "neither uri nor cn is given"
        voice.error(Finding.MISSING, (*path, "x509"), wrong, "give one, or leave x509 out", key=True)
    ip = names.address(mac_ip.ip) if mac_ip is not None and mac_ip.ip is not None else None
    if ip is not None:
        _check_address(ip, (*path, "mac_ip", "ip"), voice)
    if ip is None and address is None and (mac_ip is not None or shape.unsafe_address_only):
        which = "mac_ip" if mac_ip is not None else "unsafe_address_only"
        wrong = "there is no address that could identify the device"
        voice.error(Finding.MISSING, (*path, which), wrong, "add for example 'address: 10.3.0.11'", key=True)
    if shape.opcua_uri is not None and shape.opcua_uri.lower().startswith("spiffe:"):
        wrong = "a SPIFFE id is the device's by TLS, and no ApplicationUri"
        voice.error(Finding.BAD_VALUE, (*path, "opcua_uri"), wrong, "write what its software calls itself: urn:...")
    unmet = {
        "mac_ip": mac_ip is None,
        "address": not shape.unsafe_address_only,
        "opcua_uri": shape.opcua_uri is None,
    }
    for at, kind in enumerate(shape.require):
        if unmet.get(kind, False):
            binding = _BINDING[kind]
            wrong = f"{kind} is required but nothing is bound that could match"
            voice.error(Finding.CONTRADICTION, (*path, "require", at), wrong, f"add {binding}, or do not require it")
    return Bindings(
        x509_uri=None if x509 is None else x509.uri,
        x509_cn=None if x509 is None else x509.cn,
        mac=None if mac_ip is None else names.mac(mac_ip.mac),
        ip=ip,
        address_only=shape.unsafe_address_only,
        require=frozenset(shape.require),
        opcua_uri=shape.opcua_uri,
    )


def _check_address(text: str, path: Path, voice: Voice) -> None:
    ip = ipaddress.ip_address(text)
    if ip.is_unspecified or ip.is_multicast or text == "255.255.255.255":
        wrong = f"{text} is no single machine's address"
        voice.error(Finding.BAD_VALUE, path, wrong, "write the address of the device, for example 10.3.0.11")
    elif ip.is_loopback or ip.is_link_local:
        where = "this machine itself" if ip.is_loopback else "link-local, where cloud metadata lives too"
        voice.warn(path, f"{text} is {where}", "right for a demo; in a plant write the device's own address")
