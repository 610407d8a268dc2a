"""By which function codes something may be asked, and of which units: where a rule and a `never` really meet.

`never: function: [22, 23]` beside a rule that writes registers is no contradiction: FC 6 and FC 16 still do it. It is
one where every function that could carry some act of the rule is forbidden.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.protocols.modbus.actions import OWN_FUNCTION

if TYPE_CHECKING:
    from collections.abc import Iterable

Units = frozenset[int] | None

BROADCAST = 0
ANSWERING = frozenset((*range(1, 248), 255))
"""248..254 are reserved, and nothing is sent to them whatever a rule says (`outright`)."""
BROADCASTS = frozenset({5, 6, 15, 16})
ONE, MANY, MASK, BOTH = 6, 16, 22, 23
_SPANS: dict[tuple[str, str], frozenset[int]] = {
    ("read", "coil"): frozenset({1}),
    ("read", "discrete"): frozenset({2}),
    ("read", "holding"): frozenset({3, BOTH}),
    ("read", "input"): frozenset({4}),
    ("write", "coil"): frozenset({5, 15}),
    ("write", "holding"): frozenset({ONE, MANY, MASK, BOTH}),
    ("read-fifo", "holding"): frozenset({24}),
}
_FILES = {"read-file": frozenset({20}), "write-file": frozenset({21})}


def of_span(verb: str, space: str, *, wide: bool = False, masked: bool = False) -> frozenset[int]:
    """``wide``: values of two registers, which no write of one can carry. ``masked``: only some bits may change."""
    if verb in _FILES:
        return _FILES[verb]
    functions = _SPANS.get((verb, space), frozenset())
    if masked:
        return functions & {MASK}
    return functions - {ONE, MASK} if wide else functions


def of_call(verb: str, number: int) -> frozenset[int]:
    if verb in ("program", "vendor"):
        return frozenset({number})
    if verb == "identify":
        return frozenset({17, 43}) if number == 3 else frozenset({43})
    return frozenset({number - OWN_FUNCTION if number >= OWN_FUNCTION else 8})


def units_of(units: Units, verb: str, functions: frozenset[int] = BROADCASTS) -> frozenset[int]:
    """The units that can really be asked: a broadcast is a plain write, and a rule names it."""
    if units is None:
        return ANSWERING
    broadcast = {BROADCAST} if BROADCAST in units and verb == "write" and functions & BROADCASTS else set()
    return (units & ANSWERING) | broadcast


def shut(functions: frozenset[int], units: Units, verb: str, numbers: Iterable[int], other: Units) -> bool:
    """At some unit every function that carries the act is one of the forbidden ``numbers``."""
    forbidden = frozenset(numbers)
    asked = units_of(units, verb, functions) & (ANSWERING | {BROADCAST} if other is None else other)
    if functions <= forbidden and asked - {BROADCAST}:
        return True
    return BROADCAST in asked and functions & BROADCASTS <= forbidden
