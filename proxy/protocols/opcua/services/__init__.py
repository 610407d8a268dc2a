"""Requests and responses of the services that policy looks at (Part 4, 5; protocols.md 4.4)."""

from types import ModuleType

from proxy.protocols.opcua.services import (
    attribute,
    channel,
    discovery,
    filters,
    history,
    manage,
    messages,
    method,
    monitor,
    query,
    session,
    subscription,
    view,
)
from proxy.protocols.opcua.services.messages import Request, Response
from proxy.protocols.opcua.structures import Struct

_MODULES = (
    messages, channel, discovery, session, view, attribute, history, filters, monitor, subscription, method, manage,
    query,
)  # fmt: skip


def _declared(modules: tuple[ModuleType, ...]) -> dict[int, type[Struct]]:
    found = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    return {kind.ID: kind for kind in found if issubclass(kind, Struct) and kind.ID}


_ALL = _declared(_MODULES)
SERVICES = {number: kind for number, kind in _ALL.items() if issubclass(kind, Request | Response)}
"""Messages by type id."""
INNER = {number: kind for number, kind in _ALL.items() if number not in SERVICES}
"""Structures that come in ExtensionObjects, by type id."""
