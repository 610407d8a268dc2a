"""The policy's own tests: questions with the answer that they must get.

The same function is asked by `bulkhead check` and `policy test`, by the start and by a reload: what is shown before a
change is what decides about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.verdict import Verdict
from proxy.policy.assume import always_open, assumed, imagined
from proxy.policy.finding import ERROR, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.core.hours import Hours
    from proxy.core.inventory import Device
    from proxy.core.reason import Reason
    from proxy.core.surface import RuleTest, Surface
    from proxy.policy.authority import Authority
    from proxy.policy.compile import Policy

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
    policy: Policy,
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
    policy: Policy,
    devices: Mapping[str, Device],
    tests: Iterable[tuple[str, RuleTest]],
    outright: Outright = nothing_outright,
    hours: Iterable[Hours] = (),
) -> Iterator[Result]:
    """`expect` and `because` must both hold. Each test has budgets, a clock and a process state of its own."""
    bench = _Bench(policy, devices, tuple(hours), always_open(policy.surfaces))
    for path, test in tests:
        verdict = bench.open(test).decide_all(test.actions, 0.0)
        parts: tuple[Verdict, ...] = (verdict,)
        if len(test.actions) > 1:
            parts = tuple(bench.open(test).decide(action, 0.0) for action in test.actions)
        if verdict.allowed and (refused := outright(test)) is not None:
            verdict = Verdict(verdict.rule, refused[0], detail=refused[1])
            parts = ()
        wrong = _failure(test, verdict)
        yield Result(test, path, verdict, parts, wrong, _mend(policy, test, verdict) if wrong else "")


class _Bench(NamedTuple):
    policy: Policy
    devices: Mapping[str, Device]
    hours: tuple[Hours, ...]
    always: tuple[Hours, ...]

    def open(self, test: RuleTest) -> Authority:
        """A test without an action is a bug: no protocol, and so it is refused."""
        protocol = test.actions[0].protocol if test.actions else ""
        hours, wall = (self.always, 0.0) if test.at is None else (self.hours, test.at)
        around = imagined(hours, wall, test.state)
        speaker = assumed(test.who, self.devices, test.evidence)
        return self.policy.rehearsal(around).open(speaker, test.to, protocol)


def _failure(test: RuleTest, verdict: Verdict) -> str:
    question = f"{test.who} to {test.to}: {test.text}"
    names = (verdict.rule.name, str(verdict.rule))
    if verdict.allowed != test.expect_allow:
        return f"{question}: expected {expected(test)}, got {told(verdict)}"
    if test.because is not None and test.because not in names:
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


def _mend(policy: Policy, test: RuleTest, verdict: Verdict) -> str:
    if test.because is not None and not _enforced(policy, test.because):
        return f"{test.because} is monitored and decides nothing yet: say what is enforced until then"
    if verdict.nearest is not None and verdict.nearest != verdict.rule:
        return f"mend the test, or {verdict.nearest.name} ({verdict.nearest.origin}), which comes nearest"
    if verdict.rule.name != DEFAULT:
        return f"mend the test, or {verdict.rule.name} ({verdict.rule.origin}), which decided"
    return "mend the test, or the rules"


def _enforced(policy: Policy, because: str) -> bool:
    """The loader knows the name, so a rule that is not in force is a monitored one."""
    if because.rpartition("/")[2] == DEFAULT:
        return True
    zones = policy.surfaces
    refs = [one.ref for zone in zones for one in zone.rules if one.monitor is None]
    refs += [one.ref for zone in zones for one in zone.nevers if one.monitor is None]
    return any(because in (ref.name, str(ref)) for ref in refs)
