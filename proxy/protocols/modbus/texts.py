"""Questions in one line, for `tests:` and `explain`: ``read holding 5-9``, ``write holding 40 = 77 unit 2``; and the
same line made of what an inspector asked (`text_of`), whole, while `describe` is short.

What `describe` prints is read as well: the vendors' number in brackets, ``(unit 2)``, a masked write, several acts of
one request with ``;`` between them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from proxy.protocols.modbus import pdu as p
from proxy.protocols.modbus.actions import OWN_FUNCTION, PRINTED_FROM, Call, ModbusAction, Span, printed
from proxy.protocols.modbus.rules import LEVELS, OWN_DIAGNOSTICS, WRITABLE

_UNIT = re.compile(r"(?P<rest>.*?) +(?:unit +(?P<unit>[0-9]{1,3})|\(unit +(?P<told>[0-9]{1,3})\))")
_CARRIED = re.compile(r"(?P<rest>.*?) +function +(?P<function>[0-9]{1,3})")
_ADDRESSES = (
    r"(?P<space>[a-z]+|file [0-9]{1,5}) +(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?(?: +\[(?P<printed>[0-9-]+)\])?"
)
_SPAN = re.compile(_ADDRESSES + r"(?: *= *(?P<values>.+))?")
_MASK = re.compile(_ADDRESSES + r" +and +(?P<and>\w+) +or +(?P<or>\w+)")
EXAMPLES = (
    "read holding 5-9; write holding 40 = 77; write coil 3 = 1; mask holding 5 and 0xFF00 or 0x0012; identify basic"
)
_SPANS = ("read", "write", "read-fifo", "read-file", "write-file")
_CALLS = ("identify", "diagnose", "control", "program", "vendor")
_CARRIERS = {("read", "holding"): (3, 23), ("write", "holding"): (6, 16, 23), ("write", "coil"): (5, 15)}
"""Functions that can bring the same act; ``function 23`` says which, since a `never` may name it."""
_OF_ONE = (5, 6)
_LEVEL_NAMES = {level: name for name, level in LEVELS.items()}


def parse_actions(text: str) -> tuple[ModbusAction, ...]:
    """Raises ValueError with what is wrong and an example. The unit is 1 unless the text ends in ``unit N``."""
    return tuple(_one(part) for part in text.split(";"))


def text_of(asked: Sequence[ModbusAction]) -> str:
    """The line that `parse_actions` reads as exactly these."""
    return "; ".join(_told(action) for action in asked)


def _one(text: str) -> ModbusAction:
    unit = 1
    if match := _UNIT.fullmatch(text.strip()):
        text, unit = match["rest"], int(match["unit"] or match["told"])
    if unit > 255:
        raise ValueError(f"unit {unit} is above 255")
    verb, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if verb == "mask" or (verb == "write" and _MASK.fullmatch(rest)):
        return _mask(rest, unit)
    if verb in _SPANS:
        return _span(verb, rest, unit)
    if verb in _CALLS:
        return _call(verb, rest, unit)
    raise ValueError(f"unknown verb {verb!r}; for example: {EXAMPLES}")


def _told(action: ModbusAction) -> str:
    unit = "" if action.unit == 1 else f" unit {action.unit}"
    if isinstance(action, Call):
        return _told_call(action) + unit
    space = action.space.removeprefix("file ")
    last = action.first + action.count - 1
    where = f"{space} {action.first}" if action.count == 1 else f"{space} {action.first}-{last}"
    if action.mask is not None:
        return f"mask {where} and 0x{action.mask[0]:04X} or 0x{action.mask[1]:04X}{unit}"
    values = action.values[:1] if len(set(action.values)) == 1 else action.values
    what = f" = {','.join(map(str, values))}" if values else ""
    usual = _function(action.verb, action.space, action.count)
    return f"{action.verb} {where}{what}{'' if action.function == usual else f' function {action.function}'}{unit}"


def _told_call(action: Call) -> str:
    if action.verb == "identify":
        return f"identify {_LEVEL_NAMES[action.number]}{' function 17' if action.function == 17 else ''}"
    return f"{action.verb} {'' if action.number < OWN_FUNCTION else 'function '}{action.number % OWN_FUNCTION}"


def _span(verb: str, rest: str, unit: int) -> Span:
    carried = _CARRIED.fullmatch(rest)
    rest = carried["rest"] if carried else rest
    match = _SPAN.fullmatch(f"file {rest.removeprefix('file ')}" if verb.endswith("-file") else rest)
    if match is None or match["space"] == "file":
        raise ValueError(f"{rest!r} is not a span; for example: {EXAMPLES}")
    space, first, count = _addresses(match)
    known = {"read": tuple(PRINTED_FROM), "write": WRITABLE, "read-fifo": ("holding",)}.get(verb)
    if known is not None and space not in known:
        raise ValueError(f"{verb} knows no table {space!r}; one of {', '.join(known)}")
    values = _values(match["values"], space, count) if verb.startswith("write") else ()
    if verb.startswith("read") and match["values"]:
        raise ValueError("a read has no values")
    function = _function(verb, space, count)
    if carried:
        function = _carrier(int(carried["function"]), verb, space, count, function)
    return Span(verb, unit, space, first, count, function, values)


def _addresses(match: re.Match[str]) -> tuple[str, int, int]:
    """Space, first address, how many."""
    space, first, last = match["space"], int(match["first"]), int(match["last"] or match["first"])
    if not first <= last <= 65535:
        raise ValueError(f"addresses {first}-{last} do not rise within 0..65535")
    if last - first >= 2000:
        raise ValueError("a request touches at most 2000 addresses")
    told = match["printed"]
    if told and (space not in PRINTED_FROM or told != printed(space, first, last)):
        raise ValueError(f"[{told}] is not what vendors print for {space} {first}: take it out")
    return space, first, last - first + 1


def _carrier(function: int, verb: str, space: str, count: int, usual: int) -> int:
    known = _CARRIERS.get((verb, space), (usual,))
    if function not in known or (function in _OF_ONE and count > 1):
        raise ValueError(
            f"function {function} brings no {verb} of {count} {space}; one of {', '.join(map(str, known))}"
        )
    return function


def _function(verb: str, space: str, count: int) -> int:
    if verb == "read":
        return {table: code for code, table in p.READ_TABLES.items()}[space]
    if verb == "write":
        return {("coil", True): 5, ("coil", False): 15, ("holding", True): 6, ("holding", False): 16}[space, count == 1]
    return {"read-fifo": 24, "read-file": 20, "write-file": 21}[verb]


def _values(text: str | None, space: str, count: int) -> tuple[int, ...]:
    if text is None:
        raise ValueError("a write needs its values, for example: write holding 40 = 77")
    values = tuple(_number(part) for part in text.split(","))
    if len(values) == 1:
        values *= count
    if len(values) != count:
        raise ValueError(f"{len(values)} values for {count} addresses")
    top = 1 if space == "coil" else 0xFFFF
    if any(value > top for value in values):
        raise ValueError(f"a value of {space} is at most {top}")
    return values


def _mask(rest: str, unit: int) -> Span:
    match = _MASK.fullmatch(rest)
    if match is None or match["space"] != "holding" or match["last"]:
        raise ValueError("for example: mask holding 5 and 0xFF00 or 0x0012")
    _, address, _ = _addresses(match)
    masks = (_number(match["and"]), _number(match["or"]))
    if max(masks) > 0xFFFF:
        raise ValueError("masks have 16 bits")
    return Span("write", unit, "holding", address, 1, 22, (), masks)


def _call(verb: str, rest: str, unit: int) -> Call:
    if verb == "identify":
        level, carried = rest.removesuffix(" function 17").rstrip(), rest.endswith(" function 17")
        if level not in LEVELS or (carried and level != "extended"):
            raise ValueError(f"unknown level {rest!r}; one of {', '.join(LEVELS)}")
        return Call(verb, unit, LEVELS[level], 17 if carried else 43)
    if verb == "diagnose" and rest in OWN_DIAGNOSTICS:
        number = OWN_DIAGNOSTICS[rest]
        return Call(verb, unit, number, number - OWN_FUNCTION)
    sub = verb in ("diagnose", "control")
    number = _number(rest.removeprefix("sub-function " if sub else "function "))
    known = {"diagnose": p.DIAGNOSE, "control": p.CONTROL, "program": p.PROGRAM, "vendor": p.VENDOR}[verb]
    if number not in known:
        raise ValueError(f"{verb} knows {', '.join(map(str, sorted(known)))}")
    return Call(verb, unit, number, 8 if sub else number)


def _number(text: str) -> int:
    """Decimal or 0x; no sign."""
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,6}", text):
        return int(text)
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,4}", text):
        return int(text, 16)
    raise ValueError(f"{text!r} is not a number")
