"""The vectors' notation for MQTT packets: bytes written so that a person can check them against the specification.

``30 ~ "a/b" {23 0001} 'hello'``
    hex digits      bytes as they stand; ``FF*9`` repeats them
    ``~``           the length of all that follows (in this block), as a Variable Byte Integer in its shortest form
    ``"text"``      UTF-8 with its two bytes of length; ``"a/"*40`` repeats the text inside
    ``'text'``      the bytes of the text alone; may be repeated too
    ``{...}``       a property list: its length, then what is inside
    ``\\uXXXX``      inside quotes, a character of the basic plane by its code point
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.support.tables import table

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "mqtt"

_TOKEN = re.compile(
    r"""\s*(?: (?P<open>\{) | (?P<close>\}) | (?P<length>~)
    | "(?P<text>[^"]*)"(?:\*(?P<text_times>\d+))? | '(?P<raw>[^']*)'(?:\*(?P<raw_times>\d+))?
    | (?P<hex>[0-9A-Fa-f]+)(?:\*(?P<hex_times>\d+))? )""",
    re.VERBOSE,
)


def packet(text: str) -> bytes:
    """The bytes that ``text`` stands for. Raises ValueError for what is no notation."""
    blocks: list[list[bytes | None]] = [[]]
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"not understood: {text[at:]!r}")
        at = match.end()
        if match["open"]:
            blocks.append([None])
        elif match["close"]:
            inside = _join(blocks.pop())
            blocks[-1].append(inside)
        else:
            blocks[-1].append(None if match["length"] else _bytes(match))
    if len(blocks) != 1:
        raise ValueError(f"a brace is open: {text!r}")
    return _join(blocks[0])


def varint(value: int) -> bytes:
    """The shortest form, written from 1.5.5 and not from the codec."""
    digits = []
    while True:
        value, digit = divmod(value, 128)
        digits.append(digit + 128 if value else digit)
        if not value:
            return bytes(digits)


def load(name: str) -> list[dict[str, Any]]:
    """The vectors of `tests/vectors/mqtt/<name>.yaml`, each a mapping with a unique `name` and its `clause`."""
    document = table(FOLDER / f"{name}.yaml")
    vectors: list[dict[str, Any]] = document["vectors"]
    names = [vector["name"] for vector in vectors]
    twice = {each for each in names if names.count(each) > 1}
    if twice:
        raise ValueError(f"{name}.yaml: names used twice: {sorted(twice)}")
    return vectors


def _bytes(match: re.Match[str]) -> bytes:
    if match["hex"]:
        return bytes.fromhex(match["hex"]) * int(match["hex_times"] or 1)
    if match["raw"] is not None:
        return _text(match["raw"]) * int(match["raw_times"] or 1)
    text = _text(match["text"]) * int(match["text_times"] or 1)
    return len(text).to_bytes(2, "big") + text


def _text(written: str) -> bytes:
    return re.sub(r"\\u([0-9A-Fa-f]{4})", lambda match: chr(int(match[1], 16)), written).encode()


def _join(block: list[bytes | None]) -> bytes:
    """None stands for the length of what follows it."""
    found = b""
    for part in reversed(block):
        found = varint(len(found)) + found if part is None else part + found
    return found
