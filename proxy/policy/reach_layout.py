"""Where everything stands in the picture of `reach`: lanes for surfaces, grouped by place; columns for steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from proxy.policy.plan import Plan
    from proxy.policy.reach import Arrival, Reach
    from proxy.policy.way import Way

WIDTH = 1200
MARGIN, PAD = 20, 12
BOX_HEIGHT, ROW, HEAD = 44, 54, 24
NARROW, BROAD = 96, 170
MOST_IDLE_LANES = 24
NO_SURFACE = "in no surface"


class Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float


class Edge(NamedTuple):
    """An arrow of the shortest ways. ``ways``: all that ``who`` may do to ``to`` of this kind, over this broker."""

    number: int
    who: str
    through: str | None
    to: str
    changes: bool
    ways: tuple[Way, ...]


@dataclass
class Lane:
    """One surface as far as it stands at one place. ``idle``: its devices that cannot be reached."""

    place: str
    surface: str
    cells: dict[int, list[str]] = field(default_factory=dict)
    idle: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return max((len(some) for some in self.cells.values()), default=0) or 1

    @property
    def height(self) -> float:
        return HEAD + self.rows * ROW + PAD if self.cells else HEAD + 4


class Layout(NamedTuple):
    """``gutter``: pixels between two columns of devices. ``omitted``: devices of lanes that are not drawn."""

    edges: tuple[Edge, ...]
    boxes: Mapping[str, Box]
    places: tuple[tuple[str, Box], ...]
    lanes: tuple[tuple[Lane, Box], ...]
    gutter: float
    omitted: int
    bottom: float


def edges(reach: Reach) -> tuple[Edge, ...]:
    """In the order in which devices are reached. To be touched and, later, to be changed are two arrows."""
    found: dict[tuple[str, str | None, str, bool], Edge] = {}
    for arrival in _arrivals(reach):
        best = min(arrival.ways, key=lambda way: not way.changes)
        same = tuple(w for w in arrival.ways if (w.through, w.changes) == (best.through, best.changes))
        key = best.who, best.through, best.to, best.changes
        if key not in found:
            found[key] = Edge(len(found) + 1, *key, same)
    return tuple(found.values())


def _arrivals(reach: Reach) -> Iterator[Arrival]:
    for device, arrival in reach.touched.items():
        yield arrival
        change = reach.changed.get(device)
        if change is not None and change.step > arrival.step:
            yield change


def lay_out(reach: Reach, plan: Plan, top: float) -> Layout:
    """``top``: where the lanes begin, in pixels."""
    arrows = edges(reach)
    columns = _columns(reach.start, arrows)
    lanes = _lanes(plan, columns)
    busy = [lane for lane in lanes if lane.cells]
    idle = [lane for lane in lanes if not lane.cells]
    shown = {id(lane) for lane in (*busy, *idle[:MOST_IDLE_LANES])}
    count = max(columns.values()) + 1
    step = (WIDTH - 2 * MARGIN - 2 * PAD - 2 * PAD) / (count + 0.9)
    width = min(BROAD, max(NARROW, step - 84))
    at = [MARGIN + 2 * PAD + column * step for column in range(count + 1)]
    boxes: dict[str, Box] = {}
    placed: list[tuple[Lane, Box]] = []
    places: list[tuple[str, Box]] = []
    y = top
    for place, some in _by_place(lane for lane in lanes if id(lane) in shown):
        began, y = y, y + HEAD
        for lane in some:
            placed.append((lane, Box(MARGIN + PAD, y, WIDTH - 2 * MARGIN - 2 * PAD, lane.height)))
            for column, names in lane.cells.items():
                for row, name in enumerate(names):
                    boxes[name] = Box(at[column], y + HEAD + row * ROW + (ROW - BOX_HEIGHT) / 2, width, BOX_HEIGHT)
            y += lane.height + PAD
        places.append((place, Box(MARGIN, began, WIDTH - 2 * MARGIN, y - began)))
        y += PAD
    omitted = sum(len(lane.idle) for lane in idle[MOST_IDLE_LANES:])
    return Layout(arrows, boxes, tuple(places), tuple(placed), step - width, omitted, y)


def _columns(start: str, arrows: Iterable[Edge]) -> dict[str, int]:
    """One further right for each arrow; what a broker passes on is one further than the broker."""
    found = {start: 0}
    for edge in arrows:
        at = found[edge.who]
        if edge.through is not None:
            at = max(at, found.setdefault(edge.through, at + 1))
        found.setdefault(edge.to, at + 1)
    return found


def _lanes(plan: Plan, columns: Mapping[str, int]) -> list[Lane]:
    """In the order of their names, so that the pictures of two versions can be laid side by side."""
    home: dict[str, str] = {}
    for surface in plan.surfaces:
        for member in surface.members:
            home.setdefault(member, surface.name)
    lanes: dict[tuple[str, str], Lane] = {}
    for device in plan.devices.values():
        key = device.place or "", home.get(device.id, NO_SURFACE)
        lane = lanes.setdefault(key, Lane(*key))
        if device.id in columns:
            lane.cells.setdefault(columns[device.id], []).append(device.id)
        else:
            lane.idle.append(device.id)
    return [lanes[key] for key in sorted(lanes)]


def _by_place(lanes: Iterable[Lane]) -> Iterator[tuple[str, list[Lane]]]:
    found: dict[str, list[Lane]] = {}
    for lane in lanes:
        found.setdefault(lane.place, []).append(lane)
    yield from found.items()
