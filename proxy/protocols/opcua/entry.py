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


UNFINISHED = 64 << 10
"""Bytes of an unfinished message that any channel may have."""
POOL = 16 << 20
"""Bytes beyond that, of all unfinished messages of a listener (T43): 200 clients that finish none hold no more."""


class Pool:
    """What channels hold of messages that are not whole, beyond `UNFINISHED` each."""

    def __init__(self) -> None:
        self._taken = 0

    def holds(self, before: int, now: int) -> bool:
        """A channel that held ``before`` bytes holds ``now``. False: there is no room for that; ``before`` still
        counts."""
        more = max(0, now - UNFINISHED) - max(0, before - UNFINISHED)
        if more > 0 and self._taken + more > POOL:
            return False
        self._taken += more
        return True


class Entry(NamedTuple):
    own: OwnCertificate | None
    north: NorthSetting
    front: Front
    pool: Pool


def pool_of(memory: Memory, name: str) -> Pool:
    """Of a listener whose channels are not ours: there is no more to it."""
    made = memory.entries.get(name)
    if not isinstance(made, Pool):
        made = memory.entries[name] = Pool()
    return made


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
    return Entry(own, _north(listener, setting, own), Front(listener, setting.name, own), Pool())


def _north(listener: OpcUaListener, setting: Setting, own: OwnCertificate | None) -> NorthSetting:
    none = frozenset(("None",)) if listener.unsafe_none else frozenset()
    if own is None:
        return NorthSetting(None, none, frozenset(), None)
    trust = Trust(setting.secret(name) for name in listener.trust_files)
    modes = frozenset(Mode[name.upper()] for name in listener.modes)
    return NorthSetting(own, listener.policies | none, modes, trust, discovery_in_none=True)
