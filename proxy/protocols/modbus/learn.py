"""Rules from what was asked: the fewest spans that hold exactly the addresses asked for.

Spans that touch or overlap become one. A gap is never filled: what nobody asked for, nobody needs. Where that makes
many lines, a note says what one wide line would add. Unit numbers are always written out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from proxy.protocols.base import Proposal
from proxy.protocols.modbus.actions import OWN_FUNCTION, PRINTED_FROM, Call, Span
from proxy.protocols.modbus.rules import LEVELS

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.core.names import Names
    from proxy.protocols.modbus.actions import ModbusAction

MANY = 8
"""Spans of one table from which a note says how many addresses lie between them."""
_VERBS = (
    "read",
    "read-fifo",
    "read-file",
    "identify",
    "diagnose",
    "write",
    "write-file",
    "control",
    "program",
    "vendor",
)
_TABLES = tuple(PRINTED_FROM)
_LEVEL_NAMES = {number: name for name, number in LEVELS.items()}

Lines = dict[str, object]


def learn(asked: Sequence[Action], names: Names) -> Iterator[Proposal]:
    """See `proxy.protocols.base.ProtocolSpec.learn`. One proposal for all units that were asked the same."""
    known = [action for action in asked if isinstance(action, Span | Call)]
    for acts in (False, True):
        plain = [a for a in known if a.changes is acts and not (isinstance(a, Span) and a.mask)]
        yield from _by_unit(plain, acts)
    masked = [a for a in known if isinstance(a, Span) and a.mask]
    yield from _by_unit(masked, True)


def _by_unit(asked: Sequence[ModbusAction], acts: bool) -> Iterator[Proposal]:
    found: list[tuple[list[int], Lines, tuple[str, ...]]] = []
    for unit in sorted({action.unit for action in asked}):
        lines, notes = _lines([action for action in asked if action.unit == unit])
        for units, others, _ in found:
            if others == lines:
                units.append(unit)
                break
        else:
            found.append(([unit], lines, notes))
    for units, lines, notes in found:
        yield Proposal({"units": units, **lines}, acts, notes)


def _lines(asked: Sequence[ModbusAction]) -> tuple[Lines, tuple[str, ...]]:
    lines: Lines = {}
    notes: list[str] = []
    for verb in _VERBS:
        some = [action for action in asked if action.verb == verb]
        if not some:
            continue
        spans = [action for action in some if isinstance(action, Span)]
        if verb == "write":
            lines[verb], more = _windows(spans)
        elif spans:
            lines[verb], more = _spans(spans)
        else:
            lines[verb], more = _calls(verb, {action.number for action in some if isinstance(action, Call)})
        notes += more
    return lines, tuple(notes)


def _spans(asked: Iterable[Span]) -> tuple[list[str], list[str]]:
    texts: list[str] = []
    notes: list[str] = []
    spaces: dict[str, list[tuple[int, int]]] = {}
    for one in asked:
        spaces.setdefault(one.space, []).append((one.first, one.first + one.count - 1))
    for space in sorted(spaces, key=_place):
        pieces = union(spaces[space])
        texts += [_text(space, first, last) for first, last in pieces]
        if len(pieces) >= MANY:
            first, last = pieces[0][0], pieces[-1][1]
            between = last - first + 1 - sum(high - low + 1 for low, high in pieces)
            wide = _text(space, first, last)
            notes.append(f"{wide} would be one line, and {between} addresses that nobody asked for")
    return texts, notes


def union(pieces: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """(first, last) of the fewest spans with exactly the same addresses, rising."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(pieces):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def _windows(asked: Sequence[Span]) -> tuple[dict[str, dict[str, int]], list[str]]:
    """What was written, address by address; neighbours with one window become a line."""
    windows: dict[tuple[str, int], dict[str, int]] = {}
    for one in asked:
        for at in range(one.count):
            key = one.space, one.first + at
            if one.mask is not None:
                bits = windows.get(key, {}).get("bits", 0)
                windows[key] = {"bits": bits | (~one.mask[0] & 0xFFFF)}
            else:
                before = windows.get(key, {"min": 0xFFFF, "max": 0})
                windows[key] = {"min": min(before["min"], one.values[at]), "max": max(before["max"], one.values[at])}
    lines: list[tuple[str, int, int, dict[str, int]]] = []
    for space, address in sorted(windows, key=lambda key: (_place(key[0]), key[1])):
        window = windows[space, address]
        if space == "coil" and window == {"min": 0, "max": 1}:
            window = {}
        if lines and lines[-1][0] == space and lines[-1][2] == address - 1 and lines[-1][3] == window:
            lines[-1] = space, lines[-1][1], address, window
        else:
            lines.append((space, address, address, window))
    return {_text(space, first, last): window for space, first, last, window in lines}, _of_values(asked)


def _of_values(asked: Sequence[Span]) -> list[str]:
    if any(one.mask is not None for one in asked):
        return [
            "bits are those of the first request of each register: requests that set others look alike in the record"
        ]
    if any(one.count > 1 for one in asked):
        return ["of requests that write several registers only the smallest and the largest are on record, as u16"]
    return []


def _calls(verb: str, numbers: set[int]) -> tuple[object, list[str]]:
    if verb == "identify":
        level = _LEVEL_NAMES[max(numbers)]
        lower = [
            name for number, name in sorted(_LEVEL_NAMES.items()) if number < max(numbers) and number not in numbers
        ]
        return level, [f"identify {level} includes {' and '.join(lower)}, which nobody asked for"] if lower else []
    if verb == "diagnose":
        return [n if n < OWN_FUNCTION else f"function {n - OWN_FUNCTION}" for n in sorted(numbers)], []
    return sorted(numbers), []


def _place(space: str) -> tuple[int, str]:
    """Tables in the order of their kinds, then files by their numbers."""
    return (_TABLES.index(space), "") if space in _TABLES else (len(_TABLES), f"{space.removeprefix('file '):0>5}")


def _text(space: str, first: int, last: int) -> str:
    span = f"{first}" if first == last else f"{first}-{last}"
    return f"{space.removeprefix('file ')} {span}"
