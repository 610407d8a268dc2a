"""What a client may know of a listener before it has a session: who we are, and how to speak to us (Part 4, 5.5).

We answer ourselves, from what the operator wrote, and with the address that the client used: FindServers, GetEndpoints
and CreateSession say the same, clients dial the URL that they are given, and the server behind is neither asked nor
named (protocols.md 4.3, T51, T52).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proxy.protocols.opcua.north_opening import Openings
from proxy.protocols.opcua.security.certificates import Peer
from proxy.protocols.opcua.security.policies import BY_NAME, Mode
from proxy.protocols.opcua.services.discovery import (
    ApplicationDescription,
    EndpointDescription,
    FindServersRequest,
    FindServersResponse,
    GetEndpointsRequest,
    GetEndpointsResponse,
    UserTokenPolicy,
)
from proxy.protocols.opcua.values import LocalizedText

if TYPE_CHECKING:
    from proxy.protocols.opcua.conversation import Ask, Conversation
    from proxy.protocols.opcua.listener import OpcUaListener
    from proxy.protocols.opcua.security.certificates import OwnCertificate

UATCP = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
SERVER = 0
"""ApplicationType of a server alone."""
ANONYMOUS, USERNAME = 0, 1
TOKEN_KINDS = {"anonymous": ANONYMOUS, "username": USERNAME}
PROOFS, PROOFS_PER_SECOND = 512.0, 40.0
"""What sessions may cost our private key: so many of one client at once, and then so many a second (T47). A client with
100 sessions has 200 when it comes back."""
_URL = re.compile(r"opc\.tcp://(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.%]{2,45}\])(?::[0-9]{1,5})?(?:/[!-~]{0,1024})?")


class Front:
    """One listener as its clients see it. ``name`` is the operator's; ``own``: None where there is no security.
    ``proofs``: how often each client may put us to our private key."""

    def __init__(self, listener: OpcUaListener, name: str, own: OwnCertificate | None) -> None:
        self._listener = listener
        self._own = own
        self._name = name
        self.proofs = Openings(PROOFS, PROOFS_PER_SECOND)
        self.uri = _uri_of(own) or f"urn:bulkhead:{name}"

    @property
    def certificate(self) -> bytes | None:
        return None if self._own is None else self._own.der

    def url(self, said: str | None) -> str:
        """The operator's, or what the client dialled, if that is a URL."""
        if self._listener.url is not None:
            return self._listener.url
        return said if said is not None and _URL.fullmatch(said) else "opc.tcp://localhost"

    def application(self, url: str) -> ApplicationDescription:
        name = LocalizedText("en", self._name)
        return ApplicationDescription(self.uri, "urn:bulkhead", name, SERVER, None, None, (url,))

    def endpoints(self, said: str | None) -> tuple[EndpointDescription, ...]:
        """All that we offer, the most secure first."""
        url = self.url(said)
        kinds = [(name, mode) for name in sorted(self._listener.policies) for mode in _modes(self._listener)]
        kinds = kinds if self._own is not None else []
        if self._listener.unsafe_none:
            kinds.append(("None", Mode.NONE))
        made = [self._endpoint(url, name, mode) for name, mode in kinds]
        return tuple(sorted(made, key=lambda one: -one.security_level))

    def _endpoint(self, url: str, name: str, mode: Mode) -> EndpointDescription:
        policy = BY_NAME[name].uri
        tokens = tuple([self._token(kind, policy) for kind in sorted(self._listener.users)])
        level = {Mode.NONE: 0, Mode.SIGN: 50, Mode.SIGN_AND_ENCRYPT: 100}[mode] + (name == "Aes256_Sha256_RsaPss")
        return EndpointDescription(
            url, self.application(url), self.certificate, mode.value, policy, tokens, UATCP, level
        )

    def _token(self, kind: str, policy: str) -> UserTokenPolicy:
        """A password is encrypted for us on a channel that is not secured, wherever we have a certificate."""
        return UserTokenPolicy(kind, TOKEN_KINDS[kind], None, None, self.token_policy(policy) or None)

    def token_policy(self, channel: str) -> str:
        """URI of the policy for secrets of a user on a channel with the policy ``channel``; empty: none."""
        if channel != BY_NAME["None"].uri:
            return channel
        return BY_NAME["Basic256Sha256"].uri if self._own is not None else ""


def _uri_of(own: OwnCertificate | None) -> str:
    """The ApplicationUri is what the certificate says, or clients refuse it (Part 4, 6.1.3)."""
    peer = None if own is None else Peer.read(own.der)
    return peer.uris[0] if isinstance(peer, Peer) and peer.uris else ""


def _modes(listener: OpcUaListener) -> list[Mode]:
    return [Mode[name.upper()] for name in sorted(listener.modes)]


def discover(talk: Conversation, ask: Ask, front: Front) -> bool:
    """Answers what may be asked without a session. False: it is something else."""
    request = ask.request
    hello = talk.channel.hello
    said = hello.endpoint_url if hello is not None else None
    if isinstance(request, GetEndpointsRequest):
        wanted = request.profile_uris
        found = front.endpoints(request.endpoint_url or said) if not wanted or UATCP in wanted else ()
        talk.answer(ask, GetEndpointsResponse(talk.header(ask), found))
    elif isinstance(request, FindServersRequest):
        url = front.url(request.endpoint_url or said)
        servers = (front.application(url),) if not request.server_uris or front.uri in request.server_uris else ()
        talk.answer(ask, FindServersResponse(talk.header(ask), servers))
    else:
        return False
    return True
