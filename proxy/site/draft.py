"""One site file on its way in: text, strict values, shape; and a voice to complain with at the right line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from proxy.core.origin import Origin
from proxy.site.files import Unusable, read_text
from proxy.site.problem import Finding, Problem
from proxy.site.translate import tell
from proxy.site.yaml import Document, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path as FilePath

    from proxy.protocols.base import Report
    from proxy.site.problem import Collector

Path = tuple[str | int, ...]
ShapeT = TypeVar("ShapeT", bound=BaseModel)


class Voice:
    """Reports problems of one file. ``moved`` maps paths whose value came from elsewhere (an override) to its name."""

    def __init__(self, file: str, collector: Collector) -> None:
        self.file = file
        self.collector = collector
        self.document: Document | None = None
        self.moved: Mapping[Path, str] = {}

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

    def unknown(self, path: Path, what: str, name: str, known: Iterable[str]) -> None:
        """A reference to a name that nothing has."""
        nearest = self.collector.nearest(name, known)
        mend = f"write the name of {what} of this site"
        self.error(Finding.UNKNOWN_NAME, path, f"there is no {name}", mend, nearest=nearest)

    def below(self, base: Path) -> Report:
        """What a protocol's parser is given to complain with; its paths start at `base`."""

        def report(path: Path, wrong: str, mend: str = "") -> None:
            self.error(Finding.BAD_VALUE, (*base, *path), wrong, mend or "see docs/schema")

        return report

    def _locate(self, path: Path, key: bool) -> tuple[Origin, Path]:
        for length in range(len(path), 0, -1):
            if path[:length] in self.moved:
                return Origin(self.moved[path[:length]], 1, 1), path
        if self.document is None:
            return Origin(self.file, 1, 1), path
        place, found = self.document.locate(path, key=key)
        scalar = len(found) == len(path) - 1 and isinstance(path[-1], int)  # `from: a` is read as `from: [a]`
        return Origin(self.file, *place), found if scalar else path


class Draft(Generic[ShapeT]):
    """A file whose text is sound. ``shape`` is None if its values are not."""

    def __init__(self, voice: Voice, document: Document, shape: ShapeT | None) -> None:
        self.voice = voice
        self.value: dict[str, Any] = document.value
        self.closed = document.closed
        self.shape = shape

    def claims(self, key: str) -> str | None:
        """The name that the file gives itself under `key`, sound or not."""
        name = self.value.get(key)
        return name if isinstance(name, str) else None


def read_document(path: FilePath, voice: Voice) -> Document | None:
    """Open, read and parse strictly. None after a report; the voice knows the lines from here on."""

    def report(place: tuple[int, int], where: Path, wrong: str, mend: str) -> None:
        voice.collector.add(Problem(Finding.NOT_STRICT, Origin(voice.file, *place), where, wrong, mend))

    try:
        text = read_text(path)
    except Unusable as fault:
        origin = Origin(voice.file, fault.line, 1)
        voice.collector.add(Problem(fault.finding, origin, (), f"the file {fault.wrong}", fault.mend))
        return None
    voice.document = parse(text, report)
    return voice.document


def shaped(document: Document, voice: Voice, shape: type[ShapeT]) -> Draft[ShapeT]:
    """Judge the values by `shape`, with every problem reported."""
    try:
        return Draft(voice, document, shape.model_validate(document.value))
    except ValidationError as faults:
        for error in faults.errors(include_url=False):
            told = tell(shape, error)
            nearest = voice.collector.nearest(told.name, told.known) if told.name is not None else None
            voice.error(told.finding, told.path, told.wrong, told.mend, key=told.at_key, nearest=nearest)
        return Draft(voice, document, None)
