"""The first packet of a connection, as Linux keeps it for the accepted socket (TCP_SAVE_SYN, identity.md 4).

The listener does the socket calls; here is only what the bytes mean. Setting the option to 2 keeps the Ethernet header
as well (Linux >= 5.10), which is where the MAC comes from. The answer is empty under SYN cookies.

A signature reads ``4:64:0:1460:mss*44,7:mss,sok,ts,nop,ws:df``:
IP version, initial TTL, bytes of IP options, MSS, window and its scale, names of the TCP options in order, quirks.
``-`` stands for an option that is not there.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

ETHERNET = 14

_TYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}
_TCP = 6
_FIN_SYN_RST_ACK, _SYN = 0x17, 0x02
_ECE_CWR = 0xC0
_OPTIONS = {2: ("mss", 4), 3: ("ws", 3), 4: ("sok", 2), 5: ("sack", None), 8: ("ts", 10)}
_EXTENSION_HEADERS = frozenset((0, 43, 60))  # hop-by-hop, routing, destination options
_MAX_EXTENSION_HEADERS = 8
_TTLS = (32, 64, 128, 255)


class _Ip(NamedTuple):
    version: int
    header: int
    ttl: int
    options: int
    dont_fragment: bool


def read_saved_syn(blob: bytes) -> tuple[str | None, str | None]:
    """(source MAC, signature) of a saved SYN. Total: what cannot be read for certain is None.

    The blob may or may not start with an Ethernet header, and nothing says which. Its length does: the headers of IP
    and TCP are multiples of four octets and must use up the blob exactly, that of Ethernet has fourteen. So no blob
    can be read both ways, however it was crafted.
    """
    start = ETHERNET if len(blob) % 4 == ETHERNET % 4 else 0
    ip = _ip(blob, start)
    if ip is None:
        return None, None
    mac = _mac(blob[6:12]) if start else None
    return mac, _signature(ip, blob[start + ip.header :])


def _ip(blob: bytes, start: int) -> _Ip | None:
    """The IP header at ``start``, if it is followed by exactly the header of a SYN, and preceded by its type."""
    if len(blob) < start + 20:
        return None
    version = blob[start] >> 4
    if start and blob[12:14] != _TYPES.get(version):
        return None
    ip = _ipv4(blob, start) if version == 4 else _ipv6(blob, start) if version == 6 else None
    if ip is None:
        return None
    tcp = start + ip.header
    if len(blob) < tcp + 20:
        return None
    if blob[tcp + 13] & _FIN_SYN_RST_ACK != _SYN:
        return None
    size = (blob[tcp + 12] >> 4) * 4
    return ip if size >= 20 and tcp + size == len(blob) else None


def _ipv4(blob: bytes, start: int) -> _Ip | None:
    header = (blob[start] & 0x0F) * 4
    flags = struct.unpack_from(">H", blob, start + 6)[0]
    if header < 20 or blob[start + 9] != _TCP or flags & 0x3FFF:  # a fragment is no SYN
        return None
    return _Ip(4, header, blob[start + 8], header - 20, bool(flags & 0x4000))


def _ipv6(blob: bytes, start: int) -> _Ip | None:
    following, header = blob[start + 6], 40
    for _ in range(_MAX_EXTENSION_HEADERS):
        if following not in _EXTENSION_HEADERS:
            break
        at = start + header
        if len(blob) < at + 2:
            return None
        following, header = blob[at], header + (blob[at + 1] + 1) * 8
    if following != _TCP:
        return None
    return _Ip(6, header, blob[start + 7], header - 40, dont_fragment=False)


def _mac(octets: bytes) -> str | None:
    """None for the zero address of loopback, and for a group address, which no card sends from (IEEE 802)."""
    if not any(octets) or octets[0] & 1:
        return None
    return octets.hex(":")


def _signature(ip: _Ip, tcp: bytes) -> str:
    window = struct.unpack_from(">H", tcp, 14)[0]
    options, mss, scale = _tcp_options(tcp[20:])
    window_text = f"mss*{window // mss}" if mss and window and window % mss == 0 else str(window)
    ttl = next(initial for initial in _TTLS if ip.ttl <= initial)
    quirks = ["df"] * ip.dont_fragment + ["ecn"] * (tcp[13] & _ECE_CWR == _ECE_CWR)
    return ":".join(
        (
            str(ip.version),
            str(ttl),
            str(ip.options),
            "-" if mss is None else str(mss),
            f"{window_text},{'-' if scale is None else scale}",
            ",".join(options),
            ",".join(quirks),
        )
    )


def _tcp_options(data: bytes) -> tuple[list[str], int | None, int | None]:
    """Names in order, MSS, window scale. A length that cannot be ends the list with ``bad`` (RFC 9293 3.1)."""
    names: list[str] = []
    mss = scale = None
    at = 0
    while at < len(data):
        kind = data[at]
        if kind == 0:
            names.append("eol")
            break
        if kind == 1:
            names.append("nop")
            at += 1
            continue
        size = data[at + 1] if at + 1 < len(data) else 0
        name, expected = _OPTIONS.get(kind, (f"?{kind}", None))
        if size < 2 or at + size > len(data) or (expected is not None and size != expected):
            names.append("bad")
            break
        if kind == 2:
            mss = int.from_bytes(data[at + 2 : at + 4], "big")
        elif kind == 3:
            scale = data[at + 2]
        names.append(name)
        at += size
    return names, mss, scale
