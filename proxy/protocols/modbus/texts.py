"""Questions in one line, for `tests:` and `explain`: ``read holding 5-9``, ``write holding 40 = 77 unit 2``."""

from __future__ import annotations

import re

from proxy.protocols.modbus import pdu as p
from proxy.protocols.modbus.actions import OWN_FUNCTION, PRINTED_FROM, Call, ModbusAction, Span
from proxy.protocols.modbus.rules import LEVELS, OWN_DIAGNOSTICS, WRITABLE

_UNIT = re.compile(r"(?P<rest>.*?) +unit +(?P<unit>[0-9]{1,3})")
_SPAN = re.compile(
    r"(?P<space>[a-z]+|file [0-9]{1,5}) +(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?(?: *= *(?P<values>.+))?"
)
_MASK = re.compile(r"holding +(?P<address>[0-9]{1,5}) +and +(?P<and>\w+) +or +(?P<or>\w+)")
EXAMPLES = (
    "read holding 5-9; write holding 40 = 77; write coil 3 = 1; mask holding 5 and 0xFF00 or 0x0012; identify basic"
)


def parse_actions(text: str) -> tuple[ModbusAction, ...]:
    """Raises ValueError with what is wrong and an example. The unit is 1 unless the text ends in ``unit N``."""
    unit = 1
    if match := _UNIT.fullmatch(text.strip()):
        text, unit = match["rest"], int(match["unit"])
    if unit > 255:
        raise ValueError(f"unit {unit} is above 255")
    verb, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if verb in ("read", "write", "read-fifo", "read-file", "write-file"):
        return (_span(verb, rest, unit),)
    if verb == "mask":
        return (_mask(rest, unit),)
    if verb in ("identify", "diagnose", "control", "program", "vendor"):
        return (_call(verb, rest, unit),)
    raise ValueError(f"unknown verb {verb!r}; for example: {EXAMPLES}")


def _span(verb: str, rest: str, unit: int) -> Span:
    of_file = verb.endswith("-file")
    match = _SPAN.fullmatch(f"file {rest}" if of_file else rest)
    if match is None or match["space"] == "file":
        raise ValueError(f"{rest!r} is not a span; for example: {EXAMPLES}")
    space, first, last = match["space"], int(match["first"]), int(match["last"] or match["first"])
    known = {"read": tuple(PRINTED_FROM), "write": WRITABLE, "read-fifo": ("holding",)}.get(verb)
    if known is not None and space not in known:
        raise ValueError(f"{verb} knows no table {space!r}; one of {', '.join(known)}")
    if not first <= last <= 65535:
        raise ValueError(f"addresses {first}-{last} do not rise within 0..65535")
    if last - first >= 2000:
        raise ValueError("a request touches at most 2000 addresses")
    values = _values(match["values"], space, last - first + 1) if verb.startswith("write") else ()
    if verb.startswith("read") and match["values"]:
        raise ValueError("a read has no values")
    function = _function(verb, space, last - first + 1)
    return Span(verb, unit, space, first, last - first + 1, function, values)


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
    if match is None:
        raise ValueError("for example: mask holding 5 and 0xFF00 or 0x0012")
    masks = (_number(match["and"]), _number(match["or"]))
    if max(masks) > 0xFFFF or int(match["address"]) > 0xFFFF:
        raise ValueError("masks and addresses have 16 bits")
    return Span("write", unit, "holding", int(match["address"]), 1, 22, (), masks)


def _call(verb: str, rest: str, unit: int) -> Call:
    if verb == "identify":
        if rest not in LEVELS:
            raise ValueError(f"unknown level {rest!r}; one of {', '.join(LEVELS)}")
        return Call(verb, unit, LEVELS[rest], 43)
    if verb == "diagnose" and rest in OWN_DIAGNOSTICS:
        number = OWN_DIAGNOSTICS[rest]
        return Call(verb, unit, number, number - OWN_FUNCTION)
    number = _number(rest)
    known = {"diagnose": p.DIAGNOSE, "control": p.CONTROL, "program": p.PROGRAM, "vendor": p.VENDOR}[verb]
    if number not in known:
        raise ValueError(f"{verb} knows {', '.join(map(str, sorted(known)))}")
    return Call(verb, unit, number, 8 if verb in ("diagnose", "control") else number)


def _number(text: str) -> int:
    """Decimal or 0x; no sign."""
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,6}", text):
        return int(text)
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,4}", text):
        return int(text, 16)
    raise ValueError(f"{text!r} is not a number")
