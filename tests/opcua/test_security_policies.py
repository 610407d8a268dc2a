"""Security policies: the table, keys against asyncua's derivation, and the quick paths against the plain ones."""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from asyncua.crypto import uacrypto
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocols.opcua.opening import OpenBody, read_open, seal_open, unsealed_body
from proxy.protocols.opcua.security.keys import Decryptor, Encryptor, Signer, SymmetricKeys, p_sha256
from proxy.protocols.opcua.security.policies import BY_NAME, NONE, POLICIES, Mode
from proxy.protocols.opcua.tokens import Token
from proxy.protocols.opcua.wire import Malformed
from tests.opcua.channel_oracle import POLICIES as THEIRS
from tests.opcua.channel_world import CLIENT, MODES, OTHER, SECURED, SERVER, own, peer, rsa_key

if TYPE_CHECKING:
    from proxy.protocols.opcua.opening import OpenChunk

KEY, IV = bytes(range(32)), bytes(range(16))


def test_t51_the_table_has_no_broken_policy() -> None:
    assert set(BY_NAME) == {"None", *SECURED}
    assert all(policy.uri == uri for uri, policy in POLICIES.items())
    assert not NONE.secured


@pytest.mark.parametrize("name", SECURED)
def test_uris_and_lengths_are_those_of_asyncua(name: str) -> None:
    ours, other = BY_NAME[name], THEIRS[name]
    assert (ours.uri, ours.signature_uri) == (other.URI, other.AsymmetricSignatureURI)
    assert ours.encryption_uri == other.AsymmetricEncryptionURI
    assert ours.nonce_length == other.secure_channel_nonce_length
    assert (ours.signing_length, ours.encrypting_length) == (other.signature_key_size, other.symmetric_key_size)


@given(st.binary(min_size=1, max_size=64), st.binary(min_size=1, max_size=64))
def test_keys_are_derived_as_asyncua_does(secret: bytes, seed: bytes) -> None:
    for name in SECURED:
        policy = BY_NAME[name]
        keys = policy.derive(secret, seed)
        lengths = (policy.signing_length, policy.encrypting_length, 16)
        assert (keys.signing, keys.encrypting, keys.iv) == uacrypto.p_sha256(secret, seed, lengths)


def test_the_pseudo_random_function_is_that_of_tls_1_2() -> None:
    """The published vector of P_SHA256 (label and seed of TLS joined)."""
    secret = bytes.fromhex("9bbe436ba940f017b17652849a71db35")
    seed = b"test label" + bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c")
    wanted = "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7"
    assert p_sha256(secret, seed, 52).hex() == wanted


@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=6), st.sampled_from([16, 32]))
def test_one_context_for_all_messages_is_a_new_one_for_each(messages: list[bytes], size: int) -> None:
    ours, theirs = Encryptor(KEY[:size], IV), Decryptor(KEY[:size], IV)
    for message in messages:
        plain = message * 16
        cipher = ours.encrypt(plain)
        assert cipher == Cipher(algorithms.AES(KEY[:size]), modes.CBC(IV)).encryptor().update(plain)
        assert theirs.decrypt(cipher) == plain


@given(st.binary(max_size=300))
def test_a_keyed_signer_is_hmac_sha256(data: bytes) -> None:
    signer = Signer(KEY)
    assert signer.sign(data) == hmac.digest(KEY, data, hashlib.sha256)
    assert signer.verify(data, hmac.digest(KEY, data, hashlib.sha256))
    assert not signer.verify(data, bytes(32))


@pytest.mark.parametrize("mode", list(Mode))
@given(body=st.binary(max_size=100))
def test_a_token_opens_what_its_other_end_sealed(mode: Mode, body: bytes) -> None:
    ours, theirs = SymmetricKeys(KEY, KEY, IV), SymmetricKeys(KEY[::-1], KEY[::-1], IV)
    here, there = Token(7, mode, ours, theirs, 1.0, 0.0), Token(7, mode, theirs, ours, 1.0, 0.0)
    sealed = here.seal(b"MSG", b"F", 3, 4, 5, body)
    assert int.from_bytes(sealed[4:8], "little") == len(sealed)
    opened = there.open(sealed)
    assert opened is not None
    assert opened[24:] == body


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("frame", [8_192, 8_193, 10_007, 65_535])
def test_a_chunk_of_the_largest_body_fits_the_buffer_and_one_byte_more_does_not(mode: Mode, frame: int) -> None:
    keys = SymmetricKeys(KEY, KEY, IV)
    token = Token(7, mode, keys, keys, 1.0, 0.0)
    room = token.room(frame)
    assert len(token.seal(b"MSG", b"F", 3, 4, 5, bytes(room))) <= frame
    assert len(token.seal(b"MSG", b"F", 3, 4, 5, bytes(room + 1))) > frame


@pytest.mark.parametrize("damage", ["short", "value", "size", "whole", "not blocks"])
def test_t42_padding_is_checked_behind_the_signature(damage: str) -> None:
    """Signed with the right key, and padded wrongly: a peer with another idea of the standard, or of ours."""
    keys = SymmetricKeys(KEY, KEY, IV)
    token = Token(7, Mode.SIGN_AND_ENCRYPT, keys, keys, 1.0, 0.0)
    head = token.seal(b"MSG", b"F", 3, 4, 5, bytes(4))[:16]
    padding = {"short": b"\x01" * 4, "value": b"\x00\x02\x03\x03", "size": b"\xff" * 4, "whole": b"\x18" * 4}
    plain = bytes(8) + bytes(4) + padding.get(damage, b"\x03" * 4)
    sealed = head + Encryptor(KEY, IV).encrypt(plain + Signer(KEY).sign(head + plain))
    if damage == "not blocks":
        sealed = sealed[:-1]
    opened = token.open(sealed)
    good = token.seal(b"MSG", b"F", 3, 4, 5, b"the next")
    assert (token.open(good) or b"")[24:] == b"the next"
    assert opened is None if damage != "short" else opened == head + bytes(12) + b"\x01\x01"


def test_t42_right_padding_of_the_same_message_passes() -> None:
    keys = SymmetricKeys(KEY, KEY, IV)
    token = Token(7, Mode.SIGN_AND_ENCRYPT, keys, keys, 1.0, 0.0)
    sealed = token.seal(b"MSG", b"F", 3, 4, 5, b"body")
    assert token.open(sealed) == sealed[:16] + bytes((4, 0, 0, 0, 5, 0, 0, 0)) + b"body"


@pytest.mark.parametrize("name", SECURED)
def test_rsa_in_blocks_comes_back_and_nothing_else_does(name: str) -> None:
    policy, key = BY_NAME[name], rsa_key(SERVER)
    plain = os.urandom(500)
    cipher = policy.asym_encrypt(key.public_key(), plain)
    assert policy.asym_decrypt(key, cipher) == plain
    for wrong in (b"", cipher[:-1], cipher[1:], bytes(256), cipher[:256] + bytes(256), cipher + b"\x00"):
        assert policy.asym_decrypt(key, wrong) is None
    assert policy.asym_decrypt(rsa_key(OTHER), cipher) is None
    signature = policy.asym_sign(key, plain)
    assert policy.asym_verify(key.public_key(), signature, plain)
    for forged in (b"", signature[:-1], bytes(256)):
        assert not policy.asym_verify(key.public_key(), forged, plain)
    assert not policy.asym_verify(rsa_key(OTHER).public_key(), signature, plain)
    assert not NONE.asym_verify(key.public_key(), b"", b"")


def test_the_policies_sign_and_encrypt_differently() -> None:
    """PSS is not PKCS #1, and OAEP with SHA-256 not OAEP with SHA-1."""
    old, new, key = BY_NAME["Basic256Sha256"], BY_NAME["Aes256_Sha256_RsaPss"], rsa_key(SERVER)
    assert new.asym_decrypt(key, old.asym_encrypt(key.public_key(), b"x")) is None
    assert old.asym_decrypt(key, new.asym_encrypt(key.public_key(), b"x")) is None
    assert not new.asym_verify(key.public_key(), old.asym_sign(key, b"x"), b"x")
    assert not old.asym_verify(key.public_key(), new.asym_sign(key, b"x"), b"x")


def _opn(frame: bytes) -> OpenChunk:
    chunk = read_open(frame)
    assert not isinstance(chunk, Malformed)
    return chunk


@pytest.mark.parametrize("bits", [2048, 4096])
@pytest.mark.parametrize("size", [0, 1, 63, 127, 200, 511])
def test_an_opn_of_any_size_comes_back(bits: int, size: int) -> None:
    policy, said = BY_NAME["Aes256_Sha256_RsaPss"], OpenBody(1, 2, os.urandom(size))
    chunk = _opn(seal_open(policy, 5, own(CLIENT), peer(SERVER, bits), said))
    assert unsealed_body(chunk, policy, rsa_key(SERVER, bits), peer(CLIENT).public_key) == said


@pytest.mark.parametrize("bits", [2048, 4096])
@pytest.mark.parametrize(
    ("padding", "good"),
    [
        (b"\x03\x03\x03\x03", True),
        (b"\x00", True),
        (b"\x03\x03\x04\x03", False),
        (b"\x04\x03\x03\x03", False),
        (b"\x03\x03\x03\x04", False),
        (b"\xff\xff\xff\xff", False),
        (b"\x08" * 5, False),
    ],
)
def test_t42_padding_of_an_opn_is_checked_behind_the_signature(bits: int, padding: bytes, good: bool) -> None:
    """Signed by the right peer. Above 2048 bits the high byte of the count follows."""
    policy, key = BY_NAME["Aes256_Sha256_RsaPss"], rsa_key(SERVER, bits)
    said = OpenBody(1, 2, b"body")
    chunk = _opn(seal_open(policy, 5, own(CLIENT), peer(SERVER, bits), said))
    plain = bytes((1, 0, 0, 0, 2, 0, 0, 0)) + said.body + padding + (b"\x00" if bits > 2048 else b"")
    signature = policy.asym_sign(rsa_key(CLIENT), chunk.head + plain)
    sealed = replace(chunk, rest=policy.asym_encrypt(key.public_key(), plain + signature))
    assert unsealed_body(sealed, policy, key, peer(CLIENT).public_key) == (said if good else None)


@pytest.mark.parametrize("mode", MODES)
def test_keys_do_not_show(mode: Mode) -> None:
    keys = BY_NAME["Basic256Sha256"].derive(b"secret", b"seed")
    assert "SymmetricKeys()" in repr(keys)
    assert mode.name not in repr(keys)
