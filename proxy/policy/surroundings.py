"""What decides about access besides rules: how speakers are known, which doors there are, what stands behind them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.options import widens
from proxy.policy.entry import Entry, in_order, listed
from proxy.policy.speaker import MBAPS, NULL_ROLE
from proxy.policy.terms import FOREVER, instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
        *_unbound(new, old),
        *_kept(new.plan.state, old.plan.state),
        *_named(new.plan.site, old.plan.site),
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
    known = {_place(door): door for door in old}
    by_bind = {door.bind: door for door in old}
    for door in new:
        if (same := known.get(_place(door))) is not None:
            for change in _options(door.options, same.options):
                if change.widens:
                    text = f"the door {door.name} at {door.bind}: {change.text}"
                    yield Entry("door", text, to=(door.device,), protocol=door.protocol)
            continue
        was = by_bind.get(door.bind)
        tls = "clients show a certificate" if door.secured else "in the clear"
        if unsafe := getattr(door.options, "unsafe", ()):
            tls = f"{tls}, but for {', '.join(unsafe)}"
        text = f"the door {door.name} at {door.bind} leads to {door.device} ({door.protocol}, {tls})"
        if was is not None:
            earlier = "a certificate" if was.secured else "in the clear"
            text += f" [before: to {was.device} ({was.protocol}, {earlier})]"
        yield Entry("door", text, to=(door.device,), protocol=door.protocol)


def _place(door: Door) -> tuple[str, str, str, bool]:
    """Whatever it is called, and however it stands towards its clients."""
    return door.bind, door.protocol, door.device, door.secured


def _named(new: str, old: str) -> Iterator[Entry]:
    """The names in certificates begin with the site's: those of another site's authority may fit now."""
    if new != old:
        yield Entry("identity", f"certificates are made out to spiffe://{new}/... [before: spiffe://{old}/...]")


def _known_by(new: Side, old: Side) -> Iterator[Entry]:
    """How those are known whom a rule lets in. A device that is new says nothing by itself: its rules do."""
    speaking = _speaking(new)
    for id, device in new.plan.devices.items():
        before = old.plan.devices.get(id)
        if before is None or id not in speaking:
            continue
        for what in _looser(device, before):
            yield Entry("identity", f"{id} {what} ({device.origin})", who=(id,), origin=device.origin)


def _unbound(new: Side, old: Side) -> Iterator[Entry]:
    """A certificate that names a device is held to what is bound to that; one that names none has its role alone."""
    if not _by_role(_named_in_rules(new)):
        return
    for id in in_order(old.plan.devices.keys() - new.plan.devices.keys()):
        bindings = old.plan.devices[id].bindings
        if bindings.require or bindings.mac is not None:
            yield Entry("identity", f"a certificate of {id} counts by its role alone: it is no device here", who=(id,))


def _kept(new: str, old: str) -> Iterator[Entry]:
    if new != old:
        text = f"the state folder is {new} [before: {old}]: a start finds there what it compares the files with"
        yield Entry("state", text)


def _speaking(side: Side) -> frozenset[str]:
    """Who is let in as somebody: the devices that rules name; and any, where a role or nothing at all is asked for."""
    named = _named_in_rules(side)
    return named | side.plan.devices.keys() if side.open or _by_role(named) else named


def _named_in_rules(side: Side) -> frozenset[str]:
    written = {rule.speakers for surface in side.plan.surfaces for rule in surface.rules}
    return frozenset(one for names in written for one in side.speakers(names))


def _by_role(names: Iterable[str]) -> bool:
    """Some of them are roles in certificates, which anybody may have."""
    return any(name == NULL_ROLE or name.startswith(MBAPS) for name in names)


def _looser(device: Device, before: Device) -> Iterator[str]:
    new, old = device.bindings, before.bindings
    if new.address_only and not old.address_only:
        yield "is believed by its address alone (unsafe_address_only)"
    if gone := sorted(old.require - new.require):
        yield f"is believed without {', '.join(gone)} (require)"
    if _certificate(new) != _certificate(old):
        yield f"is known by {_certificate(new)} [before: {_certificate(old)}]"
    if new.opcua_uri != old.opcua_uri:
        yield f"is known by the ApplicationUri {new.opcua_uri or 'of none'} [before: {old.opcua_uri or 'none'}]"
    if new.mac != old.mac:
        yield f"is known by the MAC {new.mac or 'of any machine'} [before: {old.mac or 'any'}]"
    if (ip := new.ip or device.address) != (was := old.ip or before.address) and ip is not None:
        yield f"is known at the address {ip} [before: {was or 'none'}]"


def _certificate(bindings: Bindings) -> str:
    if bindings.x509_uri is not None:
        return f"the certificate URI {bindings.x509_uri}"
    return "its own certificate" if bindings.x509_cn is None else f"the certificate name {bindings.x509_cn}"


class Behind(NamedTuple):
    """What changed behind the names of devices. What merely differs is wider and narrower."""

    wider: tuple[Entry, ...]
    narrower: tuple[Entry, ...]
    neither: tuple[Entry, ...]


class _Change(NamedTuple):
    text: str
    widens: bool
    narrows: bool


def behind(new: Side, old: Side) -> Behind:
    """Another machine, port or way to speak to it behind the same name: what rules allow there reaches another. How
    it is spoken to otherwise is no matter of access."""
    changes: list[tuple[Entry, _Change]] = []
    for id, device in new.plan.devices.items():
        before = old.plan.devices.get(id)
        if before is None or (device.address == before.address and device.services == before.services):
            continue
        if device.address != before.address and (device.services or before.services):
            text = f"{id} is reached at {device.address or 'no address'} [before: {before.address or 'nowhere'}]"
            entry = Entry("device", f"{text} ({device.origin})", to=(id,), origin=device.origin)
            changes.append((entry, _Change("", True, True)))
        for name in dict.fromkeys((*device.services, *before.services)):
            now, then = device.services.get(name), before.services.get(name)
            origin = device.origin if now is None else now.origin
            for change in _service(now, then):
                text = f"{id}: {name} {change.text} ({origin})"
                changes.append((Entry("device", text, to=(id,), protocol=name, origin=origin), change))
    changes.sort(key=lambda pair: pair[0].text)
    return Behind(
        tuple(entry for entry, change in changes if change.widens),
        tuple(entry for entry, change in changes if change.narrows),
        tuple(entry for entry, change in changes if not change.widens and not change.narrows),
    )


def _service(new: Service | None, old: Service | None) -> Iterator[_Change]:
    if new is None:
        yield _Change("is no longer served", widens=False, narrows=True)
        return
    if old is None:
        yield _Change("is served now", widens=True, narrows=False)
        return
    if new.port != old.port:
        yield _Change(_told("port", new.port, old.port), widens=True, narrows=True)
    if new.shared != old.shared:
        yield _Change(_told("shared", new.shared, old.shared), widens=False, narrows=False)
    if new.tls != old.tls:
        yield _Change(_told("tls", new.tls, old.tls), widens=old.tls is not None, narrows=new.tls is not None)
    yield from _options(new.options, old.options)


def _options(new: object, old: object) -> Iterator[_Change]:
    """The type is the protocol's own and says which of its options widen what."""
    if not is_dataclass(new) or isinstance(new, type) or type(new) is not type(old):
        if new != old:
            yield _Change(_told("options", new, old), widens=True, narrows=True)
        return
    for option in fields(new):
        now, then = getattr(new, option.name), getattr(old, option.name)
        if option.compare and now != then:
            yield _Change(_told(option.name, now, then), widens(option, now, then), widens(option, then, now))


def _told(name: str, now: object, then: object) -> str:
    return f"{name} is {_shown(now)} [before: {_shown(then)}]"


def _shown(value: object) -> str:
    if isinstance(value, frozenset | tuple):
        return ", ".join(map(str, sorted(value, key=str))) or "none"
    return "none" if value is None else str(value)
