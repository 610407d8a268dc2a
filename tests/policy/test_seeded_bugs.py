"""The probes bite: bugs that would each open the gate are put in, and each is found."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, find, settings

from proxy.policy import authority
from proxy.policy import compile as compile_module
from tests.policy.probes import INVENTORY, QUESTIONS, Plant, Probe
from tests.policy.toy import Broken, read, reads, rule, surface, who

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.policy.compile import Policy

NO_NEVER = ("            if touches(action):\n", "            if False:\n")
ANY_ATOM = ("            if got == whole:\n", "            if got:\n")
ANY_HOUR = (
    "one.when.isdisjoint(self._circumstances.open):\n                continue",
    "False:\n                continue",
)
NO_CONDITION = ("                more = _unblocked(", "                _unblocked(")
ERROR_IS_ALLOW = (
    "return Verdict(self._place.default, Reason.ENGINE_ERROR, detail=type(error).__name__)",
    "return Verdict(self._place.default)",
)
QUICK = settings(max_examples=2000, deadline=None, database=None, derandomize=True, phases=[Phase.generate])


def broken(monkeypatch: pytest.MonkeyPatch, bug: tuple[str, str]) -> None:
    """Let `compile` open authorities of a copy of the source in which ``bug`` replaces one line."""
    source = inspect.getsource(authority)
    assert source.count(bug[0]) == 1, "the line to break is there, once"
    copy: dict[str, object] = {"__name__": "broken_authority"}
    exec(compile(source.replace(*bug), "broken_authority", "exec"), copy)
    monkeypatch.setattr(compile_module, "Authority", copy["Authority"])


def wrongly_allowed(question: tuple[Plant, list[Probe]]) -> bool:
    plant, asked = question
    policy = plant.policy()
    return any(_allows(policy, probe) and not plant.allows(probe) for probe in asked)


def _allows(policy: Policy, probe: Probe) -> bool:
    return policy.open(probe.principal, probe.device, "toy").decide(probe.action, 0.0).allowed


@pytest.fixture(
    params=[NO_NEVER, ANY_ATOM, ANY_HOUR, NO_CONDITION],
    ids=["never is not asked", "one atom is enough", "hours are not asked", "what a constraint blocks counts"],
)
def bug(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    broken(monkeypatch, request.param)
    yield


@pytest.mark.usefixtures("bug")
def test_a_bug_that_widens_is_found_by_the_probes() -> None:
    find(QUESTIONS, wrongly_allowed, settings=QUICK)


def test_an_error_read_as_allow_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    zone = surface(rule("bug", ["scada"], Broken("read", 0, 9)), rule("all", ["mes"], reads(0, 9)))
    probe = Probe(who("scada", "x509"), "plc", read(1))

    def allowed() -> bool:
        return _allows(compile_module.compile_policy([zone], [], INVENTORY), probe)

    assert not allowed()
    broken(monkeypatch, ERROR_IS_ALLOW)
    assert allowed(), "so the test above would have seen it"
