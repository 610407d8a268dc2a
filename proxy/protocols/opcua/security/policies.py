"""The security policies that we speak (Part 7, 6.6), as a table.

Basic128Rsa15 and Basic256 are not in it: PKCS #1 v1.5 encryption and SHA-1 signatures. A peer that asks for them is
told that the policy is rejected (T51).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes

from proxy.protocols.opcua.security.keys import (
    BLOCK,
    OAEP_SHA1,
    OAEP_SHA256,
    PKCS1,
    PSS,
    SymmetricKeys,
    decrypt_blocks,
    encrypt_blocks,
    p_sha256,
    verify,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.padding import OAEP, PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.padding import PSS as Pss
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

PREFIX = "http://opcfoundation.org/UA/SecurityPolicy#"
MIN_BITS, MAX_BITS = 2048, 4096


class Mode(Enum):
    """MessageSecurityMode (Part 4, 7.20). 0 is Invalid, and no member."""

    NONE = 1
    SIGN = 2
    SIGN_AND_ENCRYPT = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """One row. Lengths are bytes. ``signature_uri`` and ``encryption_uri`` go into SignatureData and user tokens."""

    name: str
    signature_uri: str
    encryption_uri: str
    nonce_length: int
    signing_length: int
    encrypting_length: int
    scheme: PKCS1v15 | Pss
    oaep: OAEP
    overhead: int
    """Bytes of an RSA block that OAEP takes: 2 * hash + 2."""

    @property
    def uri(self) -> str:
        return PREFIX + self.name

    @property
    def secured(self) -> bool:
        return self.nonce_length > 0

    def asym_encrypt(self, key: RSAPublicKey, plain: bytes) -> bytes:
        return encrypt_blocks(key, plain, self.oaep, self.overhead)

    def asym_decrypt(self, key: RSAPrivateKey, cipher: bytes) -> bytes | None:
        """None if it is not cipher text for this key, for whatever reason."""
        return decrypt_blocks(key, cipher, self.oaep)

    def asym_sign(self, key: RSAPrivateKey, data: bytes) -> bytes:
        return key.sign(data, self.scheme, hashes.SHA256())

    def asym_verify(self, key: RSAPublicKey, signature: bytes, data: bytes) -> bool:
        return self.secured and verify(key, signature, data, self.scheme)

    def plain_block(self, key: RSAPublicKey) -> int:
        """Bytes of plain text in one RSA block for ``key``."""
        return key.key_size // 8 - self.overhead

    def derive(self, secret: bytes, seed: bytes) -> SymmetricKeys:
        """The keys of the side whose nonce is ``seed``; ``secret`` is the nonce of the other (Part 6, 6.7.6)."""
        if not self.secured:
            return SymmetricKeys()
        signing, encrypting = self.signing_length, self.signing_length + self.encrypting_length
        made = p_sha256(secret, seed, encrypting + BLOCK)
        return SymmetricKeys(made[:signing], made[signing:encrypting], made[encrypting:])


_RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
_RSA_OAEP = "http://www.w3.org/2001/04/xmlenc#rsa-oaep"
_PSS_SHA256 = "http://opcfoundation.org/UA/security/rsa-pss-sha2-256"
_OAEP_SHA256 = "http://opcfoundation.org/UA/security/rsa-oaep-sha2-256"

NONE = Policy("None", "", "", 0, 0, 0, PKCS1, OAEP_SHA256, 66)
BASIC256SHA256 = Policy("Basic256Sha256", _RSA_SHA256, _RSA_OAEP, 32, 32, 32, PKCS1, OAEP_SHA1, 42)
AES128 = Policy("Aes128_Sha256_RsaOaep", _RSA_SHA256, _RSA_OAEP, 32, 32, 16, PKCS1, OAEP_SHA1, 42)
AES256 = Policy("Aes256_Sha256_RsaPss", _PSS_SHA256, _OAEP_SHA256, 32, 32, 32, PSS, OAEP_SHA256, 66)

POLICIES: Mapping[str, Policy] = MappingProxyType({p.uri: p for p in (NONE, BASIC256SHA256, AES128, AES256)})
"""By uri."""
BY_NAME: Mapping[str, Policy] = MappingProxyType({p.name: p for p in POLICIES.values()})
