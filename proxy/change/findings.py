"""What shows only when a policy is compiled and asked: faults, rules without effect, its own tests failing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from proxy.core.origin import Origin
from proxy.policy import check
from proxy.policy.cases import run_tests
from proxy.policy.compile import PolicyError, compile_policy
from proxy.site import Finding, Problem
from proxy.site.outright import pointless_at, refused_outright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.action import Target
    from proxy.core.reason import Reason
    from proxy.core.surface import RuleTest
    from proxy.policy.check import Finding as PolicyFinding
    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Site


def policy_problems(site: Site, protocols: Mapping[str, ProtocolSpec]) -> Iterator[Problem]:
    """Errors and warnings. A site with an error is not taken into use."""
    try:
        policy = compile_policy(site.surfaces, site.roles, site.devices)
    except PolicyError as faults:
        for fault in faults.problems:
            yield Problem(Finding.POLICY, Origin("policies", 1), (), fault, "this is a fault of Bulkhead: report it")
        return
    secured = {listener.to for listener in site.listeners if listener.tls is not None}

    def pointless(target: Target, device: str) -> tuple[str, str] | None:
        return pointless_at(site.devices, protocols, device, target)

    for found in check.lint(site.surfaces, site.roles, site.devices, secured, pointless):
        yield _problem(Finding.POLICY, found)

    def outright(test: RuleTest) -> tuple[Reason, str] | None:
        return refused_outright(site.devices, protocols, test.to, test.actions)

    for found in run_tests(policy, site.devices, outright, site.cases, site.hours):
        yield _problem(Finding.TEST_FAILED, found)


def _problem(finding: Finding, found: PolicyFinding) -> Problem:
    warning = found.severity != "error"
    return Problem(finding, found.origin, (found.path,), found.wrong, found.mend, warning=warning)
