"""What the parsers of listeners and services share: one key at a time, each mistake told where it stands."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy.protocols.base import Path, Report

POLICIES = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
"""Security policies that the gateway speaks, by the last part of their URIs (OPC 10000-7, 6.6)."""
BROKEN_POLICIES = ("Basic128Rsa15", "Basic256")
MODES = ("sign", "sign_and_encrypt")
SUFFIXES = (".crt", ".der", ".pem")
NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
"""A name of a file in the site's ``certs/``."""
_TIME = re.compile(r"([0-9]{1,6})(ms|s|min)")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0}


def nearest(word: object, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, 1) if isinstance(word, str) else []
    return f"did you mean {close[0]!r}?" if close else f"one of {', '.join(names)}"


def quoted(value: object) -> str:
    """As a report shows a value: never long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def certificate_file(name: str) -> str:
    """The file in ``certs/`` that ``name`` means: ``plc-7`` is ``plc-7.crt``, ``plc-7.der`` is itself."""
    return name if name.endswith(SUFFIXES) else f"{name}.crt"


def policy_fault(word: object) -> tuple[str, str]:
    """What is wrong with ``word`` as a security policy, and how to mend it."""
    if word in BROKEN_POLICIES:
        what = f"{word} is broken: PKCS #1 1.5 and SHA-1 let a recorded password be decrypted"
        return what, f"write one of {', '.join(POLICIES)}"
    return f"{quoted(word)} is not a security policy of the gateway", nearest(word, POLICIES)


class Reader:
    """Reads one key each; after a mistake it returns the default and ``good`` is False."""

    def __init__(
        self, value: Mapping[Any, object], report: Report, known: Iterable[str], others: Iterable[str]
    ) -> None:
        """``others``: keys that stand beside the known ones and are read by somebody else."""
        self.value = value
        self._report = report
        self.good = True
        for key in value:
            if key not in known:
                self.wrong(str(key), f"unknown key {quoted(key)}", nearest(key, (*known, *others)))

    def wrong(self, key: str, what: str, mend: str, at: Path = ()) -> None:
        self.good = False
        self._report((key, *at), what, mend)

    def choice(self, key: str, known: tuple[str, ...], default: str) -> str:
        given = self.value.get(key, default)
        if not isinstance(given, str) or given not in known:
            self.wrong(key, f"{quoted(given)} is not known here", nearest(given, known))
            return default
        return given

    def flag(self, key: str) -> bool:
        given = self.value.get(key, False)
        if not isinstance(given, bool):
            self.wrong(key, f"{quoted(given)} is neither true nor false", "true or false")
            return False
        return given

    def listed(self, key: str, default: Iterable[str]) -> list[tuple[Path, object]]:
        """The items of a list, or the one that is no list, with their places below ``key``."""
        given = self.value.get(key, list(default))
        if isinstance(given, list):
            if not given:
                self.wrong(key, "is empty", "name at least one, or leave the line out")
            return [((at,), item) for at, item in enumerate(given)]
        return [((), given)]

    def chosen(self, key: str, known: tuple[str, ...], default: Iterable[str]) -> frozenset[str]:
        words: set[str] = set()
        for at, item in self.listed(key, default):
            if isinstance(item, str) and item in known:
                words.add(item)
            else:
                self.wrong(key, f"{quoted(item)} is not known here", nearest(item, known), at)
        return frozenset(words)

    def name(self, key: str, default: str | None, mend: str) -> str | None:
        given = self.value.get(key, default)
        if given is None and key not in self.value:
            return None
        if not isinstance(given, str) or re.fullmatch(NAME, given) is None:
            self.wrong(key, f"{quoted(given)} is not a name of a file in certs/", mend)
            return default
        return given

    def milliseconds(self, key: str, default: int, low: int, high: int, span: str) -> int:
        if key not in self.value:
            return default
        given = self.value[key]
        match = _TIME.fullmatch(given) if isinstance(given, str) else None
        number = round(int(match[1]) * _SECONDS[match[2]] * 1000) if match else 0
        if not low <= number <= high:
            self.wrong(key, f"{quoted(given)} is not a time from {span}", "write for example 10s or 500ms")
            return default
        return number
