"""What a listener is to its clients: made of the operator's words and files once, not for each connection.

To read a private key takes longer than most of what follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from proxy.protocols.opcua.discovery import Front
from proxy.protocols.opcua.north_channel import NorthSetting
from proxy.protocols.opcua.security.certificates import OwnCertificate, Trust
from proxy.protocols.opcua.security.policies import Mode

if TYPE_CHECKING:
    from proxy.protocols.base import Setting
    from proxy.protocols.opcua.listener import OpcUaListener
    from proxy.protocols.opcua.memory import Memory

MOST = 8
"""Listeners of one device, and versions of their files, that are kept made."""


class Entry(NamedTuple):
    own: OwnCertificate | None
    north: NorthSetting
    front: Front


def entry_of(memory: Memory, listener: OpcUaListener, setting: Setting) -> Entry:
    """Raises `CertificateFault` for files that cannot be used; they are checked when the gateway takes them."""
    files = tuple([setting.secret(name) for name in listener.secrets])
    key = (listener, setting.name, files)
    made = memory.entries.get(key)
    if not isinstance(made, Entry):
        while len(memory.entries) >= MOST:
            del memory.entries[next(iter(memory.entries))]
        made = memory.entries[key] = _make(listener, setting)
    return made


def _make(listener: OpcUaListener, setting: Setting) -> Entry:
    own = None
    if listener.mode == "terminate":
        own = OwnCertificate.load(setting.secret(listener.certificate_file), setting.secret(listener.key_file))
    return Entry(own, _north(listener, setting, own), Front(listener, setting.name, own))


def _north(listener: OpcUaListener, setting: Setting, own: OwnCertificate | None) -> NorthSetting:
    none = frozenset(("None",)) if listener.unsafe_none else frozenset()
    if own is None:
        return NorthSetting(None, none, frozenset(), None)
    trust = Trust(setting.secret(name) for name in listener.trust_files)
    modes = frozenset(Mode[name.upper()] for name in listener.modes)
    return NorthSetting(own, listener.policies | none, modes, trust, discovery_in_none=True)
