"""One security token: signs, encrypts and numbers what it is used for (Part 6, 6.7.2).

+--------+-----------+---------+----------+-----------+------+---------+-----------+
| header | channel   | token   | sequence | request   | body | padding | signature |
+--------+-----------+---------+----------+-----------+------+---------+-----------+
  8        u32         u32       u32        u32                encrypt    mode > 1
|<------------------- signed ------------------------------------------>|
                               |<---------------- encrypted ---------------------->|
"""

from __future__ import annotations

from struct import Struct

from proxy.protocols.opcua.security.keys import BLOCK, MAC, Decryptor, Encryptor, Signer, SymmetricKeys
from proxy.protocols.opcua.security.policies import Mode

FRAME = Struct("<3scIIIII")
"""Type, chunk, size, channel, token, sequence, request."""
PLACE = Struct("<II")
"""Channel and token at byte 8, or sequence and request at byte 16."""
HEADERS = FRAME.size
GRACE = 1.25
"""Times its lifetime, a token is still taken (Part 4, 5.6.2.1)."""
_CLEAR = 16
_PADDING = tuple(bytes((size,)) * (size + 1) for size in range(256))


class Token:
    """``life``: seconds, over at ``expires``; until ``ends`` it is taken. ``ours`` is for what we send, ``theirs`` for
    what comes."""

    __slots__ = (
        "_decryptor",
        "_encrypted",
        "_encryptor",
        "_signed",
        "_signer",
        "_verifier",
        "ends",
        "expires",
        "id",
        "life",
        "secures",
    )

    def __init__(self, number: int, mode: Mode, ours: SymmetricKeys, theirs: SymmetricKeys, life: float, now: float):
        self.id = number
        self.life = life
        self.expires = now + life
        self.ends = now + life * GRACE
        self._signed = self.secures = mode is not Mode.NONE
        self._encrypted = mode is Mode.SIGN_AND_ENCRYPT
        if self._signed:
            self._signer = Signer(ours.signing)
            self._verifier = Signer(theirs.signing)
        if self._encrypted:
            self._encryptor = Encryptor(ours.encrypting, ours.iv)
            self._decryptor = Decryptor(theirs.encrypting, theirs.iv)

    def room(self, frame: int) -> int:
        """Bytes of body in a chunk of at most ``frame`` bytes."""
        if self._encrypted:
            return (frame - _CLEAR) // BLOCK * BLOCK - (HEADERS - _CLEAR) - 1 - MAC
        return frame - HEADERS - (MAC if self._signed else 0)

    def seal(self, kind: bytes, chunk: bytes, channel: int, sequence: int, request: int, body: bytes) -> bytes:
        """A whole chunk. ``body`` fits into `room`."""
        size = HEADERS + len(body)
        if not self._signed:
            return FRAME.pack(kind, chunk, size, channel, self.id, sequence, request) + body
        if not self._encrypted:
            data = FRAME.pack(kind, chunk, size + MAC, channel, self.id, sequence, request) + body
            return data + self._signer.sign(data)
        pad = -(size + 1 - _CLEAR + MAC) % BLOCK
        head = FRAME.pack(kind, chunk, size + 1 + pad + MAC, channel, self.id, sequence, request)
        data = head + body + _PADDING[pad]
        return data[:_CLEAR] + self._encryptor.encrypt(data[_CLEAR:] + self._signer.sign(data))

    def open(self, frame: bytes) -> bytes | None:
        """The chunk without signature and padding, in the clear; None if it is not what the peer secured.

        The signature is checked before the padding is looked at, so that a padding oracle has nothing to ask.
        """
        if not self._signed:
            return frame
        if self._encrypted:
            if len(frame) % BLOCK:
                return None
            frame = frame[:_CLEAR] + self._decryptor.decrypt(frame[_CLEAR:])
        end = len(frame) - MAC
        if end < HEADERS or not self._verifier.verify(frame[:end], frame[end:]):
            return None
        if self._encrypted:
            padding = _PADDING[frame[end - 1]]
            if not frame.endswith(padding, HEADERS, end):
                return None
            end -= len(padding)
        return frame[:end]
