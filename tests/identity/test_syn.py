from __future__ import annotations

import os
import socket
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.identity.syn import read_saved_syn

MAC = bytes.fromhex("000e8caabb01")
OURS = bytes.fromhex("525400123456")
LINUX = bytes.fromhex("020405b4 0402 080a 00000001 00000000 01 030307")
SIGNATURE = "4:64:0:1460:mss*44,7:mss,sok,ts,nop,ws:df"


def tcp(options: bytes = LINUX, window: int = 64_240, flags: int = 0x02, size: int | None = None) -> bytes:
    words = (20 + len(options)) // 4 if size is None else size
    return struct.pack(">HHIIBBHHH", 50_000, 502, 1, 0, words << 4, flags, window, 0, 0) + options


def ipv4(
    segment: bytes, ttl: int = 64, options: bytes = b"", fragment: int = 0x4000, protocol: int = 6, version: int = 4
) -> bytes:
    head = 20 + len(options)
    first = version << 4 | head // 4
    fixed = struct.pack(">BBHHHBBH", first, 0, head + len(segment), 7, fragment, ttl, protocol, 0)
    return fixed + bytes((10, 3, 0, 11, 10, 3, 0, 1)) + options + segment


def ipv6(segment: bytes, hops: int = 64, following: int = 6, extensions: bytes = b"") -> bytes:
    fixed = struct.pack(">IHBB", 6 << 28, len(extensions) + len(segment), following, hops)
    return fixed + bytes(32) + extensions + segment


def ethernet(packet: bytes, source: bytes = MAC, kind: int = 0x0800, to: bytes = OURS) -> bytes:
    return to + source + kind.to_bytes(2, "big") + packet


def test_mac_and_signature_of_an_ordinary_syn() -> None:
    blob = ethernet(ipv4(tcp()))
    assert len(blob) == 74  # the usual size, identity.md 4
    assert read_saved_syn(blob) == ("00:0e:8c:aa:bb:01", SIGNATURE)


def test_without_ethernet_there_is_a_signature_and_no_mac() -> None:
    assert read_saved_syn(ipv4(tcp())) == (None, SIGNATURE)


def test_ipv6_with_and_without_ethernet() -> None:
    expected = SIGNATURE.replace("4:64", "6:64").removesuffix("df")
    assert read_saved_syn(ipv6(tcp())) == (None, expected)
    assert read_saved_syn(ethernet(ipv6(tcp()), kind=0x86DD)) == ("00:0e:8c:aa:bb:01", expected)


def test_ipv6_extension_headers_count_as_ip_options() -> None:
    hop_by_hop = bytes((60, 0)) + bytes(6)
    destination = bytes((6, 1)) + bytes(14)
    _, signature = read_saved_syn(ipv6(tcp(), following=0, extensions=hop_by_hop + destination))
    assert signature is not None and signature.startswith("6:64:24:")


def test_the_zero_mac_of_loopback_is_none() -> None:
    assert read_saved_syn(ethernet(ipv4(tcp()), source=bytes(6), to=bytes(6))) == (None, SIGNATURE)


def test_a_group_address_is_no_source() -> None:
    assert read_saved_syn(ethernet(ipv4(tcp()), source=b"\x01\x00\x5e\x00\x00\x01")) == (None, SIGNATURE)


def test_syn_cookies_leave_nothing() -> None:
    assert read_saved_syn(b"") == (None, None)


@pytest.mark.parametrize("flags", [0x12, 0x10, 0x00, 0x03, 0x06, 0x04, 0x01])
def test_only_a_syn_without_ack_counts(flags: int) -> None:
    assert read_saved_syn(ethernet(ipv4(tcp(flags=flags)))) == (None, None)


def test_flags_beside_the_syn_do_not_hide_it() -> None:
    assert read_saved_syn(ipv4(tcp(flags=0x02 | 0x08 | 0x20)))[1] == SIGNATURE


@pytest.mark.parametrize(
    ("ttl", "initial"), [(0, 32), (1, 32), (32, 32), (33, 64), (64, 64), (65, 128), (128, 128), (129, 255), (255, 255)]
)
def test_the_initial_ttl_is_the_next_usual_one(ttl: int, initial: int) -> None:
    _, signature = read_saved_syn(ipv4(tcp(), ttl=ttl))
    assert signature is not None and signature.split(":")[1] == str(initial)


@pytest.mark.parametrize(
    ("segment", "window"),
    [
        (tcp(window=64_240), "mss*44,7"),
        (tcp(window=64_241), "64241,7"),
        (tcp(window=0), "0,7"),
        (tcp(b"", window=8192), "8192,-"),
        (tcp(bytes.fromhex("02040000"), window=8192), "8192,-"),
    ],
)
def test_windows(segment: bytes, window: str) -> None:
    _, signature = read_saved_syn(ipv4(segment))
    assert signature is not None and signature.split(":")[4] == window


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (b"", ""),
        (bytes.fromhex("01010101"), "nop,nop,nop,nop"),
        (bytes.fromhex("02040218 00000000"), "mss,eol"),
        (bytes.fromhex("04020101"), "sok,nop,nop"),
        (bytes.fromhex("050a0000000000000000 0101"), "sack,nop,nop"),
        (bytes.fromhex("fd040000"), "?253"),
        (bytes.fromhex("2202 0101"), "?34,nop,nop"),
        (bytes.fromhex("01010102"), "nop,nop,nop,bad"),
        (bytes.fromhex("02000000"), "bad"),
        (bytes.fromhex("02010000"), "bad"),
        (bytes.fromhex("02030000"), "bad"),
        (bytes.fromhex("020405b4 03040700"), "mss,bad"),
        (bytes.fromhex("fdff0000"), "bad"),
        (bytes.fromhex("080a0000"), "bad"),
    ],
)
def test_option_names_in_order_and_bad_lengths_as_a_token(options: bytes, names: str) -> None:
    _, signature = read_saved_syn(ipv4(tcp(options)))
    assert signature is not None and signature.split(":")[5] == names


@pytest.mark.parametrize(
    ("packet", "quirks"),
    [
        (ipv4(tcp()), "df"),
        (ipv4(tcp(), fragment=0), ""),
        (ipv4(tcp(flags=0xC2)), "df,ecn"),
        (ipv4(tcp(flags=0x42)), "df"),
        (ipv6(tcp(flags=0xC2)), "ecn"),
    ],
)
def test_quirks(packet: bytes, quirks: str) -> None:
    _, signature = read_saved_syn(packet)
    assert signature is not None and signature.split(":")[6] == quirks


def test_ip_options_are_counted() -> None:
    _, signature = read_saved_syn(ethernet(ipv4(tcp(), options=bytes((1, 1, 1, 0)))))
    assert signature is not None and signature.startswith("4:64:4:")


@pytest.mark.parametrize(
    "blob",
    [
        ipv4(tcp()) + b"\0",
        ipv4(tcp())[:-1],
        ipv4(tcp(size=4)),
        ipv4(tcp(size=11)),
        ipv4(tcp(), fragment=0x2000),
        ipv4(tcp(), fragment=0x0001),
        ipv4(tcp(), protocol=17),
        ipv4(tcp(), version=5),
        ipv6(tcp(), following=17),
        ipv6(tcp(), following=44),
        ipv6(tcp(), following=0, extensions=b""),
        ipv6(b"", following=0, extensions=b"\x3c"),
        ipv6(tcp(), following=60, extensions=(bytes((60, 0)) + bytes(6)) * 9),
        ethernet(ipv4(tcp()), kind=0x86DD),
        ethernet(ipv6(tcp()), kind=0x0800),
        ethernet(ipv4(tcp()), kind=0x8100),
        bytes(13) + ipv4(tcp()),
    ],
)
def test_what_does_not_fit_exactly_is_nothing(blob: bytes) -> None:
    assert read_saved_syn(blob) == (None, None)


@given(st.integers(5, 15), st.integers(5, 15), st.booleans())
def test_the_length_alone_says_whether_ethernet_is_there(ihl: int, offset: int, with_ethernet: bool) -> None:
    packet = ipv4(tcp(b"\1" * (offset * 4 - 20)), options=b"\1" * (ihl * 4 - 20))
    mac, signature = read_saved_syn(ethernet(packet) if with_ethernet else packet)
    assert (mac is not None) is with_ethernet
    assert signature is not None


@given(
    st.binary(max_size=200)
    | st.binary(max_size=60).map(lambda b: ethernet(ipv4(tcp(b))))
    | st.binary(max_size=60).map(lambda b: ipv4(tcp(b + bytes(-len(b) % 4))))
    | st.tuples(st.just(ethernet(ipv4(tcp()))), st.integers(0, 73), st.integers(0, 255)).map(
        lambda t: t[0][: t[1]] + bytes((t[2],)) + t[0][t[1] + 1 :]
    )
)
def test_any_bytes_give_a_mac_and_a_signature_or_none(blob: bytes) -> None:
    mac, signature = read_saved_syn(blob)
    assert mac is None or (len(mac) == 17 and mac == mac.lower())
    if signature is None:
        assert mac is None
    else:
        assert len(signature) <= 250 and signature.isprintable() and signature.count(":") == 6


TCP_SAVE_SYN, TCP_SAVED_SYN = 27, 28


@pytest.mark.system
@pytest.mark.skipif(sys.platform != "linux", reason="TCP_SAVE_SYN is Linux's")
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_what_this_kernel_saves_is_read(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as listener, socket.socket(family) as client:
        try:
            listener.setsockopt(socket.IPPROTO_TCP, TCP_SAVE_SYN, 2)
            listener.bind((host, 0))
        except OSError as fault:
            pytest.skip(f"this machine has no {host} or no TCP_SAVE_SYN: {os.strerror(fault.errno or 0)}")
        listener.listen()
        client.connect(listener.getsockname()[:2])
        accepted, _ = listener.accept()
        with accepted:
            blob = accepted.getsockopt(socket.IPPROTO_TCP, TCP_SAVED_SYN, 512)
            assert accepted.getsockopt(socket.IPPROTO_TCP, TCP_SAVED_SYN, 512) == b""  # read once
    if not blob:
        pytest.skip("SYN cookies are always on here")
    mac, signature = read_saved_syn(blob)
    assert mac is None  # loopback
    assert signature is not None and "mss" in signature and "bad" not in signature
    assert signature.startswith("4:" if family == socket.AF_INET else "6:")
