"""The OPC UA vocabulary of policy files: parsing, with every mistake reported where it stands.

    opcua:
      browse: all                                # or a list of patterns (`patterns`); means reading what is shown
      read: [nsu=urn:robot:7;s=Line1.*, i=2258, "nsu=urn:robot:7;s=Name @ DisplayName"]
      subscribe: [under nsu=urn:robot:7;s=Cell4]
      write: { nsu=urn:robot:7;s=Speed: { min: 0, max: 100, step: 5, ramp: 20, status: any } }   # or a list, any value
      call: { "nsu=urn:robot:7;s=Robot -> nsu=urn:robot:7;s=Reset": { args: [{ min: 0, max: 3 }, any] } }   # or a list
      history_read: all
      history_write: [nsu=urn:robot:7;s=Speed]
      manage_nodes: [under nsu=urn:robot:7;s=Recipes]
      users: [anonymous, "operator*"]            # default: anybody
      security: [sign, sign_and_encrypt]         # of the channel; default: any that the listener offers

A rule with any of these means `session`, with its users over its channels. `never` takes the same, `all` everywhere,
and neither windows nor arguments. There `read` means subscribe and history_read as well, and `write` history_write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from proxy.protocols.opcua.actions import CALL, MODES, WRITE
from proxy.protocols.opcua.claims import OTHERS
from proxy.protocols.opcua.node import ALL, EXAMPLE, NodePattern, Wrong
from proxy.protocols.opcua.patterns import METHOD, parse_attributed, parse_method
from proxy.protocols.opcua.reading import nearest, quoted
from proxy.protocols.opcua.targets import Calls, Forbidden, Nodes, OpcUaTarget, Sessions
from proxy.protocols.opcua.who import ANYBODY, Who, Words
from proxy.protocols.opcua.windows import Limits, parse_argument, parse_limits
from proxy.protocols.opcua.words import VALUE

if TYPE_CHECKING:
    from proxy.protocols.base import Path, Report
    from proxy.protocols.opcua.window import Window

VERBS = ("browse", "read", WRITE, CALL, "subscribe", "history_read", "history_write", "manage_nodes")
CAPS = ("users", "security")
NAMED = (WRITE, CALL, "history_write", "manage_nodes")
"""Verbs whose nodes a rule has to name."""
ATTRIBUTED = ("read", WRITE, "subscribe")
MOST_USER = 128
_SLIPS = {
    "execute": CALL,
    "history": "history_read",
    "invoke": CALL,
    "method": CALL,
    "methods": CALL,
    "mode": "security",
    "modes": "security",
    "monitor": "subscribe",
    "publish": "subscribe",
    "tokens": "users",
}
"""Words of other products and of the standard, too far from ours to be taken for a slip of the hand."""


def parse_rule(value: object, report: Report) -> tuple[OpcUaTarget, ...]:
    return _Section(report, never=False).parse(value)


def parse_never(value: object, report: Report) -> tuple[OpcUaTarget, ...]:
    return _Section(report, never=True).parse(value)


class _Section:
    """One `opcua:` section. ``_report`` is told of every mistake; what is right is parsed all the same."""

    def __init__(self, report: Report, *, never: bool) -> None:
        self._report = report
        self._never = never
        self._who = ANYBODY

    def parse(self, value: object) -> tuple[OpcUaTarget, ...]:
        if not isinstance(value, Mapping) or not value:
            self._report((), "is not a section with verbs", f"write for example opcua: {{ read: [{EXAMPLE}] }}")
            return ()
        self._who = Who(self._words("users", value, _user_fault), self._words("security", value, _mode_fault))
        targets: list[OpcUaTarget] = []
        for key, part in value.items():
            if key == CALL:
                targets += self._calls(part)
            elif key in VERBS:
                targets += self._nodes(str(key), part)
            elif key not in CAPS:
                self._report((str(key),), f"unknown verb {quoted(key)}", _meant(key))
        if not any(key in VERBS for key in value) and any(key in CAPS for key in value):
            caps = " and ".join(key for key in CAPS if key in value)
            self._report((), f"names {caps} but no verb", f"add one of {', '.join(VERBS)}")
        if self._never or not targets:
            return tuple(targets)
        return (*targets, Sessions(self._who))

    def _nodes(self, key: str, value: object) -> Iterator[OpcUaTarget]:
        for place, text, raw in self._lines(value, (key,)):
            found = self._found(key, text, place)
            limits = self._limits(key, raw, place) if found is not None else None
            if found is None or limits is None:
                continue
            pattern, attribute = found
            verb = key.replace("_", "-")
            if self._never:
                yield Forbidden(verb, pattern, attribute, self._who)
                continue
            if key == WRITE and attribute is None:
                attribute = VALUE
            fault = _window_fault(pattern, attribute, limits.window)
            if fault is not None:
                self._report(place, *fault)
            else:
                yield Nodes(verb, pattern, attribute, self._who, limits.window, limits.status)
                if verb == "browse":  # clients show what they browse by reading all but its Value
                    yield Nodes("read", pattern, OTHERS, self._who, implied=True)

    def _found(self, key: str, text: str, place: Path) -> tuple[NodePattern, int | None] | None:
        """Pattern and attribute of one line."""
        try:
            pattern, attribute = parse_attributed(text)
        except Wrong as fault:
            self._report(place, fault.what, fault.mend)
            return None
        if pattern == ALL and key in NAMED and not self._never:
            self._report(place, f"{key} takes no all in a rule", f"name the nodes, for example [{EXAMPLE}]")
            return None
        if attribute is not None and key not in ATTRIBUTED:
            self._report(place, f"{key} takes no attribute", "leave out what stands behind @")
            return None
        return pattern, attribute

    def _limits(self, key: str, raw: object, place: Path) -> Limits | None:
        """Of one line: none if it is an item of a list. None after a report."""
        if raw is None:
            return Limits(None, status=False)
        if key != WRITE:
            self._report(place, f"{key} takes no value windows", f"write {key} as a list of nodes")
            return None
        if self._never and raw != {}:
            # Taken for what it says it would forbid less than it does: not every write has a number to compare.
            mend = "write {}, and narrow the rules that allow it by a window"
            self._report(place, "a never forbids the node, whatever is written to it", mend)
            return None
        return parse_limits(raw, place, self._report)

    def _calls(self, value: object) -> Iterator[Calls]:
        for place, text, raw in self._lines(value, (CALL,)):
            pair = self._method(text, place)
            args = self._args(raw, place)
            if pair is not None and not isinstance(args, bool):
                yield Calls(*pair, args, self._who, never=self._never)

    def _method(self, text: str, place: Path) -> tuple[NodePattern, NodePattern] | None:
        if text == "all":
            if self._never:
                return ALL, ALL
            self._report(place, "call takes no all in a rule", f'name object and method, for example ["{METHOD}"]')
            return None
        try:
            one, method = parse_method(text)
        except Wrong as fault:
            self._report(place, fault.what, fault.mend)
            return None
        if not self._never and (ALL in (one, method) or method.kind is None):
            which = "object" if one == ALL else "method"
            self._report(place, f"call does not name its {which}", f'for example ["{METHOD}"]')
            return None
        return one, method

    def _args(self, raw: object, place: Path) -> tuple[Window | None, ...] | bool | None:
        """None for any arguments, False after a report."""
        if raw is None or raw == {}:
            return None
        if self._never:
            mend = "write {}, and narrow the rules that allow it by args"
            self._report(place, "a never forbids the call, whatever its arguments", mend)
            return False
        if not isinstance(raw, Mapping) or set(raw) != {"args"} or not isinstance(raw["args"], list):
            self._report(
                place, "is not a list of arguments", "write { args: [{ min: 0, max: 3 }, any] }, or {} for any"
            )
            return False
        windows = [parse_argument(one, (*place, "args", at), self._report) for at, one in enumerate(raw["args"])]
        return False if False in windows else tuple(one for one in windows if not isinstance(one, bool))

    def _lines(self, value: object, path: Path) -> Iterator[tuple[Path, str, object]]:
        """Place, text, and what a mapping says of it, None in a list."""
        if isinstance(value, Mapping):
            if not value:
                self._report(path, "is empty", "name at least one, or leave the line out")
            for key, raw in value.items():
                if raw is None:
                    self._report((*path, str(key)), "says nothing", "write {} for whatever value")
                else:
                    yield (*path, str(key)), str(key), raw
            return
        for place, item in self._items(value, path):
            if isinstance(item, str):
                yield place, item, None
            else:
                example = METHOD if path == (CALL,) else EXAMPLE
                self._report(place, f"{quoted(item)} is not text", f'write for example ["{example}"]')

    def _words(
        self, key: str, value: Mapping[object, object], fault: Callable[[object], tuple[str, str] | None]
    ) -> Words:
        """None if the key is not there."""
        if key not in value:
            return None
        good = []
        for place, item in self._items(value[key], (key,)):
            if (found := fault(item)) is not None:
                self._report(place, *found)
            else:
                good.append(str(item))
        return frozenset(good)

    def _items(self, value: object, path: Path) -> Iterator[tuple[Path, object]]:
        if isinstance(value, list):
            if not value:
                self._report(path, "is empty", "name at least one, or leave the line out")
            yield from (((*path, at), item) for at, item in enumerate(value))
        else:
            yield path, value


def _window_fault(pattern: NodePattern, attribute: int | None, window: Window | None) -> tuple[str, str] | None:
    if window is None:
        return None
    if attribute != VALUE:
        return "a value window is for the Value alone", "write {}, or leave out what stands behind @"
    if window.paced and not pattern.exact:
        return f"step and ramp watch single nodes, and {quoted(pattern.text)} may be many", "name those it is about"
    return None


def _user_fault(value: object) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return f"{quoted(value)} is not text", 'write a name, for example "operator*", or anonymous'
    if not value or len(value) > MOST_USER or not value.isprintable():
        return f"{quoted(value)} is no user name", f"1 to {MOST_USER} visible characters"
    if "{" in value:
        return f"{quoted(value)} has a placeholder", "users are names of the server's; write them out, or with *"
    return None


def _mode_fault(value: object) -> tuple[str, str] | None:
    return None if value in MODES else (f"{quoted(value)} is no security mode", nearest(value, MODES))


def _meant(key: object) -> str:
    slip = _SLIPS.get(str(key).lower())
    return f"did you mean {slip!r}?" if slip else nearest(key, (*VERBS, *CAPS))
