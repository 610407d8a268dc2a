"""``BULKHEAD_SECTION__KEY=value``: single values of `bulkhead.yaml` that the environment replaces.

``BULKHEAD_LIMITS__LINKS=100`` is ``limits.links``; ``_`` stands for ``-`` and ``.`` too, which variables cannot have:
``BULKHEAD_LISTENERS__CELL_3_MODBUS__BIND``. Values are read as in the file, and a name that fits nothing is an error:
a setting that silently does not take is worse than one that stops the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.core.origin import Origin
from proxy.site.problem import Finding, Problem
from proxy.site.scalars import Ambiguous, plain
from proxy.site.shapes import SiteShape
from proxy.site.translate import is_section, keys_at, kind_at
from proxy.site.yaml import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.site.problem import Collector

Path = tuple[str | int, ...]

PREFIX = "BULKHEAD_"
NOT_SETTINGS = frozenset({"BULKHEAD_CONFIG", "BULKHEAD_PYTHON"})
"""Where the site is, and which Python `./run` takes."""


def apply(environ: Mapping[str, str], value: dict[str, Any], collector: Collector) -> dict[Path, str]:
    """Put the variables' values into `value`. Returns path -> variable, for reports."""
    moved: dict[Path, str] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        voice = _Variable(name, collector)
        path = _path(name.removeprefix(PREFIX).split("__"), value, voice)
        if path is None:
            continue
        if is_section(kind_at(SiteShape, path)):
            keys = ", ".join(keys_at(SiteShape, path)) or "the names in it"
            voice.error(Finding.BAD_VALUE, path, "is a section, not a value", f"add __ and one of {keys}")
        elif (found := _value(environ[name], path, voice)) is not None and _put(value, path, found):
            moved[path] = name
    return moved


class _Variable:
    def __init__(self, name: str, collector: Collector) -> None:
        self.name = name
        self.collector = collector

    def error(self, finding: Finding, path: Path, wrong: str, mend: str, nearest: str | None = None) -> None:
        self.collector.add(Problem(finding, Origin(self.name, 1, 1), path, wrong, mend, nearest))


def _path(words: list[str], value: Any, voice: _Variable) -> Path | None:
    """The place that the words name: keys of the shape, and in free sections the names that the file has."""
    path: Path = ()
    for word in words:
        known = keys_at(SiteShape, path) or tuple(value if isinstance(value, dict) else ())
        fits = [key for key in known if _word(key) == word.upper()]
        if len(fits) != 1:
            nearest = voice.collector.nearest(word.lower(), known)
            wrong = f"no setting is called {word}" if not fits else f"{word} can be {' or '.join(fits)}"
            mend = f"known here: {', '.join(known)}" if known else "set a single value"
            voice.error(Finding.UNKNOWN_KEY, path, wrong, mend, None if nearest is None else _word(nearest))
            return None
        path = (*path, fits[0])
        value = value.get(fits[0]) if isinstance(value, dict) else None
    return path


def _word(key: str) -> str:
    return key.upper().replace("-", "_").replace(".", "_")


def _value(text: str, path: Path, voice: _Variable) -> Any:
    """One value in the site files' own notation; None after a report."""
    found: Any = None
    if text.startswith(('"', "'")) or (text.startswith("[") and text.endswith("]")):

        def report(_: tuple[int, int], __: Path, wrong: str, mend: str) -> None:
            voice.error(Finding.NOT_STRICT, path, wrong, mend)

        document = parse(f"value: {text}\n", report)
        found = None if document is None else document.value.get("value")
    else:
        try:
            found = plain(text.strip())
        except Ambiguous as fault:
            voice.error(Finding.NOT_STRICT, path, *fault.args)
            return None
    if found is None:
        voice.error(Finding.BAD_VALUE, path, "the value is empty", "give a value, or unset the variable")
    return found


def _put(value: Any, path: Path, found: Any) -> bool:
    for step in path[:-1]:
        value = value.setdefault(step, {})
        if not isinstance(value, dict):
            return False  # the file is wrong there, which is told when its shape is judged
    value[path[-1]] = found
    return True
