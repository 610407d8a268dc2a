"""Chunks that no honest end would send: every field of MSG and OPN is the test's to choose."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.protocols.opcua.decode import encode
from proxy.protocols.opcua.framing import VERSION
from proxy.protocols.opcua.opening import OpenBody, seal_open
from proxy.protocols.opcua.security.policies import BASIC256SHA256, Mode, Policy
from proxy.protocols.opcua.services.channel import OpenSecureChannelRequest
from proxy.protocols.opcua.services.messages import RequestHeader
from proxy.protocols.opcua.tokens import FRAME
from tests.opcua.channel_world import CLIENT, SERVER, Pair, own, peer

if TYPE_CHECKING:
    from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer

ISSUE, RENEW = 0, 1


@dataclass(frozen=True)
class Opn:
    """An OPN request; the defaults are what an honest client sends first."""

    policy: Policy = BASIC256SHA256
    mode: int = Mode.SIGN_AND_ENCRYPT.value
    own: OwnCertificate = field(default_factory=lambda: own(CLIENT))
    server: Peer = field(default_factory=lambda: peer(SERVER))
    kind: int = ISSUE
    channel: int = 0
    sequence: int = 1
    request: int = 1
    nonce: bytes | None = field(default_factory=lambda: os.urandom(32))
    body: bytes | None = None

    def frame(self) -> bytes:
        body = self.body
        if body is None:
            asked = OpenSecureChannelRequest(RequestHeader.make(), VERSION, self.kind, self.mode, self.nonce, 60_000)
            body = encode(asked)
        said = OpenBody(self.sequence, self.request, body)
        return seal_open(self.policy, self.channel, self.own, self.server, said)


def plain_chunk(
    pair: Pair, body: bytes, *, kind: bytes = b"MSG", chunk: bytes = b"F", sequence: int, request: int = 2
) -> bytes:
    """A chunk on a channel of security None, with the pair's channel and token."""
    token = pair.south._token  # the client's state is what an attacker on this channel knows
    assert token is not None
    return FRAME.pack(kind, chunk, 24 + len(body), pair.south.channel_id, token.id, sequence, request) + body
