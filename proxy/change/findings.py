"""What shows only when a policy is compiled and asked: faults, rules without effect, its own tests failing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from proxy.beforehand import beforehand
from proxy.core.origin import Origin
from proxy.policy import check
from proxy.policy.cases import run_tests
from proxy.policy.compile import PolicyError
from proxy.policy.shadowed import compile_shadowed
from proxy.site import Finding, Problem
from proxy.site.outright import pointless_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.action import Target
    from proxy.policy.check import Finding as PolicyFinding
    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Site


def policy_problems(site: Site, protocols: Mapping[str, ProtocolSpec], now: float | None = None) -> Iterator[Problem]:
    """Errors and warnings. A site with an error is not taken into use. ``now``, seconds since 1970, says what is in
    monitor; None: as this machine's clock has it."""
    wall = time.time() if now is None else now
    try:
        policy = compile_shadowed(site.surfaces, site.roles, site.devices, site.hours, now=wall)
    except PolicyError as faults:
        for fault in faults.problems:
            yield Problem(Finding.POLICY, Origin("policies", 1), (), fault, "this is a fault of Bulkhead: report it")
        return
    secured = {listener.to for listener in site.listeners if listener.secures}

    def pointless(target: Target, device: str) -> tuple[str, str] | None:
        return pointless_at(site.devices, protocols, device, target)

    for found in check.lint(site.surfaces, site.roles, site.devices, secured, pointless):
        # A never that an allow runs into wins at every message; what is wrong is that somebody believes otherwise.
        yield _problem(Finding.POLICY if found.severity != check.ERROR else Finding.CONTRADICTION, found)

    before = beforehand(site.devices, protocols)
    for found in run_tests(policy, site.devices, before, site.cases, site.hours):
        yield _problem(Finding.TEST_FAILED, found)


def _problem(finding: Finding, found: PolicyFinding) -> Problem:
    warning = found.severity != "error"
    return Problem(finding, found.origin, (found.path,), found.wrong, found.mend, warning=warning)
