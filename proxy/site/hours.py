"""`policies/shifts/` and `policies/windows/`: from shapes to hours."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from proxy.core.hours import DAYS, Shift, Window
from proxy.site import times
from proxy.site.problem import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from proxy.core.hours import Hours
    from proxy.site.draft import Draft, Voice
    from proxy.site.policy_shapes import ShiftShape, WindowShape

Path = tuple[str | int, ...]


class Calendar:
    """All hours that the files declare; ``used`` gathers those that a rule names. A shift and a window cannot have the
    same name: `when` does not say which it means. ``now`` is in seconds since 1970."""

    def __init__(self, shifts: Iterable[Draft[ShiftShape]], windows: Iterable[Draft[WindowShape]], now: float) -> None:
        self.hours: dict[str, Hours] = {}
        self.shifts: dict[str, Voice] = {}
        self.windows: dict[str, Voice] = {}
        self.used: set[str] = set()
        for shift in shifts:
            if self._is_first(shift.claims("shift"), "shift", shift.voice) and shift.shape is not None:
                self._add(_shift(shift.shape, shift.voice))
        for window in windows:
            if self._is_first(window.claims("window"), "window", window.voice) and window.shape is not None:
                self._add(_window(window.shape, window.voice, now))
        self.declared = {**self.shifts, **self.windows}

    def look_up(self, names: Sequence[str], path: Path, voice: Voice) -> tuple[str, ...]:
        for at, name in enumerate(names):
            self.used.add(name)
            if name not in self.declared:
                mend = "write the name of a file of policies/shifts or policies/windows"
                voice.unknown((*path, at), "shift or window", name, self.declared, mend)
        return tuple(dict.fromkeys(names))

    def check_use(self) -> None:
        for kind, declared in (("shift", self.shifts), ("window", self.windows)):
            for name in declared.keys() - self.used:
                wrong = f"no rule names the {kind} {name}"
                declared[name].warn((kind,), wrong, "use it in a 'when:', or delete the file")

    def _add(self, found: Hours | None) -> None:
        if found is not None:
            self.hours[found.name] = found

    def _is_first(self, name: str, kind: str, voice: Voice) -> bool:
        for other_kind, declared in (("shift", self.shifts), ("window", self.windows)):
            if name in declared:
                where = declared[name].origin((other_kind,))
                wrong = f"the {other_kind} {name} is declared in {where} too"
                voice.error(Finding.DUPLICATE, (kind,), wrong, "give one of them another name")
                return False
        (self.shifts if kind == "shift" else self.windows)[name] = voice
        return True


def _shift(shape: ShiftShape, voice: Voice) -> Shift | None:
    if not _is_known(shape.zone, voice):
        return None
    days = frozenset(map(DAYS.index, shape.days))
    without = _dates(shape.except_ or (), "except", voice)
    extra = _dates(shape.extra or (), "extra", voice)
    for day, path in without.items():
        if day in extra:
            wrong = f"{day} is under extra too"
            voice.error(Finding.CONTRADICTION, path, wrong, "delete one of both")
        elif day.weekday() not in days:
            wrong = f"{day} ({DAYS[day.weekday()]}) is not among the days, so the shift does not open then anyway"
            voice.warn(path, wrong, "mend the date, or delete it")
    for day, path in extra.items():
        if day.weekday() in days and day not in without:
            wrong = f"{day} ({DAYS[day.weekday()]}) is among the days, so the shift opens then anyway"
            voice.warn(path, wrong, "mend the date, or delete it")
    start, end = times.clock(shape.from_), times.clock(shape.to)
    origin = voice.origin(("shift",))
    return Shift(shape.shift, origin, shape.zone, days, start, end, frozenset(without), frozenset(extra))


def _dates(texts: Sequence[str], key: str, voice: Voice) -> dict[date, Path]:
    found: dict[date, Path] = {}
    for at, text in enumerate(texts):
        path = (key, at)
        if found.setdefault(times.day(text), path) != path:
            voice.warn(path, f"{text} stands here a second time", "delete it")
    return found


def _window(shape: WindowShape, voice: Voice, now: float) -> Window | None:
    if not _is_known(shape.zone, voice):
        return None
    origin = voice.origin(("window",))
    found = Window(shape.window, origin, shape.zone, times.local(shape.open), times.local(shape.close))
    if found.span[0] >= found.span[1]:
        wrong = "the window closes before it opens"
        voice.error(Finding.CONTRADICTION, ("close",), wrong, f"write a time after {shape.open}")
    elif found.span[1] <= now:
        voice.warn(("close",), "that is over: the window does not open again", "delete the file, or give other times")
    return found


def _is_known(zone: str, voice: Voice) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        mend = "write the IANA name of the plant's zone, for example Europe/Berlin"
        voice.unknown(("zone",), "time zone", zone, _zones(), mend)
        return False
    return True


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    """For hints alone: looking for all of them takes 50 ms."""
    return frozenset(available_timezones())
