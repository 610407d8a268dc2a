"""Rules that come to nothing because of what their speakers lack: a key, an address, a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.names import Names
from proxy.policy.finding import warn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from proxy.core.action import Target
    from proxy.core.inventory import Device
    from proxy.core.surface import Role, Rule, Surface
    from proxy.policy.finding import Finding


def unprovable(
    surface: Surface,
    rule: Rule,
    roles: Sequence[Role],
    devices: Mapping[str, Device],
    secured: Collection[str] | None,
) -> Iterator[Finding]:
    plain = secured is not None and not any(device in secured for device in rule.devices)
    mend = "give its listener tls: { clients: required } (opcua: mode: terminate)"
    changing = [t for t in rule.targets if getattr(t, "changes", False)]
    proofs = [kind for kind in ("x509", "opcua_uri") if kind in rule.needs]
    if plain and proofs:
        wrong = f"needs {proofs[0]}, but no listener that asks for certificates leads to what it is about"
        yield warn(rule, f"{wrong}: it never counts", mend)
    elif plain and changing and not surface.writes_without_proof:
        wrong = "no listener that asks for certificates leads to what it is about, so nobody can prove a key"
        yield warn(
            rule,
            f"{wrong}: {changing[0].describe()} is always refused",
            f"{mend}, or set unsafe_writes_without_proof: true",
        )
    for kind, field in (("mac_ip", "mac"), ("opcua_uri", "opcua_uri")):
        for name in _ids(rule, roles) if kind in rule.needs else ():
            if name in devices and getattr(devices[name].bindings, field) is None:
                yield warn(rule, f"needs {kind}, which {name} has not", f"add {kind} to {devices[name].origin.file}")


def nameless(rule: Rule, roles: Sequence[Role], devices: Mapping[str, Device]) -> Iterator[Finding]:
    """A placeholder stands for something that a speaker has not. Who shows a role in a certificate may be a device
    besides, so nothing is said of those."""
    for target in rule.targets:
        if getattr(target, "implied", False) or not _asks_for(target, Names("device", "place")):
            continue
        known = (devices[name] for name in _ids(rule, roles) if name in devices)
        missing = next((one for one in known if not _asks_for(target, Names(one.id, one.place))), None)
        if missing is not None:
            wrong = f"{target.describe()} comes to nothing for {missing.id}, which has no place"
            yield warn(rule, wrong, f"add place to {missing.origin.file}")


def _asks_for(target: Target, names: Names) -> bool:
    """It becomes another target once it knows these names."""
    bind = getattr(target, "bound", None)
    return bind is not None and bind(names) != target


def _ids(rule: Rule, roles: Sequence[Role]) -> list[str]:
    members = {f"role:{role.name}": role.members for role in roles}
    return [name for speaker in rule.speakers for name in members.get(speaker, (speaker,))]
