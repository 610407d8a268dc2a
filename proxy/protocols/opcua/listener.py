"""``listeners: NAME: { opcua: ... }``: how the gateway stands towards the clients of one listener.

opcua:
  mode: terminate                     # or relay (policy None end to end), or refuse (nothing gets through)
  policies: [Basic256Sha256]          # default: all three that the gateway speaks
  modes: [sign, sign_and_encrypt]     # default: sign_and_encrypt
  users: [anonymous, username]        # user tokens that endpoints offer
  certificate: opcua                  # certs/opcua.crt and certs/opcua.key
  trust: [opcua-ca, hmi-1.der]        # whose certificates clients may show: files of certs/
  unsafe_none: true                   # channels without security (T51)
  signed: cut                         # relay: a signed channel may pass; it can be read, and cut (protocols.md 4.2)
  url: opc.tcp://gw.plant:4840        # what endpoints say; default: what the client dialled
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.core.options import access, no_access
from proxy.protocols.opcua.reading import MODES, NAME, POLICIES, Reader, certificate_file, policy_fault, quoted

if TYPE_CHECKING:
    from collections.abc import Collection

    from proxy.protocols.base import Report

STANCES = ("terminate", "relay", "refuse")
TOKENS = ("anonymous", "username")
KEYS = ("mode", "policies", "modes", "users", "certificate", "trust", "unsafe_none", "signed", "url")
OF_CHANNELS = ("policies", "modes", "certificate", "trust")
"""Keys about the gateway's own channels, of which a relay has none."""
URL = r"opc\.tcp://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}(/[!-~]{0,512})?"


def _more(now: Collection[str], before: Collection[str]) -> bool:
    return not set(now) <= set(before)


def _opens(now: str, before: str) -> bool:
    return now != "refuse"


@dataclass(frozen=True, slots=True)
class OpcUaListener:
    """``mode``: one of `STANCES`. ``policies``, ``modes``, ``users``: what endpoints offer, in the short words of
    `reading`. ``certificate``: names our certificate and key; ``trust``: names of certificates, of clients or of who
    issued theirs. ``unsafe_none``: policy None is spoken. ``signed``: a relay lets signed channels pass. ``url``: for
    endpoints; None: what the client said in HEL."""

    mode: str = field(default="terminate", metadata=access(_opens))
    policies: frozenset[str] = field(default=frozenset(POLICIES), metadata=access(_more))
    modes: frozenset[str] = field(default=frozenset({"sign_and_encrypt"}), metadata=access(_more))
    users: frozenset[str] = field(default=frozenset(TOKENS), metadata=access(_more))
    certificate: str = field(default="opcua", metadata=access(no_access))
    trust: tuple[str, ...] = field(default=("opcua-ca",), metadata=access(_more))
    unsafe_none: bool = field(default=False, metadata=access(operator.gt))
    signed: bool = field(default=False, metadata=access(operator.gt))
    url: str | None = field(default=None, metadata=access(no_access))

    @property
    def certificate_file(self) -> str:
        return certificate_file(self.certificate)

    @property
    def key_file(self) -> str:
        return f"{self.certificate}.key"

    @property
    def trust_files(self) -> tuple[str, ...]:
        return tuple(map(certificate_file, self.trust))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Files of ``certs/`` that are read when the gateway starts. Only who terminates needs any."""
        if self.mode != "terminate":
            return ()
        return tuple(dict.fromkeys((self.certificate_file, self.key_file, *self.trust_files)))

    @property
    def secures(self) -> bool:
        """Its clients can show a certificate on a secure channel."""
        return self.mode == "terminate"

    @property
    def unsafe(self) -> tuple[str, ...]:
        """What `/status` and `bulkhead check` show: the keys by which less than a secured channel is taken (T51)."""
        said = (("unsafe_none", self.unsafe_none), ("signed: cut", self.signed))
        return tuple(word for word, is_so in said if is_so)


def parse_listener(value: object, report: Report) -> OpcUaListener | None:
    """``value`` is the listener's key `opcua:`; None (no such key) gives the defaults. None after a report."""
    if value is None:
        return OpcUaListener()
    if not isinstance(value, Mapping):
        report((), "is not a section", "write opcua: { mode: terminate }")
        return None
    reader = Reader(value, report, KEYS, ())
    listener = OpcUaListener(
        mode=reader.choice("mode", STANCES, "terminate"),
        policies=_policies(reader),
        modes=reader.chosen("modes", MODES, ["sign_and_encrypt"]),
        users=_users(reader),
        certificate=_certificate(reader),
        trust=_trust(reader),
        unsafe_none=reader.flag("unsafe_none"),
        signed="signed" in value and reader.choice("signed", ("cut",), "cut") == "cut",
        url=_url(reader),
    )
    if reader.good:
        _stance(listener, reader)
    return listener if reader.good else None


def _stance(listener: OpcUaListener, reader: Reader) -> None:
    """Whether the keys fit the mode."""
    if listener.mode == "relay":
        for key in OF_CHANNELS:
            if key in reader.value:
                what = "is about the gateway's own channel, and a relay has none: client and device share theirs"
                reader.wrong(key, what, "write mode: terminate, or take it out")
        if not listener.unsafe:
            mend = "write mode: terminate; or unsafe_none: true for policy None, signed: cut for signed channels"
            reader.wrong("mode", "a relay can inspect only what is not encrypted, and that has to be said", mend)
    elif listener.signed:
        reader.wrong("signed", f"says nothing with mode: {listener.mode}", "it is for mode: relay; take it out")
    if listener.mode == "refuse" and listener.unsafe_none:
        reader.wrong("unsafe_none", "says nothing with mode: refuse", "take it out")


def _policies(reader: Reader) -> frozenset[str]:
    words: set[str] = set()
    for at, item in reader.listed("policies", POLICIES):
        if isinstance(item, str) and item in POLICIES:
            words.add(item)
        elif item == "None":
            reader.wrong("policies", "None is no security", "write unsafe_none: true instead", at)
        else:
            reader.wrong("policies", *policy_fault(item), at)
    return frozenset(words)


def _users(reader: Reader) -> frozenset[str]:
    for at, item in reader.listed("users", TOKENS):
        if item in ("x509", "certificate", "issued"):
            what = f"{item} tokens cannot be relayed: they are signed for one server, and that is not the device"
            reader.wrong("users", what, f"one of {', '.join(TOKENS)}", at)
            return frozenset(TOKENS)
    return reader.chosen("users", TOKENS, TOKENS)


def _certificate(reader: Reader) -> str:
    mend = "write the name alone: opcua means certs/opcua.crt and certs/opcua.key"
    name = reader.name("certificate", "opcua", mend) or "opcua"
    if certificate_file(name) == name:
        reader.wrong("certificate", f"{quoted(name)} names one file, and two are needed", mend)
    return name


def _trust(reader: Reader) -> tuple[str, ...]:
    names: list[str] = []
    for at, item in reader.listed("trust", ("opcua-ca",)):
        if isinstance(item, str) and re.fullmatch(NAME, item):
            names.append(item)
        else:
            mend = "name a file in certs/: hmi-1 means hmi-1.crt, hmi-1.der is itself"
            reader.wrong("trust", f"{quoted(item)} is not a name of a certificate", mend, at)
    return tuple(dict.fromkeys(names))


def _url(reader: Reader) -> str | None:
    given = reader.value.get("url")
    if "url" not in reader.value:
        return None
    if not isinstance(given, str) or re.fullmatch(URL, given) is None or not 0 < _port(given) < 65536:
        mend = "write opc.tcp://HOST:PORT as clients dial it, or leave the line out"
        reader.wrong("url", f"{quoted(given)} is not the address of an OPC UA server", mend)
        return None
    return given


def _port(url: str) -> int:
    match = re.match(URL, url)
    return int(url[match.end(1) + 1 :].partition("/")[0]) if match else 0
