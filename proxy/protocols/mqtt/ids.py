"""Client ids and user names that can never be taken for a pattern, a topic or a piece of another text (T12)."""

from __future__ import annotations

import re

MOST_ID = 128
PLAIN_WORDS = "letters, digits and . _ : @ | = ~ , ; ! ? & ' ( ) < > [ ] ^ -, at most 128"
_PLAIN = re.compile(r"[A-Za-z0-9._:@|=~,;!?&'()<>\[\]^-]{0,128}")


def is_plain(text: str) -> bool:
    """It is in the closed alphabet: visible ASCII without blank, quotes, backslash and ``+ # / $ * % { } ```."""
    return _PLAIN.fullmatch(text) is not None
