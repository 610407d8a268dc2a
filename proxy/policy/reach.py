"""If this device is taken over: what it can touch, and what those it may change can touch in turn, step by step."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from proxy.policy.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.core.inventory import Device
    from proxy.policy.plan import Plan
    from proxy.policy.way import Assumption, Way, Words

NO_PLACE = ""


class Search(NamedTuple):
    """``depth``: so many steps at most, None for all. ``any_contact``: whoever is touched counts as taken over, and
    not only who may be changed. ``writes``: what changes nothing is left out altogether."""

    depth: int | None = None
    any_contact: bool = False
    writes: bool = False


class Arrival(NamedTuple):
    """How a device is first reached: in step ``step``, counted from 1, by ``ways`` of one other device."""

    step: int
    ways: tuple[Way, ...]


class Stage(NamedTuple):
    """What one device that is taken over may do, in step ``step``."""

    device: str
    step: int
    ways: tuple[Way, ...]


class Side(NamedTuple):
    """One place: its devices (the first one not counted), those touched, those that may be changed. ``leaves``: the
    largest part of the plant around the first device that lies behind on the way there; empty if none does."""

    place: str
    leaves: str
    devices: tuple[str, ...]
    touched: tuple[str, ...]
    changed: tuple[str, ...]


class Reach(NamedTuple):
    """``touched``, ``changed`` and ``taken``: each device with the shortest way to touch it, to change it, and to have
    it do what the attacker likes; the last is one of the two others. ``stages``: what the first device and those taken
    over may do. ``cut``: those that count as taken over and were not looked at, because the depth was reached."""

    start: str
    search: Search
    stages: tuple[Stage, ...]
    touched: Mapping[str, Arrival]
    changed: Mapping[str, Arrival]
    taken: Mapping[str, Arrival]
    unreached: tuple[str, ...]
    sides: tuple[Side, ...]
    cut: tuple[str, ...]

    def path(self, arrival: Arrival) -> tuple[Way, ...]:
        """From the first device, one way for each step. Of several at once one that changes is told."""
        last = min(arrival.ways, key=lambda way: not way.changes)
        return (last,) if last.who == self.start else (*self.path(self.taken[last.who]), last)


def reach(plan: Plan, start: str, assumption: Assumption, search: Search, words: Words) -> Reach:
    """The fixpoint, breadth first: each device is found in the fewest steps. ``start`` is a device of the plan."""
    ways = Ways(plan, start, assumption, words)
    touched: dict[str, Arrival] = {}
    changed: dict[str, Arrival] = {}
    taken = touched if search.any_contact else changed
    stages: list[Stage] = []
    cut: list[str] = []
    waiting = deque([(start, 1)])
    while waiting:
        who, step = waiting.popleft()
        if search.depth is not None and step > search.depth:
            cut.append(who)
            continue
        mine = tuple(way for way in ways.of(who) if (way.changes or not search.writes) and way.to != start)
        stages.append(Stage(who, step, mine))
        known = {*taken}
        _note(touched, step, mine)
        _note(changed, step, (way for way in mine if way.changes))
        waiting.extend((device, step + 1) for device in taken if device not in known)
    others = [device for device in plan.devices if device != start]
    return Reach(
        start=start,
        search=search,
        stages=tuple(stages),
        touched=touched,
        changed=changed,
        taken=taken,
        unreached=tuple(device for device in others if device not in touched),
        sides=_sides(plan.devices, start, touched, changed),
        cut=tuple(cut),
    )


def _note(found: dict[str, Arrival], step: int, ways: Iterable[Way]) -> None:
    """Each device once, by the ways of the first that comes to it."""
    new: dict[str, list[Way]] = {}
    for way in ways:
        if way.to not in found:
            new.setdefault(way.to, []).append(way)
    found.update((device, Arrival(step, tuple(some))) for device, some in new.items())


def _sides(
    devices: Mapping[str, Device], start: str, touched: Mapping[str, Arrival], changed: Mapping[str, Arrival]
) -> tuple[Side, ...]:
    home = devices[start].place or NO_PLACE
    places: dict[str, list[str]] = {}
    for device in devices.values():
        if device.id != start:
            places.setdefault(device.place or NO_PLACE, []).append(device.id)
    sides = [
        Side(
            place,
            leaves(home, place),
            tuple(some),
            tuple(one for one in some if one in touched),
            tuple(one for one in some if one in changed),
        )
        for place, some in places.items()
    ]
    return tuple(sorted(sides, key=lambda side: (-len(_common(home, side.place)), side.place == NO_PLACE, side.place)))


def leaves(home: str, place: str) -> str:
    """``leaves("site/hall/line/cell", "site/hall/office")`` is ``line``: the largest part that is left behind."""
    parts = home.split("/")
    shared = len(_common(home, place))
    return parts[shared] if shared < len(parts) else ""


def _common(one: str, other: str) -> list[str]:
    found = []
    for a, b in zip(one.split("/"), other.split("/"), strict=False):
        if a != b:
            break
        found.append(a)
    return found
