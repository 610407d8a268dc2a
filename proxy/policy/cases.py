"""The policy's own tests: questions with the answer that they must get.

What is in monitor is tested as it will be once it is enforced: tests that name a monitored rule in `because`, and those
about a device whose surfaces are all in monitor, are put to the candidate. All others are put to what is in force.

The same function is asked by `bulkhead check` and `policy test`, by the start and by a reload: what is shown before a
change is what decides about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.core.verdict import Verdict
from proxy.policy.assume import always_open, assumed, imagined
from proxy.policy.compile import Policy
from proxy.policy.finding import ERROR, Finding
from proxy.policy.shadow import MONITOR
from proxy.policy.shadowed import Shadowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.core.hours import Hours
    from proxy.core.inventory import Device
    from proxy.core.origin import RuleRef
    from proxy.core.reason import Reason
    from proxy.core.surface import RuleTest, Surface
    from proxy.policy.authority import Authority

DEFAULT = "default"
"""The name of a refusal that no rule decided."""

Outright = Callable[["RuleTest"], "tuple[Reason, str] | None"]
"""What is refused before any rule is asked, and why."""


@dataclass(frozen=True, slots=True)
class Result:
    """One test that was asked. ``path`` is its place in its file, ``wrong`` and ``mend`` are empty if it passed.

    ``verdict`` is over the whole line; ``parts`` are those of its actions, each asked alone, and none where no rule
    was asked.
    """

    test: RuleTest
    path: str
    verdict: Verdict
    parts: tuple[Verdict, ...]
    wrong: str = ""
    mend: str = ""

    @property
    def passed(self) -> bool:
        return not self.wrong

    @property
    def finding(self) -> Finding:
        return Finding(ERROR, self.test.origin, self.path, self.wrong, self.mend)


def nothing_outright(test: RuleTest) -> tuple[Reason, str] | None:
    """For policies whose protocols refuse nothing by themselves."""
    return None


def run_tests(
    policy: Policy | Shadowed,
    devices: Mapping[str, Device],
    outright: Outright = nothing_outright,
    cases: Iterable[RuleTest] = (),
    hours: Iterable[Hours] = (),
) -> list[Finding]:
    """One finding for each test that fails: those of the surfaces, and ``cases`` beside them."""
    every = (*written(policy.surfaces), *beside(cases))
    return [result.finding for result in ask_all(policy, devices, every, outright, hours) if not result.passed]


def written(surfaces: Iterable[Surface]) -> Iterator[tuple[str, RuleTest]]:
    """(path, test) of the `tests:` of surfaces."""
    for surface in surfaces:
        for at, test in enumerate(surface.tests):
            yield f"tests[{at}]", test


def beside(cases: Iterable[RuleTest]) -> Iterator[tuple[str, RuleTest]]:
    """(path, test) of the files of `policies/tests/`, whose cases come in the order of files and lines."""
    count: dict[str, int] = {}
    for test in cases:
        at = count[test.origin.file] = count.get(test.origin.file, -1) + 1
        yield f"cases[{at}]", test


def ask_all(
    policy: Policy | Shadowed,
    devices: Mapping[str, Device],
    tests: Iterable[tuple[str, RuleTest]],
    outright: Outright = nothing_outright,
    hours: Iterable[Hours] = (),
) -> Iterator[Result]:
    """`expect` and `because` must both hold. Each test has budgets, a clock and a process state of its own."""
    bench = _Bench(policy, devices, tuple(hours))
    for path, test in tests:
        verdict = bench.open(test).decide_all(test.actions, 0.0)
        parts: tuple[Verdict, ...] = (verdict,)
        if len(test.actions) > 1:
            parts = tuple(bench.open(test).decide(action, 0.0) for action in test.actions)
        if verdict.allowed and (refused := outright(test)) is not None:
            verdict = Verdict(verdict.rule, refused[0], detail=refused[1])
            parts = ()
        wrong = _failure(test, verdict)
        yield Result(test, path, verdict, parts, wrong, _mend(verdict) if wrong else "")


class _Bench:
    def __init__(self, policy: Policy | Shadowed, devices: Mapping[str, Device], hours: tuple[Hours, ...]) -> None:
        self._enforced = policy if isinstance(policy, Policy) else policy.enforced
        self._candidate: Policy | None = None
        self._monitored: frozenset[str] = frozenset()
        self._let_through: frozenset[str] = frozenset()
        if isinstance(policy, Shadowed):
            self._candidate = policy.candidate
            self._monitored = frozenset(name for one in policy.monitored for name in names(one.ref))
            self._let_through = _let_through(policy)
        self._devices = devices
        self._hours = hours
        self._always = always_open(policy.surfaces)

    def open(self, test: RuleTest) -> Authority:
        """A test without an action is a bug: no protocol, and so it is refused."""
        protocol = test.actions[0].protocol if test.actions else ""
        hours, wall = (self._always, 0.0) if test.at is None else (self._hours, test.at)
        policy = self._enforced
        if self._candidate is not None and (test.because in self._monitored or test.to in self._let_through):
            policy = self._candidate
        around = imagined(hours, wall, test.state)
        speaker = assumed(test.who, self._devices, test.evidence)
        return policy.rehearsal(around).open(speaker, test.to, protocol)


def _let_through(shadowed: Shadowed) -> frozenset[str]:
    """The devices whose surfaces are all in monitor."""
    whole = {one.ref.surface for one in shadowed.monitored if one.ref.name == MONITOR}
    strict = {device for surface in shadowed.surfaces if surface.name not in whole for device in surface.members}
    return frozenset(d for s in shadowed.surfaces if s.name in whole for d in s.members if d not in strict)


def names(ref: RuleRef) -> tuple[str, str]:
    """What `because` may call it."""
    return ref.name, str(ref)


def _failure(test: RuleTest, verdict: Verdict) -> str:
    question = f"{test.who} to {test.to}: {test.text}"
    if verdict.allowed != test.expect_allow:
        return f"{question}: expected {expected(test)}, got {told(verdict)}"
    if test.because is not None and test.because not in names(verdict.rule):
        return f"{question}: expected because {test.because}, got {told(verdict)}"
    return ""


def expected(test: RuleTest) -> str:
    return "allow" if test.expect_allow else "refuse"


def told(verdict: Verdict) -> str:
    by = f"by {verdict.rule} ({verdict.rule.origin})"
    if verdict.reason is None:
        return f"allow {by}"
    detail = f": {verdict.detail}" if verdict.detail else ""
    return f"refuse {verdict.reason.code} {by}{detail}"


def _mend(verdict: Verdict) -> str:
    if verdict.nearest is not None and verdict.nearest != verdict.rule:
        return f"mend the test, or {verdict.nearest.name} ({verdict.nearest.origin}), which comes nearest"
    if verdict.rule.name != DEFAULT:
        return f"mend the test, or {verdict.rule.name} ({verdict.rule.origin}), which decided"
    return "mend the test, or the rules"
