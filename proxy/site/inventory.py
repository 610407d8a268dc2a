"""`fingerprints/devices/`: from shapes to devices, and the cross-checks among them."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from proxy.core.inventory import Bindings, Device, Service
from proxy.site import names
from proxy.site.problem import Finding
from proxy.site.shapes import RAW, IdentityShape, ServiceShape

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from proxy.protocols.base import ProtocolSpec
    from proxy.site.draft import Draft, Voice
    from proxy.site.shapes import DeviceShape


class Inventory:
    """All devices that the files declare. ``declared`` also holds those whose file has faults: a reference to one of
    these is not a fault of its own."""

    def __init__(self, drafts: Iterable[Draft[DeviceShape]], protocols: Mapping[str, ProtocolSpec], site: str) -> None:
        self.devices: dict[str, Device] = {}
        self.declared: dict[str, Voice] = {}
        self.safety: set[str] = set()
        self._protocols = protocols
        self._expanded: dict[str, tuple[str, ...]] = {}
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

    def offers(self, device: str, protocol: str) -> bool:
        """Whether the file of the device lists the service, with or without faults."""
        document = self.declared[device].document
        services = None if document is None else document.value.get("services")
        return isinstance(services, dict) and protocol in services

    def _add(self, draft: Draft[DeviceShape]) -> None:
        name, voice = draft.claims("device"), draft.voice
        if name is None:
            return
        if name in self.declared:
            other = self.declared[name].origin(("device",))
            wrong = f"the device {name} is declared in {other} too"
            voice.error(Finding.DUPLICATE, ("device",), wrong, "give one of them another name")
            return
        self.declared[name] = voice
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
            if (service := self._service(name, getattr(shape.services, name), voice)) is not None
        }
        if services and address is None:
            wrong = "the device has services but no address to reach them at"
            voice.error(Finding.MISSING, ("services",), wrong, "add for example 'address: 10.3.0.11'", key=True)
        bindings = _bindings(shape.identity, address, voice)
        return Device(shape.device, shape.kind, shape.place, address, voice.origin(("device",)), services, bindings)

    def _service(self, name: str, shape: ServiceShape, voice: Voice) -> Service | None:
        path = ("services", name)
        own: dict[str, Any] = shape.model_extra or {}
        options: object = None
        if name in self._protocols:
            options = self._protocols[name].parse_service(own, voice.below(path))
            if options is None:
                return None
        else:
            for key in own:
                wrong = f"unknown key {key[:60]!r}"
                voice.error(Finding.UNKNOWN_KEY, (*path, key), wrong, "known here: port", key=True)
            self._check_way_round(name, shape.port, voice)
        return Service(name, shape.port, shape.shared, options, voice.origin(path, key=True))

    def _check_way_round(self, name: str, port: int, voice: Voice) -> None:
        for spec in self._protocols.values():
            if port in spec.ports:
                wrong = f"port {port} is {spec.name}: as {RAW} it would pass without inspection"
                mend = f"declare it under services: {spec.name}, or give the port that is really meant"
                voice.error(Finding.CONTRADICTION, ("services", name, "port"), wrong, mend)

    def _check_claims(self, site: str) -> None:
        """No two devices may be told by the same evidence: then nobody knows which of them speaks."""
        taken: dict[Hashable, str] = {}
        for name, device in self.devices.items():
            for what, key, path in _claims(device, site):
                other = taken.setdefault((what, key), name)
                if other != name:
                    wrong = f"{what} {key} already means {other} ({self.declared[other].file})"
                    voice = self.declared[name]
                    if what == "the service at":
                        voice.warn(path, wrong, "declare one device with both sets of units, or another port", key=True)
                    else:
                        voice.error(Finding.DUPLICATE, path, wrong, "bind each device to evidence of its own", key=True)


def _claims(device: Device, site: str) -> Iterable[tuple[str, str, tuple[str | int, ...]]]:
    bindings = device.bindings
    uri = bindings.x509_uri
    if uri is None and bindings.x509_cn is None:
        uri = f"spiffe://{site}/device/{device.id}"
    if uri is not None:
        yield "the certificate URI", uri, ("identity", "x509", "uri")
    elif bindings.x509_cn is not None:
        yield "the certificate name", bindings.x509_cn, ("identity", "x509", "cn")
    address = bindings.ip or device.address
    if bindings.mac is not None:
        yield "the MAC", f"{bindings.mac} at {address}", ("identity", "mac_ip")
    if bindings.address_only and address is not None:
        yield "the address", address, ("identity", "unsafe_address_only")
    for service in device.services.values():
        yield "the service at", f"{device.address} port {service.port}", ("services", service.protocol)


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
    unmet = {"mac_ip": mac_ip is None, "address": not shape.unsafe_address_only}
    for at, kind in enumerate(shape.require):
        if unmet.get(kind, False):
            binding = "mac_ip: { mac: ... }" if kind == "mac_ip" else "unsafe_address_only: true"
            wrong = f"{kind} is required but nothing is bound that could match"
            voice.error(Finding.CONTRADICTION, (*path, "require", at), wrong, f"add {binding}, or do not require it")
    return Bindings(
        x509_uri=None if x509 is None else x509.uri,
        x509_cn=None if x509 is None else x509.cn,
        mac=None if mac_ip is None else names.mac(mac_ip.mac),
        ip=ip,
        address_only=shape.unsafe_address_only,
        require=frozenset(shape.require),
    )


def _check_address(text: str, path: tuple[str | int, ...], voice: Voice) -> None:
    ip = ipaddress.ip_address(text)
    if ip.is_unspecified or ip.is_multicast or text == "255.255.255.255":
        wrong = f"{text} is no single machine's address"
        voice.error(Finding.BAD_VALUE, path, wrong, "write the address of the device, for example 10.3.0.11")
    elif ip.is_loopback or ip.is_link_local:
        where = "this machine itself" if ip.is_loopback else "link-local, where cloud metadata lives too"
        voice.warn(path, f"{text} is {where}", "right for a demo; in a plant write the device's own address (T60)")
