"""User identity tokens as a client sends them (Part 4, 7.40): read, decrypted, and put into the form of policy None.

Whatever is wrong with a password's encryption gives one constant answer, so that nobody learns anything from it
(CVE-2026-54155). The plain text goes to the upstream in memory and nowhere else.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import decode_inner, make_extension
from proxy.protocols.opcua.security.policies import POLICIES
from proxy.protocols.opcua.services.session import AnonymousIdentityToken, UserNameIdentityToken

if TYPE_CHECKING:
    from proxy.protocols.opcua.security.certificates import OwnCertificate
    from proxy.protocols.opcua.values import ExtensionObject

MOST_PASSWORD = 512
"""Bytes of a password, and of a user's name."""


@dataclass(frozen=True, slots=True)
class User:
    """``kind`` is one of `actions.TOKENS`; ``name`` None for an anonymous one; ``token`` is for the upstream."""

    kind: str
    name: str | None
    token: ExtensionObject = field(repr=False)


def read_user(
    sent: ExtensionObject, offered: frozenset[str], policy: str, own: OwnCertificate | None, nonce: bytes
) -> User | int:
    """The user, or the StatusCode of the refusal. ``policy``: URI of the policy that secrets are encrypted with, empty
    for none; ``nonce``: the last that we gave this client."""
    if sent.type_id.is_null and sent.body is None:
        return _anonymous() if "anonymous" in offered else status.BAD_IDENTITY_TOKEN_INVALID
    inner = decode_inner(sent)
    if isinstance(inner, AnonymousIdentityToken):
        fits = "anonymous" in offered and inner.policy_id in (None, "", "anonymous")
        return _anonymous() if fits else status.BAD_IDENTITY_TOKEN_REJECTED
    if not isinstance(inner, UserNameIdentityToken):
        # A certificate's signature covers the server's nonce and certificate, so it cannot be relayed (4.3).
        return status.BAD_IDENTITY_TOKEN_REJECTED if inner is None else status.BAD_IDENTITY_TOKEN_INVALID
    if "username" not in offered or inner.policy_id != "username" or not is_name(inner.user_name):
        return status.BAD_IDENTITY_TOKEN_REJECTED
    password = _password(inner, policy, own, nonce)
    if password is None:
        return status.BAD_IDENTITY_TOKEN_REJECTED
    plain = UserNameIdentityToken("", inner.user_name, password, None)
    return User("username", inner.user_name, make_extension(plain))


def _anonymous() -> User:
    return User("anonymous", None, make_extension(AnonymousIdentityToken("")))


def is_name(name: str | None) -> bool:
    """What rules compare whole and records show; nothing invisible in it (T12)."""
    return name is not None and 0 < len(name) <= MOST_PASSWORD and name.isprintable()


def _password(token: UserNameIdentityToken, policy: str, own: OwnCertificate | None, nonce: bytes) -> bytes | None:
    """Part 4, 7.40.2.2: the length of what follows, the password, and the server's nonce, encrypted."""
    sent = token.password or b""
    if not policy:
        return sent if not token.encryption_algorithm and len(sent) <= MOST_PASSWORD else None
    used = POLICIES[policy]
    if own is None or token.encryption_algorithm != used.encryption_uri or len(sent) > 4 * MOST_PASSWORD:
        return None
    plain = used.asym_decrypt(own.key, sent)
    if plain is None or len(plain) < 4 + len(nonce):
        return None
    length = int.from_bytes(plain[:4], "little")
    secret, their_nonce = plain[4 : len(plain) - len(nonce)], plain[len(plain) - len(nonce) :]
    if length != len(plain) - 4 or not hmac.compare_digest(their_nonce, nonce) or len(secret) > MOST_PASSWORD:
        return None
    return secret
