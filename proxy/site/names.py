"""Names and patterns. Names come from a closed alphabet: none can be a pattern, a path or a topic (T12, T29)."""

from __future__ import annotations

import ipaddress
import re
import unicodedata

# For the JSON Schemas; what decides are the functions below.
ID_PATTERN = "^[a-z0-9][a-z0-9._-]{0,63}$"
WILD_PATTERN = "^(?=.*[a-z0-9])[a-z0-9*][a-z0-9._*-]{0,63}$"
PLACE_PATTERN = "^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$"
SPEAKER_PATTERN = f"{WILD_PATTERN}|^role:[a-z0-9][a-z0-9._-]{{0,63}}$|^mbaps:[^* ][^*]{{0,63}}$"
WHO_PATTERN = f"{ID_PATTERN}|^mbaps:[^* ][^*]{{0,63}}$"
HOST_PATTERN = "^[A-Za-z0-9:]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9:])?$"
URI_PATTERN = "^[a-z][a-z0-9+.-]*:[!-~]{1,240}$"
ZONE_PATTERN = "^(?!right/|posix/)[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"
BECAUSE_PATTERN = "^([a-z0-9][a-z0-9._-]{0,63}/)?[a-z0-9][a-z0-9._-]{0,63}$"

ID_WORDS = "a name has a-z, 0-9, '-', '.', '_', starts with a letter or digit, and has at most 64 characters"
ROLE = "role:"
MBAPS = "mbaps:"
MBAPS_NULL = "mbaps-null"
MOST_ROLE_TEXT = 64

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_WILD = re.compile(r"(?=.*[a-z0-9])[a-z0-9*][a-z0-9._*-]{0,63}")
_PLACE = re.compile(r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?", re.IGNORECASE)
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]{1,240}")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")
_NO_ZONES = ("right/", "posix/", "localtime", "posixrules", "Factory")
"""Zone data that counts leap seconds, says everything twice, or means this machine's own zone."""
_IPV4_INSIDE = tuple(
    ipaddress.IPv6Network(text) for text in ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "2002::/16", "2001::/32")
)
"""Compatible, mapped, NAT64, 6to4, Teredo. The loopback and unspecified addresses lie in the first."""


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def is_place(text: str) -> bool:
    return len(text) <= 255 and _PLACE.fullmatch(text) is not None


def is_pattern(text: str) -> bool:
    """An id in which ``*`` stands for any characters, none included. It must say something besides ``*``."""
    return "*" in text and _WILD.fullmatch(text) is not None


def is_speaker(text: str) -> bool:
    """What ``from:`` takes. There is no word for *anybody*, and a bare ``*`` is none."""
    if text.startswith(ROLE):
        return is_id(text.removeprefix(ROLE))
    if text.startswith(MBAPS):
        # Compared whole (MB-TCP-Security R-65): a * would look like a wildcard and be none.
        return is_plain_text(text.removeprefix(MBAPS), MOST_ROLE_TEXT) and "*" not in text
    return is_id(text) or is_pattern(text)


def is_one_speaker(text: str) -> bool:
    """What ``who:`` of a test takes."""
    return is_speaker(text) and not text.startswith(ROLE) and "*" not in text


def is_in_certificate(speaker: str) -> bool:
    """Whether only a certificate can show that somebody is this speaker."""
    return speaker.startswith(MBAPS) or speaker == MBAPS_NULL


def is_zone(text: str) -> bool:
    """The form of an IANA zone name. Whether there is such a zone, zone data must tell."""
    return len(text) <= 64 and _ZONE.fullmatch(text) is not None and not text.startswith(_NO_ZONES)


def is_because(text: str) -> bool:
    """``RULE`` or ``SURFACE/RULE``."""
    surface, slash, rule = text.rpartition("/")
    return is_id(rule) and (not slash or is_id(surface))


def is_uri(text: str) -> bool:
    return _URI.fullmatch(text) is not None


def is_plain_text(text: str, most: int) -> bool:
    """Text as it may stand in a certificate: visible, composed (NFC), and not padded with blanks."""
    return (
        0 < len(text) <= most and text.isprintable() and text == text.strip() and unicodedata.is_normalized("NFC", text)
    )


def matches(pattern: str, name: str) -> bool:
    """Linear in the name, unlike a regular expression with many ``.*`` (T44)."""
    head, *middle = pattern.split("*")
    if not middle:
        return pattern == name
    tail = middle.pop()
    if len(name) < len(head) + len(tail) or not name.startswith(head) or not name.endswith(tail):
        return False
    at, end = len(head), len(name) - len(tail)
    for piece in middle:
        at = name.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def address(text: str) -> str:
    """The canonical form of a literal IPv4 or IPv6 address. Raises ValueError with what is wrong.

    Names are refused: a name can be bound to another address later (T60). So is an IPv4 address written as IPv6, which
    would be another key for the same machine (T29).
    """
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not an IPv4 or IPv6 address") from None
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None:
            raise ValueError(f"{text[:60]!r} names an interface (%)")
        if any(ip in network for network in _IPV4_INSIDE) and int(ip) > 1:
            raise ValueError(f"{text[:60]!r} is an IPv4 address in IPv6 clothes")
    return str(ip)


def host(text: str) -> str:
    """A host name, or the canonical form of a literal address. Raises ValueError with what is wrong. No wildcard: it is
    what a certificate must be made out to."""
    labels = text.split(".")
    if ":" in text or labels[-1].isdigit():
        return address(text)
    if len(text) > 253 or not text.isascii() or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{text[:60]!r} is not a host name")
    return text.lower()


def bind(text: str) -> tuple[str, int]:
    """``host:port`` or ``[host]:port`` with a literal address. Raises ValueError with what is wrong."""
    match = re.fullmatch(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<v4>[^:\[\]]+)):(?P<port>[1-9][0-9]{0,4})", text, re.ASCII)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"{text[:60]!r} is not an address and a port from 1 to 65535")
    host = address(match["v6"] or match["v4"])
    if (":" in host) != (match["v6"] is not None):
        raise ValueError(f"{text[:60]!r}: brackets are for IPv6 addresses, and those need them")
    return host, int(match["port"])


def mac(text: str) -> str:
    """Lower-case colon form of the MAC address of one interface. Raises ValueError with what is wrong."""
    import netaddr  # only sites that bind MAC addresses pay for its import

    if not re.fullmatch(r"[0-9A-Fa-f:.-]+", text) or not netaddr.valid_mac(text):
        raise ValueError(f"{text[:60]!r} is not a MAC address")
    value = netaddr.EUI(text, version=48, dialect=netaddr.mac_unix_expanded)
    if int(value) == 0 or int(value) >> 40 & 1:
        raise ValueError(f"{text[:60]!r} is a group or empty address; no single machine has it")
    return str(value)
