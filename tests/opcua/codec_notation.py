"""The vectors' notation for OPC UA: bytes written so that a person can check them against Part 6.

``@631 {request} ... #1 030200 "Speed" #13 - 0000 -``
    hex digits    bytes as they stand; ``FF*4`` repeats them
    ``@n``        the type id of a message: a four byte NodeId of namespace 0
    ``#n``        an Int32, little endian: a length, a count, a number
    ``-``         the Int32 -1: a null string or array
    ``"text"``    UTF-8 behind its length
    ``( ... )``   the bytes inside behind their length
    ``{name}``    a piece of `PIECES`; ``{name}*3`` repeats it
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.support.tables import table

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "opcua"
PIECES = {
    # A null token, no time, handle 7, no diagnostics, no audit id, no timeout, no additional header.
    "request": "0000 00*8 #7 #0 - #0 000000",
    # No time, handle 7, Good, no diagnostics, no string table, no additional header.
    "response": "00*8 #7 #0 00 - 000000",
    # Attribute 13, no index range, no data encoding.
    "value": "#13 - 0000 -",
    # 15 Variants around what follows; 15 DataValues in Variants.
    "levels15": "980100000098010000009801000000980100000098010000009801000000980100000098010000009801000000"
    "980100000098010000009801000000980100000098010000009801000000",
    "values15": "1701*15",
}

_TOKEN = re.compile(
    r"""\s*(?: (?P<open>\() | (?P<close>\)) | @(?P<type>\d+) | \#(?P<number>-?\d+) | (?P<null>-)
    | "(?P<text>[^"]*)" | \{(?P<piece>\w+)\}(?:\*(?P<piece_times>\d+))?
    | (?P<hex>[0-9A-Fa-f]+)(?:\*(?P<hex_times>\d+))? )""",
    re.VERBOSE,
)


def load(name: str) -> list[dict[str, Any]]:
    """The vectors of a file."""
    vectors: list[dict[str, Any]] = table(FOLDER / f"{name}.yaml")["vectors"]
    return vectors


def message(text: str) -> bytes:
    """The bytes that ``text`` stands for. Raises ValueError for what is no notation."""
    blocks = [b""]
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"not understood: {text[at:]!r}")
        at = match.end()
        if match["open"]:
            blocks.append(b"")
        elif match["close"]:
            inside = blocks.pop()
            blocks[-1] += _int32(len(inside)) + inside
        else:
            blocks[-1] += _bytes(match)
    if len(blocks) != 1:
        raise ValueError(f"a bracket is open: {text!r}")
    return blocks[0]


def _bytes(match: re.Match[str]) -> bytes:
    if match["type"]:
        return b"\x01\x00" + int(match["type"]).to_bytes(2, "little")
    if match["number"]:
        return _int32(int(match["number"]))
    if match["null"]:
        return _int32(-1)
    if match["text"] is not None:
        raw = match["text"].encode()
        return _int32(len(raw)) + raw
    if match["piece"]:
        return message(PIECES[match["piece"]]) * int(match["piece_times"] or 1)
    return bytes.fromhex(match["hex"]) * int(match["hex_times"] or 1)


def _int32(number: int) -> bytes:
    return number.to_bytes(4, "little", signed=True)
