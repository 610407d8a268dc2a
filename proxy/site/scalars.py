"""What a plain (unquoted) YAML scalar means here. YAML 1.1 and 1.2 readers differ; where they do, we refuse.

`no` is a country to one reader and False to another, `12:30` is 750, `0755` is 493 or 755 (dependencies.md trap 6).
So: `true` and `false` are booleans, decimal numbers are numbers, `null` and nothing at all are null, everything else
is text, and whatever some reader would take for something else must be quoted.
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

QUOTE_IT = "quote it"
MAX_DIGITS = 18

_TRUE_WORDS = ("y", "Y", "yes", "Yes", "YES", "True", "TRUE", "on", "On", "ON")
_FALSE_WORDS = ("n", "N", "no", "No", "NO", "False", "FALSE", "off", "Off", "OFF")
_NULL_WORDS = ("~", "Null", "NULL")
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None, "": None}
_REFUSED_WORDS = {
    **dict.fromkeys(_TRUE_WORDS, "write true, or quote it if it is text"),
    **dict.fromkeys(_FALSE_WORDS, "write false, or quote it if it is text"),
    **dict.fromkeys(_NULL_WORDS, "write null, or quote it if it is text"),
    "<<": "merge keys are not read here: write the keys out",
}
SPECIAL = frozenset(_WORDS) | frozenset(_REFUSED_WORDS)
STARTS_NUMBER = frozenset("0123456789+-.")
"""A plain scalar that is not in `SPECIAL` and does not start so is text: the caller need not ask `plain`."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_OTHER_NUMBER = re.compile(
    r"""[-+]? (?: [0-9][0-9_]*                            # leading zeros, underscores, plus sign
              | 0[xX][0-9a-fA-F_]+ | 0[oO][0-7_]+ | 0[bB][01_]+
              | [0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9_]*)?     # sexagesimal: 12:30 is 750
              | (?:[0-9][0-9_]*)?\.[0-9_]+(?:[eE][-+]?[0-9]+)? | [0-9][0-9_]*\.(?:[eE][-+]?[0-9]+)?
              | [0-9][0-9_]*[eE][-+]?[0-9]+
              | \.(?:inf|Inf|INF) ) | \.(?:nan|NaN|NAN)""",
    re.VERBOSE,
)


class Ambiguous(ValueError):
    """A scalar that readers of YAML disagree about. ``args`` are (what is wrong, how to mend)."""


def plain(text: str) -> Scalar:
    """The value of a plain scalar. Raises Ambiguous."""
    if text in _WORDS:
        return _WORDS[text]
    if text in _REFUSED_WORDS:
        raise Ambiguous(f"{text} means different things to different readers of YAML", _REFUSED_WORDS[text])
    if text[0] in STARTS_NUMBER:
        return _number(text)
    return text


def plain_key(text: str) -> str:
    """A plain scalar used as a key is a name: always text, but never one that some reader takes for another."""
    if text == "" or text == "null":
        raise Ambiguous("the key is empty", "give it a name")
    value = plain(text)
    if isinstance(value, bool):
        raise Ambiguous(f"the key {text} is a truth value", QUOTE_IT)
    return text


def _number(text: str) -> Scalar:
    if _INTEGER.fullmatch(text) or _DECIMAL.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise Ambiguous(f"a number has at most {MAX_DIGITS} digits", "shorten it, or quote it if it is text")
        return float(text) if "." in text else int(text)
    if _OTHER_NUMBER.fullmatch(text):
        raise Ambiguous(f"{text[:40]} is not a plain decimal number", "quote it if it is text, or write it in decimal")
    return text
