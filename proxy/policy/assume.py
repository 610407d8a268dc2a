"""A speaker who is not there, at a time that is not now: for tests of the policy and for questions about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.origin import Origin
from proxy.core.principal import Principal
from proxy.policy.circumstances import Circumstances
from proxy.policy.speaker import MBAPS, NULL_ROLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from proxy.core.hours import Hours
    from proxy.core.inventory import Device
    from proxy.core.process import Point
    from proxy.core.surface import Surface

    State = Iterable[tuple[str, Point, float]]
    """(device, point, value) just seen."""

STRENGTHS = {
    "x509": Strength.PROOF,
    "opcua_uri": Strength.PROOF,
    "inside": Strength.PROOF,
    "tpm": Strength.PROOF,
    "mac_ip": Strength.CLAIM,
    "address": Strength.CLAIM,
}
"""As the sources of `proxy.identity` have them; what is not listed is a hint."""


def is_attribute(name: str) -> bool:
    return name.startswith(MBAPS) or name == NULL_ROLE


def assumed(who: str, devices: Mapping[str, Device], kinds: Collection[str] | None = None) -> Principal:
    """``who`` is a device id, ``mbaps:ROLE`` or ``mbaps-null``, or several joined by ``+`` (a device whose
    certificate has a role). ``kinds`` of evidence are taken as matched, by default all that ``who`` is bound by; the
    other kinds that it is bound by are taken as absent. An unknown id is a speaker whom nothing binds."""
    names = who.split("+")
    attributes = frozenset(name for name in names if is_attribute(name))
    id = next((name for name in names if name in devices), None)
    bound = bound_kinds(devices[id]) if id is not None else ("x509",) if attributes else ()
    shown = bound if kinds is None else tuple(kinds)
    evidence = tuple(
        Evidence(
            kind,
            Outcome.MATCH if kind in shown else Outcome.ABSENT,
            STRENGTHS.get(kind, Strength.HINT),
            note="assumed",
        )
        for kind in dict.fromkeys((*bound, *shown))
    )
    return Principal(id, attributes, evidence, devices[id].place if id is not None else None)


def bound_kinds(device: Device) -> tuple[str, ...]:
    """The kinds that can show who this device is. Any device may get a certificate of the site with its SPIFFE id."""
    bindings = device.bindings
    kinds = ["x509"]
    if bindings.opcua_uri is not None:
        kinds.append("opcua_uri")
    if device.kind == "gateway":
        kinds.append("inside")
    if bindings.mac is not None:
        kinds.append("mac_ip")
    if bindings.address_only:
        kinds.append("address")
    return tuple(kinds)


@dataclass(frozen=True, slots=True)
class _Always:
    """Hours that are open at any time: for a question that leaves the time out."""

    name: str
    origin: Origin

    def open_at(self, wall: float) -> bool:
        return True

    def next_change(self, wall: float) -> float | None:
        return None

    def describe(self) -> str:
        return "always"


def always_open(surfaces: Iterable[Surface]) -> tuple[Hours, ...]:
    """What the rules of ``surfaces`` name in `when`, open at any time."""
    named = {name for surface in surfaces for rule in surface.rules for name in rule.when}
    return tuple(_Always(name, Origin("policies", 1)) for name in sorted(named))


def imagined(hours: Iterable[Hours], wall: float = 0.0, state: State = ()) -> Circumstances:
    """It is ``wall``, seconds since 1970, and just now, which is second 0 of the monotonic clock, ``state`` was seen
    and nothing else ever."""
    around = Circumstances(hours, wall)
    around.watch({(device, point) for device, point, _ in state})
    for device, point, value in state:
        around.observe(device, point, value, 0.0)
    return around
