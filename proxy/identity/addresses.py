"""Addresses in the one form in which they are compared (T29)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

NO_MAC = "00:00:00:00:00:00"


def canonical_ip(text: str) -> str | None:
    """Canonical text; an IPv4-mapped IPv6 address is its IPv4 address, as a dual-stack listener sees IPv4 clients.

    None for what is no address. A scope (``%eth0``) stays: the same link-local address is somebody else elsewhere.
    """
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def same_ip(one: str, other: str) -> bool:
    """Both are addresses, and the same one."""
    canonical = canonical_ip(one)
    return canonical is not None and (one == other or canonical == canonical_ip(other))


def canonical_mac(text: str | None) -> str | None:
    """Lower-case colon form. None for no MAC, and for the zero MAC that loopback shows."""
    if text is None:
        return None
    mac = text.lower().replace("-", ":")
    return None if mac == NO_MAC else mac
