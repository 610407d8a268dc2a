"""What a connection shows of itself, gathered once when it opens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """The parts of a chain-verified client certificate that identity and policy look at.

    ``role`` is the mbaps role (OID 1.3.6.1.4.1.50316.802.1) as the certificate has it, or None for the NULL role.
    Times are seconds since the epoch (wall clock, as certificates are).
    """

    serial: int
    common_name: str | None
    uris: tuple[str, ...]
    role: str | None
    not_before: float
    not_after: float
    sha256: str


@dataclass(frozen=True, slots=True)
class ConnFacts:
    """One accepted connection. ``mac`` is lower-case colon form, None when the link shows none (loopback, tunnel,
    SYN cookies). ``syn`` is the SYN signature of identity.md 4, a hint only. ``application_uri`` is what an OPC UA
    client calls itself; hostile text unless the certificate has it too. ``channel``: who it is comes from a secure
    channel of the protocol's own (OPC UA) and not from TLS: the certificate is one that the listener trusts, and need
    not be of the site's authority. ``inside``: the connection never left this process, and this device of the
    inventory is who the gateway speaks as."""

    listener: str
    peer_ip: str
    peer_port: int
    mac: str | None = None
    syn: str | None = None
    tls_version: str | None = None
    certificate: CertificateFacts | None = None
    application_uri: str | None = None
    channel: bool = False
    inside: str | None = None
