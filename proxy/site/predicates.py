"""`while:` lines and the points of a test's `state:`: the devices and points that they name.

The words of a point are the protocol's own (`ProtocolSpec.parse_point`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.process import Predicate
from proxy.site.comparison import split
from proxy.site.problem import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.process import Point
    from proxy.protocols.base import ProtocolSpec
    from proxy.site.draft import Voice
    from proxy.site.inventory import Inventory

Path = tuple[str | int, ...]


class Points:
    """Looks up the devices and points that lines name."""

    def __init__(self, inventory: Inventory, protocols: Mapping[str, ProtocolSpec]) -> None:
        self._inventory = inventory
        self._protocols = protocols

    def predicate(self, text: str, devices: tuple[str, ...], path: Path, voice: Voice) -> Predicate | None:
        """``devices`` are those of the rule. None after a report."""
        line = split(text)
        found = self.find(line.point, devices, path, voice)
        return None if found is None else Predicate(*found, line.compare, line.value, line.fresh)

    def find(self, text: str, devices: tuple[str, ...], path: Path, voice: Voice) -> tuple[str, Point] | None:
        """``[DEVICE] PROTOCOL POINT``. Without a device that of ``devices`` is meant, if it is one."""
        first, _, rest = text.partition(" ")
        second, _, last = rest.strip().partition(" ")
        if second in self._protocols:
            device, protocol, words = first, second, last
            if device not in self._inventory.declared:
                voice.unknown(path, "device", device, self._inventory.declared)
                return None
        elif first in self._protocols:
            if len(devices) != 1:
                wrong = f"the rule is for {len(devices)} devices, and this does not say whose {first} value is meant"
                mend = f"name it ({devices[0]} {text[:60]}), or write a rule for each device" if devices else "name it"
                voice.error(Finding.BAD_VALUE, path, wrong, mend)
                return None
            device, protocol, words = devices[0], first, rest
        else:
            unknown = second if first in self._inventory.declared and second else first
            mend = f"start with a protocol ({', '.join(self._protocols)}), or with a device and a protocol"
            voice.unknown(path, "protocol", unknown[:60], self._protocols, mend)
            return None
        return self._point(device, protocol, words.strip(), path, voice)

    def _point(self, device: str, protocol: str, words: str, path: Path, voice: Voice) -> tuple[str, Point] | None:
        self._check_seen(device, protocol, path, voice)
        try:
            return device, self._protocols[protocol].parse_point(words)
        except ValueError as fault:
            wrong, _, mend = str(fault).partition("; ")
            voice.error(Finding.BAD_VALUE, path, wrong, mend or "see docs/policy.md")
            return None

    def _check_seen(self, device: str, protocol: str, path: Path, voice: Voice) -> None:
        """A value that no one can ever see through Bulkhead would make the rule one that never holds."""
        if device in self._inventory.safety:
            wrong = f"{device} is a safety function: nothing of it passes through Bulkhead, so nothing of it is seen"
            voice.error(Finding.CONTRADICTION, path, wrong, "name a device whose values pass through")
        elif not self._inventory.offers(device, protocol):
            wrong = f"{device} has no service {protocol}"
            file = self._inventory.declared[device].file
            mend = f"add 'services: {{ {protocol}: {{ port: ... }} }}' to {file}, or name another device"
            voice.error(Finding.CONTRADICTION, path, wrong, mend)
