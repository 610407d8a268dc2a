"""A protocol whose own handshake says who speaks: until then a link is one of the unproved, and nothing is decided."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.principal import Principal
from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.gateway.ports import Limits
from proxy.protocols.base import Introduction
from tests.support.inside import DEFAULT, QUICK, Inside
from tests.support.net import until
from tests.support.raw import Raw
from tests.support.toy import ToyDevice, ToyInspector, ToyProtocol

if TYPE_CHECKING:
    from proxy.core.facts import ConnFacts
    from proxy.core.names import Names
    from proxy.protocols.base import Client, Decide, Effects, Inspector, Setting
    from tests.support.keys import Keys


class Shy(ToyInspector):
    """``i am NAME`` introduces, with a certificate if it has one; what is behind it waits until it is identified."""

    def __init__(self, decide: Decide, partial: float, certificate: bytes | None) -> None:
        super().__init__(decide, partial)
        self.names: Names | None = None
        self._certificate = certificate
        self._behind_it = b""

    def from_client(self, data: bytes, now: float, out: Effects) -> None:
        if self.names is not None:
            super().from_client(data, now, out)
        elif data.startswith(b"i am ") and out.introduced is None:
            line, _, self._behind_it = data.partition(b"\n")
            out.client.append(b"hello\n")
            out.introduced = Introduction(self._certificate, f"urn:{line[5:].decode()}")
        else:
            out.client.append(b"who\n")

    def identified(self, names: Names, now: float, out: Effects) -> None:
        self.names = names
        super().from_client(self._behind_it, now, out)


class ShyProtocol(ToyProtocol):
    def __init__(self, certificate: bytes | None = None) -> None:
        super().__init__()
        self.certificate = certificate

    def introduces(self, options: object) -> bool:
        return True

    def inspector(self, decide: Decide, setting: Setting, options: object, client: Client) -> Inspector:
        self.inspectors.append(Shy(decide, self.partial, self.certificate))
        return self.inspectors[-1]


def by_its_word(facts: ConnFacts) -> Principal:
    uri = facts.application_uri or "urn:nobody"
    return Principal(uri.removeprefix("urn:"), evidence=(Evidence("opcua_uri", Outcome.MATCH, Strength.PROOF),))


async def test_who_it_says_it_is_decides() -> None:
    async with ToyDevice() as device, Inside(ShyProtocol(), device.port, identify=by_its_word) as inside:
        async with await Raw.to(inside.port) as raw:
            await raw.send(b"get 5\n")
            assert await raw.exactly(4) == b"who\n"
            assert not list(inside.gateway.links), "it is not in yet"
            await raw.send(b"i am anna\nget 5\n")
            assert await raw.exactly(6 + 7) == b"hello\n5 is 0\n"
            (link,) = inside.links
            assert link.principal is not None
            assert link.principal.id == "anna"
            assert link.facts.application_uri == "urn:anna"
            assert inside.journal.opened_links == [link.number]
            assert inside.counts.live == 1
    assert device.received == ["get 5"]


async def test_t45_it_has_as_long_as_a_handshake() -> None:
    async with ToyDevice() as device, Inside(ShyProtocol(), device.port) as inside, await Raw.to(inside.port) as raw:
        await raw.send(b"get 5\n")
        assert await raw.to_the_end(QUICK.handshake + 0.3) == b"who\n"
        assert inside.journal.reasons("connect") == [Reason.TOO_SLOW]
        assert inside.counts.too_slow == 1


async def test_t48_it_counts_among_the_unproved() -> None:
    limits = Limits(handshakes=1)
    async with ToyDevice() as device, Inside(ShyProtocol(), device.port, limits=limits) as inside:
        async with await Raw.to(inside.port) as first, await Raw.to(inside.port) as second:
            await second.send(b"i am anna\n")
            assert await second.exactly(6) == b"hello\n"
            assert await first.to_the_end(QUICK.handshake / 2) == b"", "the older one made room"


@pytest.mark.parametrize("why", ["standing", "connect"])
async def test_who_may_not_come_in_is_told_in_its_own_language(why: str) -> None:
    async with ToyDevice() as device, Inside(ShyProtocol(), device.port) as inside:
        if why == "standing":
            inside.standing = Reason.DIFFERS_FROM_PIN
        else:
            inside.connect = Verdict(DEFAULT, Reason.NO_CONNECT_RULE)
        async with await Raw.to(inside.port) as raw:
            await raw.send(b"i am anna\nget 5\n")
            code = (Reason.DIFFERS_FROM_PIN if why == "standing" else Reason.NO_CONNECT_RULE).code
            assert await raw.to_the_end(0.5) == f"hello\nbye {code}\n".encode()
        await until(lambda: len(inside.journal.events) == 1)
        assert inside.counts.refused_links == 1
    assert device.received == []


async def test_who_comes_to_look_and_leaves_is_no_refusal() -> None:
    async with ToyDevice() as device, Inside(ShyProtocol(), device.port) as inside:
        async with await Raw.to(inside.port) as raw:
            await raw.send(b"where are you\n")
            assert await raw.exactly(4) == b"who\n"
        await until(lambda: not inside.gateway.links.everyone())
        assert inside.journal.events == []
        assert inside.counts.handshake_failures == 1


async def test_t08_its_certificate_is_looked_at_like_that_of_tls(keys: Keys) -> None:
    """Dates and the deny list, when it comes in and as long as it stays."""
    pem = keys.issue("anna").certificate.read_text()
    der = ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----END") + 26])
    protocol = ShyProtocol(der)
    late = (datetime.now(UTC) + timedelta(days=900)).timestamp()
    async with ToyDevice() as device, Inside(protocol, device.port) as inside:
        async with await Raw.to(inside.port) as raw:
            await raw.send(b"i am anna\n")
            assert await raw.exactly(6) == b"hello\n"
            await until(lambda: len(inside.links) == 1)
            (link,) = inside.links
            assert link.facts.certificate is not None
            inside.revoked.add(link.facts.certificate.serial)
            await inside.gateway.decide_again()
            assert await raw.to_the_end(0.5) == f"bye {Reason.CERTIFICATE_ENDED.code}\n".encode()
        async with await Raw.to(inside.port) as again:
            await again.send(b"i am anna\n")
            assert await again.to_the_end(0.5) == f"hello\nbye {Reason.CERTIFICATE_ENDED.code}\n".encode()
        inside.revoked.clear()
        inside.wall = lambda: late
        async with await Raw.to(inside.port) as expired:
            await expired.send(b"i am anna\n")
            assert await expired.to_the_end(0.5) == f"hello\nbye {Reason.CERTIFICATE_ENDED.code}\n".encode()
        protocol.certificate = b"no certificate"
        async with await Raw.to(inside.port) as broken:
            await broken.send(b"i am anna\n")
            assert await broken.to_the_end(0.5) == f"hello\nbye {Reason.CHANNEL_REFUSED.code}\n".encode()
