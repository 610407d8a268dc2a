"""Reads the text of a revocation list, strictly: the shape is fixed, and everything in it is text."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import yaml

try:
    from yaml import CSafeLoader as _Parser
except ImportError:  # a PyYAML without libyaml: slower, the same events
    from yaml import SafeLoader as _Parser  # type: ignore[assignment]

MAX_BYTES = 8 * 1024 * 1024
MAX_TEXT = 200

_SERIAL = re.compile(r"[0-9a-fA-F]{1,40}", re.ASCII)  # 20 octets, RFC 5280 4.1.2.2


class RevocationError(Exception):
    """The file is no revocation list; the text says where and why."""


class Revocation(NamedTuple):
    """One refused certificate. ``when`` is RFC 3339, or empty; the texts are for people."""

    serial: int
    name: str = ""
    when: str = ""
    reason: str = ""


def read_serial(text: str) -> int:
    """A serial number in hexadecimal, also as ``openssl x509 -serial`` and ``-text`` print it. Raises ValueError."""
    digits = text.strip().removeprefix("serial=").replace(":", "")
    if not _SERIAL.fullmatch(digits) or int(digits, 16) == 0:
        raise ValueError("a serial number is 1 to 40 hexadecimal digits and not zero")
    return int(digits, 16)


def parse(text: str, name: str) -> tuple[Revocation, ...]:
    """The entries, in the order of the file. Raises RevocationError."""
    if len(text) > MAX_BYTES:
        raise RevocationError(f"{name} is longer than {MAX_BYTES} bytes")
    parser = _Parser(text)
    try:
        return _Reader(parser.get_event, name).entries()
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        raise RevocationError(f"{name}:{line}: is not YAML: {fault.problem}") from fault
    except yaml.YAMLError as fault:
        raise RevocationError(f"{name}: is not YAML") from fault
    finally:
        parser.dispose()


class _Reader:
    """Walks the parser's events, so that an alias or a tag is met before it can mean anything (T44)."""

    def __init__(self, get: Callable[[], Any], name: str) -> None:
        self._get = get
        self._name = name

    def entries(self) -> tuple[Revocation, ...]:
        self._get()
        start = self._get()
        if not isinstance(start, yaml.DocumentStartEvent) or not start.explicit:
            raise self._fault(start, "the list opens with '---' and closes with '...', so that a cut shows")
        self._expect(yaml.MappingStartEvent, "'revoked:' and nothing else")
        if self._text("the key 'revoked'") != "revoked":
            raise RevocationError(f"{self._name}: the only key is 'revoked'")
        self._expect(yaml.SequenceStartEvent, "a list of { serial: ... }")
        found: dict[int, Revocation] = {}
        while not isinstance(event := self._get(), yaml.SequenceEndEvent):
            entry = self._entry(event)
            if entry.serial in found:
                raise self._fault(event, f"serial {entry.serial:x} stands here a second time")
            found[entry.serial] = entry
        self._expect(yaml.MappingEndEvent, "nothing after the list")
        end = self._expect(yaml.DocumentEndEvent, "the end of the file")
        if not end.explicit:
            raise self._fault(end, "the closing '...' is missing: the file was cut short")
        self._expect(yaml.StreamEndEvent, "nothing after the closing '...'")
        return tuple(found.values())

    def _entry(self, event: Any) -> Revocation:
        self._check(event, yaml.MappingStartEvent, 'an entry like { serial: "1f0a", name: ... }')
        fields: dict[str, str] = {}
        while not isinstance(key := self._get(), yaml.MappingEndEvent):
            self._check(key, yaml.ScalarEvent, "a key")
            if key.value not in Revocation._fields or key.value in fields:
                fault = "a second time" if key.value in fields else f"only {', '.join(Revocation._fields)}"
                raise self._fault(key, f"the key {key.value[:40]!r} may not stand here: {fault}")
            fields[key.value] = self._text(f"the text of {key.value}")
        try:
            return _checked(fields)
        except ValueError as fault:
            raise self._fault(event, str(fault)) from fault

    def _text(self, wanted: str) -> str:
        return str(self._expect(yaml.ScalarEvent, wanted).value)

    def _expect(self, kind: type[yaml.Event], wanted: str) -> Any:
        return self._check(self._get(), kind, wanted)

    def _check(self, event: Any, kind: type[yaml.Event], wanted: str) -> Any:
        plain = getattr(event, "anchor", None) is None and getattr(event, "tag", None) is None
        if not isinstance(event, kind) or not plain:
            raise self._fault(event, f"expected {wanted}")
        return event

    def _fault(self, event: Any, wrong: str) -> RevocationError:
        mark = event.start_mark
        return RevocationError(f"{self._name}:{mark.line + 1 if mark else 1}: {wrong}")


def _checked(fields: dict[str, str]) -> Revocation:
    if "serial" not in fields:
        raise ValueError("an entry needs a serial")
    for key, text in fields.items():
        if len(text) > MAX_TEXT or not text.isprintable():
            raise ValueError(f"{key} is longer than {MAX_TEXT} characters or does not print")
    if when := fields.get("when"):
        datetime.fromisoformat(when)
    return Revocation(**{**fields, "serial": read_serial(fields["serial"])})  # type: ignore[arg-type]
