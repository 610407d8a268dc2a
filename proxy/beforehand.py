"""What is refused before any rule is asked: a speaker who is not believed, and what a protocol refuses by itself.

For whoever tells people what would happen: a test, or `explain`, must not promise what no message gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.identity.identify import refusal
from proxy.policy.assume import assumed
from proxy.site.outright import refused_outright

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.inventory import Device
    from proxy.core.reason import Reason
    from proxy.core.surface import RuleTest
    from proxy.policy.cases import Outright
    from proxy.protocols.base import ProtocolSpec


def beforehand(devices: Mapping[str, Device], protocols: Mapping[str, ProtocolSpec]) -> Outright:
    """For `proxy.policy.cases`: (reason, detail), or None where the rules decide."""

    def refused(test: RuleTest) -> tuple[Reason, str] | None:
        speaker = assumed(test.who, devices, test.evidence)
        device = None if speaker.id is None else devices[speaker.id]
        if (reason := refusal(speaker, device)) is not None:
            return reason, f"identity of {speaker.label}: {reason.sentence}"
        return refused_outright(devices, protocols, test.to, test.actions)

    return refused
