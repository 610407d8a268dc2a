"""One thing that a change of policy gives or takes, as people and programs read it; many alike become one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from proxy.policy.access import ANYBODY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.core.action import Target
    from proxy.core.origin import Origin, RuleRef

NAMED = 4
"""Names that a line lists; of more it shows the first, the last and how many there are."""
_NUMBER = re.compile(r"([0-9]+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """``kind`` is `access`, `guard` (a never), `monitor`, `audit`, `identity`, `door`, `device` or `state`. ``who`` are
    device ids and what certificates say; empty: anybody. ``terms`` is what else must hold, ``before`` what held until
    now. ``rule`` is None where no rule says it, ``origin`` is then where the other file is, if there is one."""

    kind: str
    text: str
    who: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    protocol: str = ""
    targets: tuple[Target, ...] = ()
    terms: str = ""
    before: tuple[str, ...] = ()
    rule: RuleRef | None = None
    origin: Origin | None = None

    def data(self) -> dict[str, Any]:
        place = self.rule.origin if self.rule is not None else self.origin
        return {
            "kind": self.kind,
            "text": self.text,
            "who": list(self.who),
            "to": list(self.to),
            "protocol": self.protocol or None,
            "what": [target.describe() for target in self.targets],
            "terms": self.terms or None,
            "before": list(self.before),
            "rule": None if self.rule is None else str(self.rule),
            "file": None if place is None else place.file,
            "line": None if place is None else place.line,
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """What appears and what disappears, each in the order of surfaces and lines. ``changes`` are of how devices are
    spoken to: nobody may do more or less by them."""

    widenings: tuple[Entry, ...]
    narrowings: tuple[Entry, ...]
    changes: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.widenings or self.narrowings or self.changes)

    def data(self) -> dict[str, Any]:
        return {
            "widenings": [entry.data() for entry in self.widenings],
            "narrowings": [entry.data() for entry in self.narrowings],
            "changes": [entry.data() for entry in self.changes],
        }


class Gain(NamedTuple):
    """What one speaker has at one device that was not there before, by one rule. ``first``: it had nothing there."""

    rule: RuleRef
    protocol: str
    targets: tuple[Target, ...]
    terms: str
    before: tuple[str, ...]
    via: str
    first: bool
    speaker: str
    device: str


class Wording(NamedTuple):
    """How a gain is told. ``place`` stands before the file and line."""

    kind: str
    sentence: str
    place: str


ALLOWED = Wording("access", "{who} may now also: {what} at {where}", "{rule} ")
NOT_ALLOWED = Wording("access", "{who} may no longer: {what} at {where}", "was {rule} ")
FREED = Wording("guard", "never {rule} no longer forbids {who}: {what} at {where}", "was ")
FORBIDDEN = Wording("guard", "never {rule} now forbids {who}: {what} at {where}", "")


def entries(gains: Iterable[Gain], wording: Wording) -> list[Entry]:
    """Gains that differ in nothing but speakers and devices become one."""
    alike: dict[Gain, set[str]] = {}
    for gain in gains:
        alike.setdefault(gain._replace(speaker=""), set()).add(gain.speaker)
    groups: dict[tuple[Gain, tuple[str, ...]], set[str]] = {}
    for gain, speakers in alike.items():
        groups.setdefault((gain._replace(device=""), tuple(in_order(speakers))), set()).add(gain.device)
    found = [_entry(gain, who, tuple(in_order(devices)), wording) for (gain, who), devices in groups.items()]
    return sorted(found, key=_place)


def _entry(gain: Gain, who: tuple[str, ...], devices: tuple[str, ...], wording: Wording) -> Entry:
    speakers = () if ANYBODY in who else who
    # What a line brings along goes without saying, unless it loosens what the speaker had.
    written = [target for target in gain.targets if not (gain.first and getattr(target, "implied", False))]
    what = "; ".join(target.describe() for target in written or gain.targets)
    terms = f" [{gain.terms}]" if gain.terms else ""
    before = f" [before: {'; '.join(gain.before)}]" if gain.before else ""
    words = {"who": listed(speakers) + gain.via, "what": what, "where": listed(devices), "rule": str(gain.rule)}
    sentence, place = wording.sentence.format(**words), wording.place.format(**words)
    text = f"{sentence}{terms}{before} ({place}{gain.rule.origin})"
    return Entry(wording.kind, text, speakers, devices, gain.protocol, gain.targets, gain.terms, gain.before, gain.rule)


def _place(entry: Entry) -> tuple[str, int, str]:
    place = entry.rule.origin if entry.rule is not None else entry.origin
    return ("", 0, entry.text) if place is None else (place.file, place.line, entry.text)


def listed(names: Sequence[str]) -> str:
    if not names:
        return "anybody"
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{len(names)} devices {names[0]} ... {names[-1]}"


def in_order(names: Iterable[str]) -> list[str]:
    """``sensor-9`` comes before ``sensor-10``."""
    return sorted(
        names, key=lambda name: [(len(part), part) if part.isdigit() else (0, part) for part in _NUMBER.split(name)]
    )
