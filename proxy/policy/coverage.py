"""Which rules and nevers the tests of a policy hold in place, and which could change without a test failing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.core.origin import RuleRef
    from proxy.core.surface import Never, Rule, Surface
    from proxy.policy.cases import Result


class Coverage(NamedTuple):
    """``untouched`` are in the order of files and lines."""

    total: int
    untouched: tuple[RuleRef, ...]

    @property
    def touched(self) -> int:
        return self.total - len(self.untouched)

    @property
    def percent(self) -> float:
        """Of all rules and nevers, cut to one decimal: 100 means all. 100 where there are none."""
        return (1000 * self.touched // self.total) / 10 if self.total else 100.0


def coverage(surfaces: Iterable[Surface], results: Iterable[Result]) -> Coverage:
    """A rule is touched if it decided a test that passed: allowed it, or was the reason why it was refused (a never, a
    value outside its window, evidence, hours or state that it asks for). A refusal by default touches none."""
    decided = {_key(verdict.rule) for result in results if result.passed for verdict in result.parts}
    refs = [one.ref for surface in surfaces for one in _written(surface)]
    return Coverage(len(refs), tuple(ref for ref in refs if _key(ref) not in decided))


def _written(surface: Surface) -> list[Rule | Never]:
    return [*surface.rules, *surface.nevers]


def _key(ref: RuleRef) -> tuple[str, str]:
    return ref.surface, ref.name
