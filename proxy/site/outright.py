"""What the protocols of a site refuse whatever its rules say, for whoever tells people what would happen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.inventory import Device
    from proxy.core.reason import Reason
    from proxy.protocols.base import ProtocolSpec


def refused_outright(
    devices: Mapping[str, Device], protocols: Mapping[str, ProtocolSpec], to: str, actions: tuple[Action, ...]
) -> tuple[Reason, str] | None:
    """Why device ``to`` never hears of ``actions``, or None. A device without that service has nothing to say."""
    if not actions or to not in devices:
        return None
    service = devices[to].services.get(actions[0].protocol)
    if service is None or actions[0].protocol not in protocols:
        return None
    return protocols[actions[0].protocol].outright(actions, service.options)


def pointless_at(
    devices: Mapping[str, Device], protocols: Mapping[str, ProtocolSpec], to: str, target: Target
) -> tuple[str, str] | None:
    """Why a rule's target comes to nothing at device ``to``, and how to mend it; or None."""
    if to not in devices or target.protocol not in protocols:
        return None
    service = devices[to].services.get(target.protocol)
    if service is None:
        name = target.protocol
        return f"{to} has no service {name}", f"name it under services: of {to}, or take {name} out of the rule"
    return protocols[target.protocol].pointless(target, service.options)
