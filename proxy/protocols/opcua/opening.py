"""OPN chunks: signed and encrypted with RSA, whatever the mode of the channel will be (Part 6, 6.7.2).

    +--------+---------+------------+-------------+------------+----------+---------+------+---------+-----------+
    | header | channel | policy uri | certificate | thumbprint | sequence | request | body | padding | signature |
    +--------+---------+------------+-------------+------------+----------+---------+------+---------+-----------+
                                                               |<------------------ encrypted ------------------>|

With policy None certificate and thumbprint are null, and nothing is padded, signed or encrypted.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from proxy.protocols.opcua.framing import HEADER, Header
from proxy.protocols.opcua.tokens import PLACE
from proxy.protocols.opcua.wire import Broken, Malformed, Reader, Writer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer
    from proxy.protocols.opcua.security.policies import Policy

_CHANNEL = Struct("<I")
OPEN_BODY = 512
"""Bytes of an OPN's body; 130 are usual. Each RSA block costs 1 ms (2048 bits) or 6 ms (4096) before anything is
proved, so a frame full of them is refused by its length (T50, CVE-2023-32787)."""
_WIDE = 256
"""Bytes of an RSA key above which a padding takes two bytes to count."""


@dataclass(frozen=True, slots=True)
class OpenChunk:
    """``rest`` is all from the sequence header on, as sent; ``head`` all before it. Lengths are checked, no more."""

    channel: int
    policy_uri: str | None
    certificate: bytes | None
    thumbprint: bytes | None
    head: bytes
    rest: bytes


@dataclass(frozen=True, slots=True)
class OpenBody:
    sequence: int
    request: int
    body: bytes


def read_open(frame: bytes) -> OpenChunk | Malformed:
    reader = Reader(frame, HEADER)
    try:
        channel = reader.u32()
        uri, certificate, thumbprint = reader.string(), reader.byte_string(), reader.byte_string()
    except Broken as broken:
        return broken.fault
    return OpenChunk(channel, uri, certificate, thumbprint, frame[: reader.at], frame[reader.at :])


def plain_body(chunk: OpenChunk) -> OpenBody | None:
    """What an OPN of policy None says."""
    return _body(chunk.rest)


def unsealed_body(chunk: OpenChunk, policy: Policy, key: RSAPrivateKey, peer: RSAPublicKey) -> OpenBody | None:
    """What a secured OPN says; None, with no word why, if it was not made for ``key`` by the owner of ``peer``."""
    size = peer.key_size // 8
    blocks = -(-(PLACE.size + OPEN_BODY + size) // policy.plain_block(key.public_key()))
    if len(chunk.rest) > blocks * (key.key_size // 8):
        return None
    plain = policy.asym_decrypt(key, chunk.rest)
    if plain is None or len(plain) < PLACE.size + size:
        return None
    signed, signature = plain[:-size], plain[-size:]
    if not policy.asym_verify(peer, signature, chunk.head + signed):
        return None
    end = _padding_starts(signed, wide=key.key_size // 8 > _WIDE)
    return None if end is None else _body(signed[:end])


def seal_open(policy: Policy, channel: int, own: OwnCertificate | None, peer: Peer | None, said: OpenBody) -> bytes:
    """A whole OPN frame. ``own`` and ``peer`` are there if the policy is secured."""
    writer = Writer()
    writer.string(policy.uri)
    writer.byte_string(own.chain if own is not None and policy.secured else None)
    writer.byte_string(peer.thumbprint if peer is not None and policy.secured else None)
    head = _CHANNEL.pack(channel) + writer.bytes()
    plain = PLACE.pack(said.sequence, said.request) + said.body
    if own is None or peer is None or not policy.secured:
        return Header(b"OPN", b"F", HEADER + len(head) + len(plain)).pack() + head + plain
    plain += _padding(policy, len(plain) + own.key.key_size // 8, peer.public_key)
    width = peer.public_key.key_size // 8
    blocks = (len(plain) + own.key.key_size // 8) // policy.plain_block(peer.public_key)
    head = Header(b"OPN", b"F", HEADER + len(head) + blocks * width).pack() + head
    return head + policy.asym_encrypt(peer.public_key, plain + policy.asym_sign(own.key, head + plain))


def _body(plain: bytes) -> OpenBody | None:
    if len(plain) < PLACE.size:
        return None
    sequence, request = PLACE.unpack_from(plain)
    return OpenBody(sequence, request, plain[PLACE.size :])


def _padding(policy: Policy, size: int, key: RSAPublicKey) -> bytes:
    """What follows the body so that ``size`` bytes and it are whole blocks: PaddingSize, padding, ExtraPaddingSize."""
    wide = key.key_size // 8 > _WIDE
    count = -(size + 1 + wide) % policy.plain_block(key)
    return bytes((count & 0xFF,)) * (count + 1) + (bytes((count >> 8,)) if wide else b"")


def _padding_starts(signed: bytes, *, wide: bool) -> int | None:
    """The signature is verified, so this only refuses a peer that pads otherwise than the standard says."""
    high = signed[-1] if wide else 0
    low = signed[-2] if wide else signed[-1]
    count = high << 8 | low
    end = len(signed) - count - 1 - wide
    if end < PLACE.size or signed[end : end + count + 1] != bytes((low,)) * (count + 1):
        return None
    return end
