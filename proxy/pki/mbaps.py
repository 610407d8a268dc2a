"""The role extension of Modbus/TCP Security (MB-TCP-Security v36, R-21, R-22, R-23, R-65).

The value is one ASN.1 UTF8String, the whole of it the role: no splitting, no case folding. Whatever is not exactly
that is the NULL role, which matches a rule only by its name.
"""

from __future__ import annotations

import unicodedata

from cryptography.x509 import ObjectIdentifier

ROLE_OID = ObjectIdentifier("1.3.6.1.4.1.50316.802.1")
MAX_ROLE = 64
MAX_ROLE_BYTES = 255

_UTF8_STRING = 0x0C
_ONE_LENGTH_BYTE = 0x81
_SHORT_FORM_END = 0x80


def encode_role(role: str) -> bytes:
    """The DER of ``role``. Raises ValueError for a role that a rule could not name (`mbaps:ROLE` in policies)."""
    octets = role.encode("utf-8")
    size = len(octets)
    if not 0 < len(role) <= MAX_ROLE or size > MAX_ROLE_BYTES or role != role.strip() or not role.isprintable():
        raise ValueError(f"a role is 1 to {MAX_ROLE} printable characters without blanks around them")
    if not unicodedata.is_normalized("NFC", role):
        raise ValueError("a role is composed text (Unicode NFC)")
    head = (size,) if size < _SHORT_FORM_END else (_ONE_LENGTH_BYTE, size)
    return bytes((_UTF8_STRING, *head)) + octets


def decode_role(value: bytes) -> str | None:
    """The role in an extension's value, or None for the NULL role. Total.

    None for: another tag (PrintableString, bytes without a tag as some libraries emit them), a length that is not
    minimal, indefinite or over `MAX_ROLE_BYTES`, missing or trailing bytes, an empty string, invalid UTF-8, and text
    that does not print, because a role ends up in records and on screens.
    """
    if len(value) < 3 or value[0] != _UTF8_STRING:
        return None
    size, start = value[1], 2
    if size == _ONE_LENGTH_BYTE:
        size, start = value[2], 3
        if size < _SHORT_FORM_END:
            return None  # the short form would have done: not DER (X.690 10.1)
    elif size >= _SHORT_FORM_END:
        return None
    if len(value) != start + size:
        return None
    try:
        role = value[start:].decode("utf-8")
    except UnicodeDecodeError:
        return None
    return role if role.isprintable() else None
