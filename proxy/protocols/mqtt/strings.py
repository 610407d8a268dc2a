"""Strings of MQTT: UTF-8 (1.5.4; 1.5.3 in 3.1.1), topic names, topic filters (4.7), shared subscriptions (4.8).

Python's strict UTF-8 refuses surrogates and overlong forms [MQTT-1.5.4-1] and keeps a byte order mark as U+FEFF
[MQTT-1.5.4-3], so equal text is equal bytes; nothing is normalised. In topics and ids control characters and
non-characters are refused too (1.5.4 "SHOULD NOT"; protocols.md 2.2): they are where brokers and logs differ.
"""

from __future__ import annotations

import re

from proxy.protocols.mqtt import reasons
from proxy.protocols.mqtt.framing import Broken

MAX_ID = 128
"""Bytes of a client id or a user name."""
MAX_TOPIC = 1024
"""Bytes of a topic name or filter."""
MAX_LEVELS = 32
"""Levels of a topic name or filter, for `$share` of the filter inside (CVE-2019-11779)."""
SHARE = "$share"

_NON_CHARACTERS = "\ufdd0-\ufdef" + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_UNFIT = re.compile(f"[\x00-\x1f\x7f-\x9f{_NON_CHARACTERS}]")


def decode_text(raw: bytes) -> str:
    """Any UTF-8 string without U+0000 [MQTT-1.5.4-2]. Raises `Broken` (0x81)."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise Broken("a string is not well-formed UTF-8") from None
    if "\0" in text:
        raise Broken("a string contains U+0000")
    return text


def decode_id(raw: bytes, what: str, code: int) -> str:
    """A client id or user name. Raises `Broken` (0x81, or ``code`` for our own limits)."""
    return _decode_name(raw, MAX_ID, what, code)


def decode_topic(raw: bytes) -> str:
    """A topic name, maybe empty: whether it may be is the caller's matter. Raises `Broken` (0x81, 0x90)."""
    text = _decode_name(raw, MAX_TOPIC, "a topic", reasons.TOPIC_INVALID)
    if "+" in text or "#" in text:  # [MQTT-3.3.2-2], [MQTT-4.7.1-1]
        raise Broken("a topic name contains a wildcard", reasons.TOPIC_INVALID)
    if text.count("/") >= MAX_LEVELS:
        raise Broken(f"a topic of more than {MAX_LEVELS} levels", reasons.TOPIC_INVALID, ours=True)
    return text


def decode_filter(raw: bytes) -> str:
    """A topic filter, `$share/group/filter` included. Raises `Broken` (0x81, 0x8F)."""
    text = _decode_name(raw, MAX_TOPIC, "a filter", reasons.FILTER_INVALID)
    inner = _inside_share(text)
    if not inner:  # [MQTT-4.7.3-1]
        raise Broken("an empty filter", reasons.FILTER_INVALID)
    if inner.count("/") >= MAX_LEVELS:
        raise Broken(f"a filter of more than {MAX_LEVELS} levels", reasons.FILTER_INVALID, ours=True)
    if "+" in inner or "#" in inner:
        _check_wildcards(inner)
    return text


def split_share(text: str) -> tuple[str | None, str]:
    """Group and filter of a decoded filter; the group is None unless it is a shared subscription."""
    if text.startswith(SHARE + "/"):
        _, group, inner = text.split("/", 2)
        return group, inner
    return None, text


def encode(text: str) -> bytes:
    """Length and UTF-8. Raises ValueError for surrogates, OverflowError above 65,535 bytes."""
    return encode_binary(text.encode())


def encode_binary(data: bytes) -> bytes:
    """Length and bytes. Raises OverflowError above 65,535."""
    return len(data).to_bytes(2, "big") + data


def _decode_name(raw: bytes, most: int, what: str, code: int) -> str:
    if len(raw) > most:
        raise Broken(f"{what} of {len(raw)} bytes, more than {most}", code, ours=True)
    if raw.isascii():
        text = raw.decode("ascii")
        if text.isprintable():
            return text
    text = decode_text(raw)
    if _UNFIT.search(text):
        raise Broken(f"{what} contains a control or non-character", code, ours=True)
    return text


def _inside_share(text: str) -> str:
    """The filter inside `$share/group/`, else ``text``.

    `$share` is judged in both versions, since brokers honour it for 3.1.1 clients too; without group or filter, or
    around another `$share`, it is refused rather than taken as an ordinary topic (protocols.md 2.5).
    """
    if not _is_share(text):
        return text
    parts = text.split("/", 2)
    if len(parts) < 3 or not parts[1] or not parts[2]:  # [MQTT-4.8.2-1], [MQTT-4.8.2-2]
        raise Broken("a $share filter lacks its group or its filter", reasons.FILTER_INVALID)
    if "+" in parts[1] or "#" in parts[1]:  # [MQTT-4.8.2-2]
        raise Broken("a $share group contains a wildcard", reasons.FILTER_INVALID)
    if _is_share(parts[2]):
        raise Broken("a $share filter inside another", reasons.FILTER_INVALID, ours=True)
    return parts[2]


def _is_share(text: str) -> bool:
    return text == SHARE or text.startswith(SHARE + "/")


def _check_wildcards(text: str) -> None:
    levels = text.split("/")
    for number, level in enumerate(levels, 1):
        if "#" in level and (level != "#" or number < len(levels)):  # [MQTT-4.7.1-1]; 3.1.1 [MQTT-4.7.1-2]
            raise Broken("# is not a whole last level", reasons.FILTER_INVALID)
        if "+" in level and level != "+":  # [MQTT-4.7.1-2]; 3.1.1 [MQTT-4.7.1-3]
            raise Broken("+ is not a whole level", reasons.FILTER_INVALID)
