"""One site file on its way in: text, strict values, shape; and a voice to complain with at the right line."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from proxy.core.origin import Origin
from proxy.site.files import Unusable
from proxy.site.names import is_id
from proxy.site.problem import Finding, Problem
from proxy.site.readers import parsed
from proxy.site.translate import Told, tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path as FilePath

    from proxy.protocols.base import Report
    from proxy.site.problem import Collector
    from proxy.site.readers import Parsed
    from proxy.site.yaml import Document

Path = tuple[str | int, ...]
MOST_TOLD = 1000
"""Faults of form in one file; nobody reads more, and the time to tell them would be somebody's to waste (T44)."""

ShapeT = TypeVar("ShapeT", bound=BaseModel)


class Voice:
    """Reports problems of one file. ``moved`` maps paths whose value came from elsewhere (an override) to its name.
    ``hashed`` is the SHA-256 of the file's text."""

    def __init__(self, file: str, collector: Collector) -> None:
        self.file = file
        self.collector = collector
        self.document: Document | None = None
        self.hashed = b""
        self.moved: Mapping[Path, str] = {}
        self._settled = Origin(file, 1, 1)

    def settle(self, path: Path) -> None:
        """Let go of the text. From here on the voice knows one line, that of `path`: in a large site the texts of all
        files are ten times the rules in them."""
        self._settled = self._locate(path, key=False)[0]
        self.document = None

    def origin(self, path: Path = (), *, key: bool = False) -> Origin:
        return self._locate(path, key)[0]

    def error(
        self, finding: Finding, path: Path, wrong: str, mend: str, *, key: bool = False, nearest: str | None = None
    ) -> None:
        origin, shown = self._locate(path, key)
        self.collector.add(Problem(finding, origin, shown, wrong, mend, nearest))

    def warn(self, path: Path, wrong: str, mend: str, *, key: bool = False) -> None:
        origin, shown = self._locate(path, key)
        self.collector.add(Problem(Finding.DOUBTFUL, origin, shown, wrong, mend, warning=True))

    def unknown(self, path: Path, what: str, name: str, known: Iterable[str], mend: str = "") -> None:
        """A reference to a name that nothing has."""
        nearest = self.collector.nearest(name, known)
        mend = mend or f"write the name of a {what} of this site"
        self.error(Finding.UNKNOWN_NAME, path, f"there is no {what} {name}", mend, nearest=nearest)

    def below(self, base: Path) -> Report:
        """What a protocol's parser is given to complain with; its paths start at `base`."""

        def report(path: Path, wrong: str, mend: str = "") -> None:
            self.error(Finding.BAD_VALUE, (*base, *path), wrong, mend or "see docs/schema")

        return report

    def _locate(self, path: Path, key: bool) -> tuple[Origin, Path]:
        if self.moved:
            for length in range(len(path), 0, -1):
                if path[:length] in self.moved:
                    return Origin(self.moved[path[:length]], 1, 1), path
        if self.document is None:
            return self._settled, path
        place, found = self.document.locate(path, key=key)
        if found is not path and len(found) == len(path) - 1 and isinstance(path[-1], int):
            path = found  # `from: a` is read as `from: [a]`
        return Origin(self.file, *place), path


class Draft(Generic[ShapeT]):
    """A file that was read. ``shape`` is None if there is a fault in it."""

    def __init__(self, voice: Voice, shape: ShapeT | None) -> None:
        self.voice = voice
        self.value: dict[str, Any] = {} if voice.document is None else voice.document.value
        self.shape = shape

    def claims(self, key: str) -> str:
        """The name that the file gives itself under `key`. Where that is not to be had, the file's own name: what
        refers to it is not wrong because of that."""
        name = self.value.get(key)
        return name if isinstance(name, str) and is_id(name) else PurePath(self.voice.file).stem


def read_document(path: FilePath, voice: Voice, ahead: Parsed | None = None) -> Document | None:
    """Open, read and parse strictly, unless that was done ``ahead``. None after a report; the voice knows the lines
    from here on."""
    try:
        found = ahead or parsed(path)
    except Unusable as fault:
        origin = Origin(voice.file, fault.line, 1)
        voice.collector.add(Problem(fault.finding, origin, (), f"the file {fault.wrong}", fault.mend))
        return None
    for place, where, wrong, mend in found.told:
        voice.collector.add(Problem(Finding.NOT_STRICT, Origin(voice.file, *place), where, wrong, mend))
    voice.hashed, voice.document = found.hashed, found.document
    return voice.document


def shaped(document: Document, voice: Voice, shape: type[ShapeT]) -> Draft[ShapeT]:
    """Judge the values by `shape`, with every problem reported."""
    try:
        return Draft(voice, shape.model_validate(document.value))
    except ValidationError as faults:
        errors = faults.errors(include_url=False)
        _tell(voice, [tell(shape, error) for error in errors[:MOST_TOLD]])
        if len(errors) > MOST_TOLD:
            wrong = f"the file has {len(errors) - MOST_TOLD} more faults of form"
            voice.error(Finding.BAD_VALUE, (), wrong, "mend those told here first")
        return Draft(voice, None)


def _tell(voice: Voice, faults: list[Told]) -> None:
    meant: set[Path] = set()
    # Unknown keys first: where `form` is written for `from`, a missing `from` is not a second fault.
    for told in sorted(faults, key=lambda told: told.finding is not Finding.UNKNOWN_KEY):
        nearest = voice.collector.nearest(told.name, told.known) if told.name is not None else None
        if told.finding is Finding.UNKNOWN_KEY and nearest is not None:
            meant.add((*told.path[:-1], nearest))
        if told.finding is not Finding.MISSING or told.path not in meant:
            voice.error(told.finding, told.path, told.wrong, told.mend, key=told.at_key, nearest=nearest)


def first_of(declared: dict[str, Voice], name: str, what: str, voice: Voice) -> bool:
    """Whether no other file declares the name; reports it otherwise."""
    other = declared.setdefault(name, voice)
    if other is not voice:
        wrong = f"the {what} {name} is declared in {other.origin((what,))} too"
        voice.error(Finding.DUPLICATE, (what,), wrong, "give one of them another name")
    return other is voice


class Heard:
    """What a protocol's parser complains to: passes reports on, and remembers that there was one."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.anything = False

    def __call__(self, path: Path, wrong: str, mend: str = "") -> None:
        self.anything = True
        self._report(path, wrong, mend)
