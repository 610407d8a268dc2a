"""What decides about access besides rules: how speakers are known, which doors there are, what stands behind them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING

from proxy.policy.entry import Entry, in_order, listed
from proxy.policy.terms import FOREVER, instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from proxy.core.inventory import Bindings, Device, Service
    from proxy.policy.access import Side
    from proxy.policy.plan import Door


def appeared(new: Side, old: Side) -> list[Entry]:
    """What is looser on the side of ``new``. What merely differs is on both lists: another certificate is one more
    and one less."""
    found = [
        *_monitored(new, old),
        *_unrecorded(new, old),
        *_doors(new.plan.doors, old.plan.doors),
        *_known_by(new, old),
        *_behind(new, old),
    ]
    return sorted(dict.fromkeys(found), key=lambda entry: (entry.kind, entry.text))


def _monitored(new: Side, old: Side) -> Iterator[Entry]:
    groups: dict[float, list[str]] = {}
    for device, until in new.open.items():
        if until > old.open.get(device, 0.0):
            groups.setdefault(until, []).append(device)
    for until, devices in sorted(groups.items()):
        names = in_order(devices)
        end = "" if until == FOREVER else f" until {instant(until)}"
        text = f"anybody may do at {listed(names)} whatever no never forbids{end}: its surfaces are only monitored"
        yield Entry("monitor", text, to=tuple(names))


def _unrecorded(new: Side, old: Side) -> Iterator[Entry]:
    devices = in_order(one for one in old.recorded_first - new.recorded_first if one in new.plan.devices)
    if devices:
        text = f"a change at {listed(devices)} may go on before it is on record (audit: before)"
        yield Entry("audit", text, to=tuple(devices))


def _doors(new: Iterable[Door], old: Iterable[Door]) -> Iterator[Entry]:
    known = {door._replace(name="") for door in old}
    by_bind = {door.bind: door for door in old}
    for door in new:
        if door._replace(name="") in known:
            continue
        was = by_bind.get(door.bind)
        tls = "clients show a certificate" if door.secured else "in the clear"
        text = f"the door {door.name} at {door.bind} leads to {door.device} ({door.protocol}, {tls})"
        if was is not None:
            earlier = "a certificate" if was.secured else "in the clear"
            text += f" [before: to {was.device} ({was.protocol}, {earlier})]"
        yield Entry("door", text, to=(door.device,), protocol=door.protocol)


def _known_by(new: Side, old: Side) -> Iterator[Entry]:
    """How those are known whom a rule lets in. A device that is new says nothing by itself: its rules do."""
    speaking = _speaking(new)
    for id, device in new.plan.devices.items():
        before = old.plan.devices.get(id)
        if before is None or id not in speaking:
            continue
        for what in _looser(device, before):
            yield Entry("identity", f"{id} {what} ({device.origin})", who=(id,), origin=device.origin)


def _speaking(side: Side) -> frozenset[str]:
    written = {rule.speakers for surface in side.plan.surfaces for rule in surface.rules}
    return frozenset(one for names in written for one in side.speakers(names))


def _looser(device: Device, before: Device) -> Iterator[str]:
    new, old = device.bindings, before.bindings
    if new.address_only and not old.address_only:
        yield "is believed by its address alone (unsafe_address_only)"
    if gone := sorted(old.require - new.require):
        yield f"is believed without {', '.join(gone)} (require)"
    if _certificate(new) != _certificate(old):
        yield f"is known by {_certificate(new)} [before: {_certificate(old)}]"
    if new.mac != old.mac:
        yield f"is known by the MAC {new.mac or 'of any machine'} [before: {old.mac or 'any'}]"
    if (ip := new.ip or device.address) != (was := old.ip or before.address) and ip is not None:
        yield f"is known at the address {ip} [before: {was or 'none'}]"


def _certificate(bindings: Bindings) -> str:
    if bindings.x509_uri is not None:
        return f"the certificate URI {bindings.x509_uri}"
    return "its own certificate" if bindings.x509_cn is None else f"the certificate name {bindings.x509_cn}"


def _behind(new: Side, old: Side) -> Iterator[Entry]:
    """Another machine, port or way to speak to it behind the same name: what rules allow there reaches another."""
    for id, device in new.plan.devices.items():
        before = old.plan.devices.get(id)
        if before is None or (device.address == before.address and device.services == before.services):
            continue
        if device.address != before.address and device.services:
            text = f"{id} is reached at {device.address} [before: {before.address or 'nowhere'}] ({device.origin})"
            yield Entry("device", text, to=(id,), origin=device.origin)
        for name, service in device.services.items():
            for what in _service(service, before.services.get(name)):
                yield Entry(
                    "device", f"{id}: {name} {what} ({service.origin})", to=(id,), protocol=name, origin=service.origin
                )


def _service(new: Service, old: Service | None) -> Iterator[str]:
    if old is None:
        yield "is served now"
        return
    if replace(new, origin=old.origin) == old:
        return
    for name in ("port", "shared", "tls"):
        one, other = getattr(new, name), getattr(old, name)
        if one != other:
            yield f"{name} is {_shown(one)} [before: {_shown(other)}]"
    now, then = _options(new.options), _options(old.options)
    for name in dict.fromkeys((*now, *then)):
        if now.get(name) != then.get(name):
            yield f"{name} is {_shown(now.get(name))} [before: {_shown(then.get(name))}]"


def _options(options: object) -> Mapping[str, object]:
    """By name. The type is the protocol's own, so which of them widen anything is not known here: each is told."""
    if not is_dataclass(options) or isinstance(options, type):
        return {"options": options}
    return {one.name: getattr(options, one.name) for one in fields(options) if one.compare}


def _shown(value: object) -> str:
    if isinstance(value, frozenset | tuple):
        return ", ".join(map(str, sorted(value, key=str))) or "none"
    return "none" if value is None else str(value)
