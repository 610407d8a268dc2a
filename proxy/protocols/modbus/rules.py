"""The Modbus vocabulary of policy files: parsing, with every mistake reported where it stands.

    modbus:
      units: [1]                              # default: every unit except broadcast (0)
      read: [holding 0-99, input 0-15]        # or: all
      write: { holding 40: { min: 0, max: 1500, step: 50, ramp: 200 }, coil 0-7: {} }      # or a list, any value
      identify: regular                       # basic | regular | extended
      diagnose: [0, 11, function 7]
      control: [10]
      read-file: [4 0-9]
      program: [90]                           # function codes, one by one

`never` takes the same and `function: [90, 125]`, and there broadcast is always meant too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from proxy.protocols.modbus import pdu as p
from proxy.protocols.modbus.actions import OWN_FUNCTION, PRINTED_FROM
from proxy.protocols.modbus.targets import ANY_UNIT, BROADCAST, Calls, Functions, Spans, Window
from proxy.protocols.modbus.windows import nearest, parse_window, window_fault

if TYPE_CHECKING:
    from proxy.core.action import Target
    from proxy.protocols.base import Path, Report

Units = frozenset[int] | None

LEVELS = {"basic": 1, "regular": 2, "extended": 3}
OWN_DIAGNOSTICS = {f"function {code}": OWN_FUNCTION + code for code in (7, 11, 12)}
WRITABLE = ("coil", "holding")
_SPAN = re.compile(r"(?P<space>[a-z]+) +(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?")
_FILE = re.compile(r"(?P<file>[0-9]{1,5}) +(?P<first>[0-9]{1,4})(?:-(?P<last>[0-9]{1,4}))?")
_FIFO_SPACES = ("holding",)


def parse_rule(value: object, report: Report) -> tuple[Target, ...]:
    return _Section(report, never=False).parse(value)


def parse_never(value: object, report: Report) -> tuple[Target, ...]:
    return _Section(report, never=True).parse(value)


class _Section:
    """One `modbus:` section. Each key has a method; unknown keys get the nearest one."""

    def __init__(self, report: Report, *, never: bool) -> None:
        self._report = report
        self._never = never
        self._units: Units = ANY_UNIT if never else None
        self._keys = _NEVER_KEYS if never else _KEYS

    def parse(self, value: object) -> tuple[Target, ...]:
        if not isinstance(value, Mapping) or not value:
            self._report((), "is not a section with verbs", "write for example modbus: { read: [holding 0-99] }")
            return ()
        if "units" in value:
            self._units = self._parse_units(value["units"])
        targets: list[Target] = []
        for key, part in value.items():
            if key == "units":
                continue
            handler = self._keys.get(key)
            if handler is None:
                self._report((key,), f"unknown verb {key!r}", nearest(key, [*self._keys, "units"]))
            else:
                targets += handler(self, part, (key,))
        if set(value) == {"units"}:
            self._report((), "names units but no verb", f"add one of {', '.join(self._keys)}")
        return tuple(targets)

    def _parse_units(self, value: object) -> Units:
        units = [number for _, number in self._numbers(value, ("units",), "unit", lambda n: n <= 247 or n == 255)]
        # A broadcast reaches the units that a never rule protects.
        return frozenset((*units, BROADCAST)) if self._never else frozenset(units)

    def _spans(self, verb: str, value: object, path: Path, spaces: tuple[str, ...]) -> Iterator[Target]:
        if value == "all":
            yield from (Spans(verb, space, 0, 65535, self._units) for space in spaces)
        elif isinstance(value, Mapping):
            yield from self._windows(verb, value, path, spaces)
        else:
            for place, text in self._texts(value, path, "holding 0-99"):
                yield from self._span(verb, text, place, spaces, None)

    def _windows(
        self, verb: str, value: Mapping[object, object], path: Path, spaces: tuple[str, ...]
    ) -> Iterator[Target]:
        if not value:
            self._report(path, "is empty", "name at least one span, for example holding 40: { min: 0, max: 1500 }")
        for key, raw in value.items():
            place = (*path, str(key))
            if verb != "write":
                self._report(place, f"{verb} takes no value windows", f"write {verb} as a list of spans")
                continue
            window = parse_window(raw, place, self._report)
            if self._never and window:
                # Taken for what it says it would forbid less than it does: a masked write has no value to compare.
                mend = "write {}, and narrow the rules that allow it by a window"
                self._report(place, "a never forbids the register, whatever is written to it", mend)
            elif not isinstance(window, bool):
                yield from self._span(verb, str(key), place, spaces, window)

    def _span(
        self, verb: str, text: str, place: Path, spaces: tuple[str, ...], window: Window | None
    ) -> Iterator[Target]:
        match = _SPAN.fullmatch(text)
        if match is None:
            self._report(place, f"{text!r} is not a span", "write a table and PDU addresses, for example holding 0-99")
            return
        space, first, last = match["space"], int(match["first"]), int(match["last"] or match["first"])
        if space not in spaces:
            self._report(place, f"{verb} knows no table {space!r}", nearest(space, list(spaces)))
        elif not first <= last <= 65535:
            self._report(place, f"addresses {first}-{last} do not rise within 0..65535", _printed_hint(space, first))
        elif window is not None and (fault := window_fault(space, first, last, window)):
            self._report(place, *fault)
        else:
            yield Spans(verb, space, first, last, self._units, window)

    def _files(self, verb: str, value: object, path: Path) -> Iterator[Target]:
        for place, text in self._texts(value, path, "4 0-9"):
            match = _FILE.fullmatch(text)
            first, last = (int(match["first"]), int(match["last"] or match["first"])) if match else (1, 0)
            if match is None or not first <= last <= 9999 or not 1 <= int(match["file"]) <= 65535:
                self._report(place, f"{text!r} is not a file and its records", "write for example 4 0-9 (file 4)")
            else:
                yield Spans(verb, f"file {int(match['file'])}", first, last, self._units)

    def _identify(self, value: object, path: Path) -> Iterator[Target]:
        if not isinstance(value, str) or value not in LEVELS:
            self._report(path, f"unknown level {value!r}", f"one of {', '.join(LEVELS)}")
        else:
            # A higher level shows the objects of those below it as well, so what is forbidden is also forbidden there.
            highest = max(LEVELS.values()) if self._never else LEVELS[value]
            yield Calls("identify", frozenset(range(1, highest + 1)), self._units)

    def _diagnose(self, value: object, path: Path) -> Iterator[Target]:
        numbers: set[int] = set()
        for place, item in self._items(value, path):
            if isinstance(item, str) and item in OWN_DIAGNOSTICS:
                numbers.add(OWN_DIAGNOSTICS[item])
            elif isinstance(item, int) and not isinstance(item, bool) and item in p.DIAGNOSE:
                numbers.add(item)
            else:
                known = ", ".join([*map(str, sorted(p.DIAGNOSE)), *OWN_DIAGNOSTICS])
                self._report(place, f"{item!r} is not a diagnostic", f"one of {known}")
        if numbers:
            yield Calls("diagnose", frozenset(numbers), self._units)

    def _calls(self, verb: str, value: object, path: Path, known: frozenset[int]) -> Iterator[Target]:
        if numbers := {n for _, n in self._numbers(value, path, verb, known.__contains__, known)}:
            yield Calls(verb, frozenset(numbers), self._units)

    def _functions(self, value: object, path: Path) -> Iterator[Target]:
        if numbers := {n for _, n in self._numbers(value, path, "function", lambda n: 1 <= n <= 127)}:
            yield Functions(frozenset(numbers), self._units)

    def _numbers(
        self,
        value: object,
        path: Path,
        noun: str,
        valid: Callable[[int], bool],
        known: frozenset[int] | None = None,
    ) -> Iterator[tuple[Path, int]]:
        for place, item in self._items(value, path):
            if isinstance(item, int) and not isinstance(item, bool) and item >= 0 and valid(item):
                yield place, item
            else:
                mend = f"one of {', '.join(map(str, sorted(known)))}" if known else "give numbers one by one"
                self._report(place, f"{item!r} is not a {noun} number", mend)

    def _texts(self, value: object, path: Path, example: str) -> Iterator[tuple[Path, str]]:
        for place, item in self._items(value, path):
            if isinstance(item, str):
                yield place, item
            else:
                self._report(place, f"{item!r} is not text", f"write for example [{example}]")

    def _items(self, value: object, path: Path) -> Iterator[tuple[Path, object]]:
        if isinstance(value, list):
            if not value:
                self._report(path, "is empty", "name at least one, or leave the line out")
            yield from (((*path, at), item) for at, item in enumerate(value))
        else:
            yield path, value


_Handler = Callable[[_Section, object, "Path"], "Iterator[Target]"]
# Of the class and not of each section: those would refer to themselves, and stay until the collector finds them.
_KEYS: Mapping[str, _Handler] = {
    "read": lambda section, value, path: section._spans("read", value, path, tuple(PRINTED_FROM)),
    "write": lambda section, value, path: section._spans("write", value, path, WRITABLE),
    "read-fifo": lambda section, value, path: section._spans("read-fifo", value, path, _FIFO_SPACES),
    "read-file": lambda section, value, path: section._files("read-file", value, path),
    "write-file": lambda section, value, path: section._files("write-file", value, path),
    "identify": _Section._identify,
    "diagnose": _Section._diagnose,
    "control": lambda section, value, path: section._calls("control", value, path, p.CONTROL),
    "program": lambda section, value, path: section._calls("program", value, path, p.PROGRAM),
    "vendor": lambda section, value, path: section._calls("vendor", value, path, p.VENDOR),
}
_NEVER_KEYS: Mapping[str, _Handler] = {**_KEYS, "function": _Section._functions}


def _printed_hint(space: str, first: int) -> str:
    """Somebody may have written the vendor's number (400001...) instead of the PDU address."""
    digits = {"discrete": 100001, "input": 300001, "holding": 400001}.get(space)
    if digits is not None and first >= digits:
        return f"PDU addresses start at 0: {first} is {space} {first - digits}"
    return "PDU addresses start at 0: 40001 is holding 0"
