"""`bulkhead.yaml`: from its shape to listeners and limits, and how they agree with devices and surfaces."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from proxy.site import names
from proxy.site.draft import Heard
from proxy.site.model import Bind, Limits, Listener, TlsSetting
from proxy.site.problem import Finding, Problem
from proxy.site.shapes import ListenerShape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.core.surface import Surface
    from proxy.protocols.base import ProtocolSpec
    from proxy.site.draft import Voice
    from proxy.site.inventory import Inventory
    from proxy.site.problem import Collector
    from proxy.site.shapes import SiteShape

Path = tuple[str | int, ...]


def listeners(
    shape: SiteShape, inventory: Inventory, protocols: Mapping[str, ProtocolSpec], voice: Voice
) -> tuple[Listener, ...]:
    """In name order."""
    if not shape.listeners:
        mend = "add for example 'NAME: { bind: ..., protocol: ..., to: ... }'"
        voice.error(Finding.MISSING, ("listeners",), "no listener: nothing would be let through", mend, key=True)
    found = [_listener(name, shape.listeners[name], inventory, protocols, voice) for name in sorted(shape.listeners)]
    _check_binds(shape, voice)
    return tuple(found)


def _listener(
    name: str, shape: ListenerShape, inventory: Inventory, protocols: Mapping[str, ProtocolSpec], voice: Voice
) -> Listener:
    path: Path = ("listeners", name)
    spec = protocols.get(shape.protocol)
    if spec is None:
        mend = f"one of {', '.join(protocols)}"
        voice.unknown((*path, "protocol"), "protocol", shape.protocol, protocols, mend)
    if shape.to not in inventory.declared:
        voice.unknown((*path, "to"), "device", shape.to, inventory.declared)
    elif spec is not None:
        _check_target(shape, path, inventory, voice)
    if spec is not None and shape.deny_style is not None:
        _check_deny_style(shape, spec, (*path, "deny_style"), voice)
    default = spec.deny_styles(secured=shape.tls is not None)[0] if spec is not None else ""
    tls = None
    if shape.tls is not None:
        tls = TlsSetting(shape.tls.clients, tuple(sorted(set(shape.tls.versions))), shape.tls.certificate)
    bind = Bind(*names.bind(shape.bind))
    options = None if spec is None else _options(shape, spec, path, voice)
    style = shape.deny_style or default
    found = Listener(name, bind, shape.protocol, shape.to, tls, style, voice.origin(path, key=True), options)
    for word in found.unsafe:
        wrong = f"{word}: a client may speak without a secured channel, so anybody on the way reads and changes it"
        mend = "take the line out, or be sure what can reach this address; /status shows it"
        voice.warn((*path, shape.protocol, word.partition(":")[0]), wrong, mend, key=True)
    return found


def _options(shape: ListenerShape, spec: ProtocolSpec, path: Path, voice: Voice) -> object | None:
    """What the listener's section of its protocol says; a protocol may have defaults without one."""
    sections = [key for key in type(shape).model_fields if key not in ListenerShape.model_fields]
    for key in sections:
        if key in shape.model_fields_set and key != spec.name:
            wrong = f"this listener speaks {spec.name}, and {key} says nothing here"
            voice.error(Finding.CONTRADICTION, (*path, key), wrong, "delete the section", key=True)
    given = spec.name in shape.model_fields_set
    value = getattr(shape, spec.name) if given else None
    own = (*path, spec.name)
    if given and value is None:
        voice.error(Finding.BAD_VALUE, own, "the value is empty", "write a section, or delete the line", key=True)
        return None
    heard = Heard(voice.below(own))
    options = spec.parse_listener(value, heard)
    if given and options is None and not heard.anything:
        voice.error(Finding.BAD_VALUE, own, "is not understood", "see docs/schema", key=True)
    if shape.tls is not None and hasattr(options, "secures"):
        wrong = f"{spec.name} has a secure channel of its own, and its clients know no other"
        mend = f"delete tls; {spec.name}: {{ certificate: ..., trust: [...] }} says what is shown and who is trusted"
        voice.error(Finding.CONTRADICTION, (*path, "tls"), wrong, mend, key=True)
    return options


def _check_target(shape: ListenerShape, path: Path, inventory: Inventory, voice: Voice) -> None:
    if shape.to in inventory.safety:
        wrong = f"{shape.to} is a safety function ({inventory.declared[shape.to].file})"
        voice.error(Finding.SAFETY, (*path, "to"), wrong, "safety functions never pass through Bulkhead: wire it past")
    if not inventory.offers(shape.to, shape.protocol):
        wrong = f"{shape.to} has no service {shape.protocol}"
        mend = f"add 'services: {{ {shape.protocol}: {{ port: ... }} }}' to {inventory.declared[shape.to].file}"
        voice.error(Finding.CONTRADICTION, (*path, "to"), wrong, mend)


def _check_deny_style(shape: ListenerShape, spec: ProtocolSpec, path: Path, voice: Voice) -> None:
    style = shape.deny_style or ""
    styles = spec.deny_styles(secured=shape.tls is not None)
    if style in styles:
        return
    if shape.tls is not None and style in spec.deny_styles(secured=False):
        wrong = f"{style} is for plain listeners; with TLS a refusal is always {' or '.join(styles)}"
        voice.error(Finding.CONTRADICTION, path, wrong, "delete the line")
    else:
        nearest = voice.collector.nearest(style, styles)
        wrong = f"{spec.name} cannot refuse in the style {style}"
        voice.error(Finding.BAD_VALUE, path, wrong, f"one of {', '.join(styles)}", nearest=nearest)


def _check_binds(shape: SiteShape, voice: Voice) -> None:
    """One socket, one listener; and a wildcard address takes the port on all addresses of its family."""
    taken: dict[tuple[str, int], str] = {}
    wild: dict[tuple[int, int], str] = {}
    wanted: list[tuple[Path, str, str]] = [(("listeners", n, "bind"), n, x.bind) for n, x in shape.listeners.items()]
    for path, name, text in [(("admin", "bind"), "admin", shape.admin.bind), *wanted]:
        host, port = names.bind(text)
        ip = ipaddress.ip_address(host)
        family = (ip.version, port)
        same = [n for (h, p), n in taken.items() if p == port and ipaddress.ip_address(h).version == ip.version]
        other = taken.get((host, port)) or wild.get(family) or (same[0] if ip.is_unspecified and same else None)
        if other is not None:
            wrong = f"{text} is taken by {other}"
            voice.error(Finding.DUPLICATE, path, wrong, "give each listener an address and port of its own")
        taken.setdefault((host, port), name)
        if ip.is_unspecified:
            wild.setdefault(family, name)
        if path == ("admin", "bind") and not ip.is_loopback:
            wrong = f"the operators' listener on {host} can be reached from outside, and asks nobody who they are"
            voice.warn(path, wrong, 'use "127.0.0.1:9464", or be sure what can reach it')


def limits(shape: SiteShape, voice: Voice) -> Limits:
    found = Limits(**shape.limits.model_dump())
    for name in ("handshakes", "links_per_source", "links_per_identity"):
        if getattr(found, name) > found.links and name in shape.limits.model_fields_set:
            voice.warn(("limits", name), f"{name} is above links ({found.links}) and so never reached", "lower it")
    return found


def check_reach(listeners: Iterable[Listener], surfaces: Iterable[Surface], voice: Voice) -> None:
    """A listener to a device in no surface opens a door to a wall."""
    members = {member for surface in surfaces for member in surface.members}
    for listener in listeners:
        if listener.to not in members:
            wrong = f"{listener.to} is in no surface, so everything to it is refused"
            voice.warn(("listeners", listener.name, "to"), wrong, "add it to the members of a surface")


def check_sight(listeners: Iterable[Listener], surfaces: Iterable[Surface], collector: Collector) -> None:
    """What no listener leads to is never seen, and a rule that waits for a value of it never holds."""
    seen = {listener.to for listener in listeners}
    for surface in surfaces:
        for rule in surface.rules:
            for device in {one.device for one in rule.whilst} - seen:
                wrong = f"no listener leads to {device}, so nothing of it is seen and the rule never holds"
                mend = "add a listener for it, or name a device whose values pass through"
                path: Path = ("rules", rule.ref.name, "while")
                collector.add(Problem(Finding.DOUBTFUL, rule.ref.origin, path, wrong, mend, warning=True))


def check_names(folder: str, declared: Mapping[str, Voice], what: str) -> None:
    """A file is found again by the name of what is in it."""
    for name, voice in declared.items():
        expected = f"{folder}/{name}.yaml"
        if names.is_id(name) and voice.file != expected:
            voice.warn((what,), f"{name} is not in the file that has its name", f"rename the file to {expected}")
