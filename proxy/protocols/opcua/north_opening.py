"""Whom a listener lets open a secure channel, and how: what it offers, and each check of an OPN by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.protocols.opcua import status
from proxy.protocols.opcua.channel import Halt
from proxy.protocols.opcua.opening import OpenBody, OpenChunk, plain_body, unsealed_body
from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer, Trust
from proxy.protocols.opcua.security.policies import NONE, POLICIES, Mode, Policy
from proxy.protocols.opcua.wire import Malformed

if TYPE_CHECKING:
    from proxy.protocols.opcua.services.channel import OpenSecureChannelRequest

OPENINGS, OPENINGS_PER_SECOND = 256.0, 20.0
"""First OPNs with one certificate: so many at once, and then so many a second."""
MOST = 1_024
"""Certificates whose OPNs are counted."""


class Openings:
    """How often each certificate may put us to our private key (T43, CVE-2023-32787).

    A certificate is no secret: whoever has seen the HMI's can send OPNs that cost us 2 ms (2048 bits) to 20 ms (4096)
    each before they turn out to be forged. So each certificate has its own budget, and who abuses one takes the time
    of its owner alone.
    """

    __slots__ = ("_left", "_most", "_rate")

    def __init__(self, most: float = OPENINGS, rate: float = OPENINGS_PER_SECOND) -> None:
        self._most = most
        self._rate = rate
        self._left: dict[bytes, tuple[float, float]] = {}

    def take(self, thumbprint: bytes, now: float) -> bool:
        """False: spent. ``now`` is monotonic seconds."""
        left, then = self._left.pop(thumbprint, (self._most, now))
        left = min(left + (now - then) * self._rate, self._most)
        enough = left >= 1
        self._left[thumbprint] = (left - enough, now)
        if len(self._left) > MOST:
            del self._left[next(iter(self._left))]
        return enough


@dataclass(frozen=True, slots=True)
class NorthSetting:
    """What a listener offers. ``policies``: short names, "None" only where that is allowed. ``modes``: SIGN and
    SIGN_AND_ENCRYPT. ``own`` and ``trust`` are there if any policy but None is. ``discovery_in_none``: a client may
    open a None channel although "None" is not offered, to ask for the endpoints. One object for all its links."""

    own: OwnCertificate | None
    policies: frozenset[str]
    modes: frozenset[Mode]
    trust: Trust | None
    discovery_in_none: bool = False
    openings: Openings = field(default_factory=Openings, compare=False, repr=False)


def policy_of(setting: NorthSetting, chunk: OpenChunk) -> tuple[Policy, bool]:
    """The policy of a first OPN, and whether it is for discovery alone."""
    policy = POLICIES.get(chunk.policy_uri or "")
    if policy is not None and policy.name in setting.policies:
        return policy, False
    if policy is NONE and setting.discovery_in_none:
        return policy, True
    raise Halt(status.BAD_SECURITY_POLICY_REJECTED, "a security policy that the listener does not offer")


def sender_of(setting: NorthSetting, chunk: OpenChunk, wall: float) -> Peer:
    """The sender's certificate, believed. No private key is used."""
    own, trust = setting.own, setting.trust
    if own is None or trust is None or chunk.thumbprint != own.thumbprint:
        raise Halt(status.BAD_SECURITY_CHECKS_FAILED, "an OPN that was not made for our certificate")
    peer = Peer.read(chunk.certificate or b"")
    if isinstance(peer, Malformed):
        raise Halt(status.BAD_SECURITY_CHECKS_FAILED, peer.why)
    why = trust.accepts_peer(peer, wall)
    if why is not None:
        reason = Reason.CERTIFICATE_ENDED if "expired" in why else Reason.UNKNOWN_DEVICE
        which = f" (SHA-1 {peer.thumbprint.hex()})"  # what applications and `certs opcua list` show
        raise Halt(status.BAD_SECURITY_CHECKS_FAILED, why + which, reason)
    return peer


def body_of(setting: NorthSetting, chunk: OpenChunk, policy: Policy, peer: Peer | None) -> OpenBody:
    """What the OPN says: decrypted and verified if the policy is secured."""
    own = setting.own
    if peer is None or own is None:
        said = plain_body(chunk)
    else:
        said = unsealed_body(chunk, policy, own.key, peer.public_key)
    if said is None:
        raise Halt(status.BAD_SECURITY_CHECKS_FAILED, "an OPN that its sender's certificate does not prove")
    return said


def mode_of(setting: NorthSetting, policy: Policy, asked: OpenSecureChannelRequest) -> Mode:
    offered = setting.modes - {Mode.NONE} if policy.secured else frozenset({Mode.NONE})
    for mode in offered:
        if mode.value == asked.security_mode:
            return mode
    raise Halt(status.BAD_SECURITY_MODE_REJECTED, "a security mode that is not offered")
