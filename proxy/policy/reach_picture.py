"""The picture of `reach`: SVG 1.1, written by hand. Surfaces are lanes, grouped by place; arrows are the shortest ways.

Kinds are told apart by width and dashes as well as by colour, so that a black and white print says the same. Whatever
comes from the site's files is escaped and cut.
"""

from __future__ import annotations

import textwrap
from html import escape
from typing import TYPE_CHECKING

from proxy.policy.reach_layout import MARGIN, PAD, ROW, WIDTH, Box, lay_out
from proxy.policy.reach_report import CHANGE, TOUCH, because, grouped, summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.policy.plan import Plan
    from proxy.policy.reach import Reach
    from proxy.policy.reach_layout import Edge, Lane, Layout

LINE = 17
STRAIGHT = 44
"""Pixels in front of a device, for number and verb."""
BESIDE = 150
"""Characters that fit on a line."""
STYLE = """
text { font: 12px "DejaVu Sans", Verdana, sans-serif; fill: #1a1a1a }
.title { font-size: 18px; font-weight: bold }
.small { font-size: 11px; fill: #444 }
.place { fill: #f4f4f1; stroke: #8a8a80 }
.surface { fill: #ffffff; stroke: #8a8a80; stroke-dasharray: 2 3 }
.device { fill: #ffffff; stroke: #1f4e8c; stroke-width: 1.3 }
.changed { fill: #fdeeee; stroke: #a3001b; stroke-width: 3.2 }
.start { fill: #1a1a1a; stroke: #1a1a1a }
.start-name { fill: #ffffff; font-weight: bold }
.passes { fill: #ffffff; stroke: #444; stroke-dasharray: 5 3 }
.arrow { fill: none; stroke: #1f4e8c; stroke-width: 1.3; stroke-dasharray: 6 4 }
.change { fill: none; stroke: #a3001b; stroke-width: 3 }
.number { fill: #ffffff; stroke: #1f4e8c; stroke-width: 1.3 }
.number-change { fill: #a3001b; stroke: #a3001b }
.verb { font-size: 11px; paint-order: stroke; stroke: #ffffff; stroke-width: 3px }
.digits { font-size: 11px; text-anchor: middle }
.digits-change { fill: #ffffff; font-weight: bold }
"""
HEADS = """<defs>
<marker id="touch" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="11" markerHeight="11" \
markerUnits="userSpaceOnUse" orient="auto"><path d="M1 1 L9 5 L1 9" fill="none" stroke="#1f4e8c" stroke-width="1.6"/>\
</marker>
<marker id="change" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="15" markerHeight="15" \
markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="#a3001b"/></marker>
</defs>"""


def as_svg(reach: Reach, plan: Plan, assumed: Sequence[str]) -> str:
    """``assumed``: what was taken for granted, a line each. 1200 pixels wide, as high as it has to be."""
    notes = [line for text in assumed for line in _wrapped(text)]
    top = 64 + LINE * len(notes) + 34
    layout = lay_out(reach, plan, top)
    body = [*_places(layout), *_arrows(layout), *_devices(reach, layout)]
    legend, bottom = _legend(layout)
    head = f'width="{WIDTH}" height="{bottom:.0f}" viewBox="0 0 {WIDTH} {bottom:.0f}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {head} role="img">',
            f"<title>{_text(summary(reach))}</title>",
            f"<style>{STYLE}</style>",
            HEADS,
            f'<rect width="{WIDTH}" height="{bottom:.0f}" fill="#ffffff"/>',
            _words(MARGIN, 34, summary(reach), "title"),
            *(_words(MARGIN, 58 + LINE * at, line, "small") for at, line in enumerate(notes)),
            *_key(60 + LINE * len(notes)),
            *body,
            *legend,
            "</svg>",
        )
    )


def _key(y: float) -> Iterator[str]:
    """How to read it."""
    middle = y + 8
    yield f'<path class="change" marker-end="url(#change)" d="M{MARGIN} {middle} h46"/>'
    yield _words(MARGIN + 56, y + 12, "may change it: write, program, command")
    yield f'<path class="arrow" marker-end="url(#touch)" d="M{MARGIN + 330} {middle} h46"/>'
    yield _words(MARGIN + 386, y + 12, "may touch it: read, or have a message passed on to it")
    yield _words(MARGIN + 740, y + 12, "Numbers: see below. Each column is one arrow further.", "small")


def _places(layout: Layout) -> Iterator[str]:
    for place, box in layout.places:
        yield _rect(box, "place", 8)
        yield _words(box.x + PAD, box.y + 16, place or "(no place)", most=150, bold=True)
    for lane, box in layout.lanes:
        yield _rect(box, "surface", 6)
        yield _words(box.x + PAD, box.y + 16, lane.surface if lane.surface else "", "small", most=150)
        yield from _idle(lane, box)


def _idle(lane: Lane, box: Box) -> Iterator[str]:
    if lane.idle:
        names = ", ".join(lane.idle)
        text = f"cannot be reached ({len(lane.idle)}): {names}"
        yield _words(box.x + box.width - PAD, box.y + 16, text, "small", most=110, end=True)


def _devices(reach: Reach, layout: Layout) -> Iterator[str]:
    for name, box in layout.boxes.items():
        style, said = _state(reach, name)
        yield _rect(box, style, 5)
        white = "start-name" if name == reach.start else ""
        middle = box.x + box.width / 2
        most = int(box.width / 7.2)
        yield _words(middle, box.y + 19, name, white, most=most, middle=True, whole=name)
        yield _words(middle, box.y + 35, said, white or "small", middle=True)


def _state(reach: Reach, name: str) -> tuple[str, str]:
    if name == reach.start:
        return "start", "taken over"
    if name in reach.changed:
        return "changed", f"{CHANGE}, step {reach.changed[name].step}"
    if name in reach.touched:
        return "device", f"{TOUCH}, step {reach.touched[name].step}"
    return "passes", "passes it on"


def _arrows(layout: Layout) -> Iterator[str]:
    """All lines, then all numbers, so that none is crossed out."""
    direct = {(edge.who, edge.to) for edge in layout.edges if edge.through is None}
    arrivals: dict[str, int] = {}
    numbers: list[str] = []
    for edge in layout.edges:
        pairs = [(edge.who, edge.to)] if edge.through is None else [(edge.who, edge.through), (edge.through, edge.to)]
        if edge.through is not None and pairs[0] in direct:
            del pairs[0]
        direct.update(pairs)
        for who, to in pairs:
            one, other = layout.boxes[who], layout.boxes[to]
            back = other.x <= one.x + one.width
            before = arrivals.get(to, 0)
            line, at = _back(one, other, before) if back else _curve(one, other, before, layout.gutter)
            arrivals[to] = before + 1
            style, head = ("change", "change") if edge.changes else ("arrow", "touch")
            yield f'<path class="{style}" marker-end="url(#{head})" d="{line}"/>'
            beside = (at[0] + 14, at[1] + 4) if back else (at[0] - 2, at[1] - 13)
            numbers += [_words(*beside, _verb(edge), "verb", middle=not back), *_number(edge, *at)]
    yield from numbers


def _verb(edge: Edge) -> str:
    return edge.ways[0].what.partition(" ")[0]


def _curve(one: Box, other: Box, before: int, gutter: float) -> tuple[str, tuple[float, float]]:
    """From the right edge of one to the left edge of the other, with the place of its number; what arrives at one
    device is spread. ``before``: how many arrows arrive there already. Past other columns it runs between the rows, and
    turns in the gutter in front of where it goes, so that it seems to come from nobody else."""
    x1, y1 = one.x + one.width, one.y + one.height / 2
    x2, y2 = other.x, other.y + other.height / 2 + (0, -14, 14)[before % 3]
    line = f"M{x1:.0f} {y1:.0f}"
    turn = x2 - gutter
    if turn > x1 + 1:
        y1 += ROW / 2
        line += f" C{x1 + 14:.0f} {y1 - ROW / 2:.0f} {x1 + 8:.0f} {y1:.0f} {x1 + 24:.0f} {y1:.0f} H{turn:.0f}"
    end = x2 - STRAIGHT
    bend = max(12.0, (end - turn) * 0.6)
    line += f" C{turn + bend:.0f} {y1:.0f} {end - bend:.0f} {y2:.0f} {end:.0f} {y2:.0f} H{x2:.0f}"
    return line, (x2 - 28, y2)


def _back(one: Box, other: Box, before: int) -> tuple[str, tuple[float, float]]:
    """To a column further left, or in the same one: from above or below."""
    x1, x2 = one.x + one.width / 2, other.x + other.width / 2 + (0, -14, 14)[before % 3]
    y1, y2 = (one.y, other.y + other.height) if one.y > other.y else (one.y + one.height, other.y)
    turn = (y1 + y2) / 2
    line = f"M{x1:.0f} {y1:.0f} C{x1:.0f} {turn:.0f} {x2:.0f} {turn:.0f} {x2:.0f} {y2:.0f}"
    return line, (x2, y2 + (26 if y1 > y2 else -26))


def _number(edge: Edge, x: float, y: float) -> Iterator[str]:
    more = "-change" if edge.changes else ""
    yield f'<circle class="number{more}" cx="{x:.0f}" cy="{y:.0f}" r="9.5"/>'
    yield f'<text class="digits digits{more}" x="{x:.0f}" y="{y + 4:.0f}">{edge.number}</text>'


def _legend(layout: Layout) -> tuple[list[str], float]:
    """What each number stands for, and where the picture ends."""
    y = layout.bottom + 8
    lines: list[str] = []
    if layout.omitted:
        text = f"and {layout.omitted} devices of other surfaces, none of which can be reached"
        lines.append(_words(MARGIN, y + 10, text, "small"))
        y += LINE + 4
    for edge in layout.edges:
        lines += _number(edge, MARGIN + 10, y + 6)
        for style, line in _told(edge):
            lines.append(_words(MARGIN + 28, y + 10, line, style))
            y += LINE
        y += 4
    return lines, y + MARGIN


def _told(edge: Edge) -> Iterator[tuple[str, str]]:
    """(style, line) of one number."""
    through = f" -> {edge.through}" if edge.through else ""
    head = f"{edge.who}{through} -> {edge.to} ({CHANGE if edge.changes else TOUCH})"
    for way, whats in grouped(edge.ways):
        yield from (("", line) for line in _wrapped(f"{head}: {way.protocol} {'; '.join(whats)}"))
        yield from (("small", line) for line in _wrapped(because(way)))


def _rect(box: Box, style: str, round: int) -> str:
    place = f'x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}"'
    return f'<rect class="{style}" {place} rx="{round}"/>'


def _words(
    x: float,
    y: float,
    text: str,
    style: str = "",
    *,
    most: int = BESIDE,
    middle: bool = False,
    end: bool = False,
    bold: bool = False,
    whole: str = "",
) -> str:
    anchor = ' text-anchor="middle"' if middle else ' text-anchor="end"' if end else ""
    weight = ' font-weight="bold"' if bold else ""
    shown = text if len(text) <= most else f"{text[: most - 1]}\u2026"
    tip = f"<title>{_text(whole)}</title>" if whole and whole != shown else ""
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:.0f}" y="{y:.0f}"{anchor}{weight}>{tip}{_text(shown)}</text>'


def _text(text: str) -> str:
    """Escaped; a sign stands for each character that no document may hold or that nobody could see."""
    return escape("".join(char if char.isprintable() else "\ufffd" for char in text))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, BESIDE, break_long_words=True) or [""]
