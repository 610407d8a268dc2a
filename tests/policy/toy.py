"""A protocol small enough to see through: verbs on numbered cells, with values. And builders for surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.inventory import Bindings, Device
from proxy.core.origin import Origin, RuleRef
from proxy.core.principal import Principal
from proxy.core.process import Move, Point, Predicate
from proxy.core.surface import Never, Rate, Role, Rule, RuleTest, Surface

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.core.action import Action, Target
    from proxy.core.names import Names

PROTOCOL = "toy"
STRENGTH = {"x509": Strength.PROOF, "tpm": Strength.PROOF, "mac_ip": Strength.PLACE}


@dataclass(frozen=True)
class ToyAction:
    verb: str
    first: int
    values: tuple[int, ...]
    protocol: str = PROTOCOL

    @property
    def changes(self) -> bool:
        return self.verb == "write"

    @property
    def atoms(self) -> int:
        return (1 << len(self.values)) - 1

    @property
    def extent(self) -> tuple[str, int, int]:
        return "cell", self.first, self.first + len(self.values) - 1

    @property
    def shape(self) -> tuple[object, ...]:
        return self.verb, self.first

    @property
    def size(self) -> float:
        return max(self.values, default=0)

    def describe(self) -> str:
        return f"{self.verb} cell {self.first} x{len(self.values)}"


@dataclass(frozen=True)
class ToyTarget:
    """Cells ``first``..``last``, values up to ``top``. The verb ``any`` covers every verb, like Modbus `function`."""

    verb: str
    first: int
    last: int
    top: int | None = None
    protocol: str = PROTOCOL

    @property
    def values_matter(self) -> bool:
        return self.top is not None

    @property
    def changes(self) -> bool:
        return self.verb == "write"

    @property
    def extent(self) -> tuple[str, int, int] | None:
        """Some targets do not say where they lie."""
        return None if self.verb == "any" or self.first % 3 == 2 else ("cell", self.first, self.last)

    def bound(self, names: Names) -> ToyTarget:
        return self

    def overlaps(self, other: Target) -> bool:
        return (
            isinstance(other, ToyTarget)
            and (self.verb == other.verb or "any" in (self.verb, other.verb))
            and max(self.first, other.first) <= min(self.last, other.last)
        )

    def moves(self, action: Action) -> tuple[Move, ...]:
        return ()

    def covers(self, action: Action) -> int:
        return self._mask(action, None)

    def admits(self, action: Action) -> int:
        return self._mask(action, self.top)

    def _mask(self, action: Action, top: int | None) -> int:
        if not isinstance(action, ToyAction) or self.verb not in (action.verb, "any"):
            return 0
        inside = (self.first <= action.first + at <= self.last for at in range(len(action.values)))
        fits = (top is None or value <= top for value in action.values)
        return sum(1 << at for at, (a, b) in enumerate(zip(inside, fits, strict=True)) if a and b)

    def within(self, other: Target) -> bool:
        return (
            isinstance(other, ToyTarget)
            and other.verb in (self.verb, "any")
            and other.first <= self.first
            and self.last <= other.last
            and (other.top is None or (self.top is not None and self.top <= other.top))
        )

    def describe(self) -> str:
        top = "" if self.top is None else f" up to {self.top}"
        return f"{self.verb} cell {self.first}-{self.last}{top}"


@dataclass(frozen=True)
class PacedTarget(ToyTarget):
    """As `ToyTarget`, and each cell may move by ``step`` at once and by ``ramp`` a minute."""

    step: float | None = None
    ramp: float | None = None
    paced: bool = True

    def moves(self, action: Action) -> tuple[Move, ...]:
        if not isinstance(action, ToyAction):
            return ()
        mask = self.covers(action)
        return tuple(
            Move(cell(action.first + at), value, self.step, self.ramp, 1 << at)
            for at, value in enumerate(action.values)
            if mask >> at & 1
        )

    def points(self, options: object) -> Iterator[Point]:
        return (cell(at) for at in range(self.first, self.last + 1))

    def describe(self) -> str:
        return f"{super().describe()} step {self.step} ramp {self.ramp}"


@dataclass(frozen=True)
class ToyHours:
    """Open from ``begin`` to before ``end``, seconds since 1970."""

    name: str
    begin: float
    end: float

    @property
    def origin(self) -> Origin:
        return origin(1, f"policies/shifts/{self.name}.yaml")

    def open_at(self, wall: float) -> bool:
        return self.begin <= wall < self.end

    def next_change(self, wall: float) -> float | None:
        return next((at for at in (self.begin, self.end) if at > wall), None)

    def describe(self) -> str:
        return f"{self.begin:g} to {self.end:g}"


class Broken(ToyTarget):
    """A target with a bug: whoever asks it gets an exception."""

    def _mask(self, action: Action, top: int | None) -> int:
        raise ZeroDivisionError("a bug in a target")


def cell(number: int) -> Point:
    return Point(PROTOCOL, f"cell {number}")


def seen(device: str, number: int, compare: str, value: float, fresh: float = 5.0) -> Predicate:
    return Predicate(device, cell(number), compare, value, fresh)


def read(first: int, count: int = 1) -> ToyAction:
    return ToyAction("read", first, (0,) * count)


def write(first: int, *values: int) -> ToyAction:
    return ToyAction("write", first, values)


def reads(first: int, last: int) -> ToyTarget:
    return ToyTarget("read", first, last)


def writes(first: int, last: int, top: int | None = None) -> ToyTarget:
    return ToyTarget("write", first, last, top)


def origin(line: int, file: str = "policies/surfaces/cell.yaml") -> Origin:
    return Origin(file, line)


def who(id: str | None, *kinds: str, attributes: Iterable[str] = ()) -> Principal:
    """A speaker for whom each of ``kinds`` was looked at and found right."""
    evidence = tuple(Evidence(kind, Outcome.MATCH, STRENGTH[kind]) for kind in kinds)
    return Principal(id, frozenset(attributes), evidence)


def rule(
    name: str,
    speakers: Iterable[str],
    *targets: Target,
    to: Iterable[str] = ("plc",),
    needs: Iterable[str] = (),
    rate: Rate | None = None,
    budget: Rate | None = None,
    when: Iterable[str] = (),
    whilst: Iterable[Predicate] = (),
    surface: str = "cell",
    line: int = 10,
) -> Rule:
    ref = RuleRef(surface, name, origin(line))
    needed = frozenset(needs)
    return Rule(ref, tuple(speakers), tuple(to), targets, needed, rate, budget, tuple(when), tuple(whilst))


def never(
    name: str,
    *targets: Target,
    speakers: Iterable[str] | None = None,
    to: Iterable[str] = ("plc",),
    surface: str = "cell",
    line: int = 90,
) -> Never:
    ref = RuleRef(surface, name, origin(line))
    return Never(ref, None if speakers is None else tuple(speakers), tuple(to), targets)


def surface(
    *rules: Rule,
    nevers: Iterable[Never] = (),
    tests: Iterable[RuleTest] = (),
    name: str = "cell",
    members: Iterable[str] = ("plc",),
    record_first: bool = False,
    unsafe: bool = False,
) -> Surface:
    return Surface(
        name, origin(1), tuple(members), rules, tuple(nevers), tuple(tests), record_first, writes_without_proof=unsafe
    )


def role(name: str, *members: str) -> Role:
    return Role(name, origin(1, f"policies/roles/{name}.yaml"), members)


def devices(*ids: str, **bindings: Bindings) -> dict[str, Device]:
    """Devices by id; ``bindings`` may say how one is known (with ``_`` for ``-``)."""
    found = {}
    for id in (*ids, *bindings):
        name = id.replace("_", "-")
        bound = bindings.get(id, Bindings(x509_uri=f"spiffe://site/device/{name}"))
        found[name] = Device(name, "plc", None, None, origin(1, f"fingerprints/devices/{name}.yaml"), bindings=bound)
    return found
