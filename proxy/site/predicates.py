"""`while:` lines and the points of a test's `state:`: what a device was seen to be.

    [DEVICE] PROTOCOL POINT OP NUMBER [within DURATION]

The words of a point are the protocol's own (`ProtocolSpec.parse_point`). Without DEVICE the rule's own is meant.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.process import Predicate
from proxy.site import quantities
from proxy.site.problem import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.process import Point
    from proxy.protocols.base import ProtocolSpec
    from proxy.site.draft import Voice
    from proxy.site.inventory import Inventory

Path = tuple[str | int, ...]

FRESH = 5.0
"""Seconds that a value counts for if the line does not say."""
_LINE = re.compile(
    r"(?P<point>[^ ].*[^ <>=!]) *(?P<compare>==|!=|<=|>=|<|>) *(?P<value>-?[0-9]{1,12}(?:\.[0-9]{1,9})?)"
    r"(?: +within +(?P<fresh>[^ ]+))?",
    re.ASCII,
)
PATTERN = r"^[^ ].*(==|!=|<=|>=|<|>) *-?[0-9]{1,12}(\.[0-9]{1,9})?( +within +[^ ]+)?$"
LONGEST = 255


class Line(NamedTuple):
    """``point`` still has its device and protocol in front. ``fresh`` is in seconds."""

    point: str
    compare: str
    value: float
    fresh: float


@lru_cache(maxsize=256)
def split(text: str) -> Line:
    """Raises ValueError with what is wrong."""
    match = _LINE.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        raise ValueError(f"{text[:60]!r} {_why_not(text)}")
    fresh = FRESH if match["fresh"] is None else quantities.duration(match["fresh"])
    return Line(match["point"], match["compare"], float(match["value"]), fresh)


def _why_not(text: str) -> str:
    if len(text) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if re.search(r"==|!=|<|>", text):
        return "compares no value with a number"
    return "compares with '=', and '==' is meant" if "=" in text else "compares nothing"


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
