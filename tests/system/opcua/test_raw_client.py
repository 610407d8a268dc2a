"""The raw client against the recording robots: what it says, an independent server understands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.protocols.opcua import status
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.security.policies import Mode
from proxy.protocols.opcua.services.attribute import ReadResponse
from tests.support.opcua import requests
from tests.support.opcua.names import OPEN
from tests.support.opcua.raw_client import RawClient, Security

if TYPE_CHECKING:
    from tests.support.opcua.applications import ApplicationFiles
    from tests.support.opcua.robot_process import Robot

pytestmark = pytest.mark.system
INDEX = 2


def test_none(old: Robot) -> None:
    with RawClient(old.url) as client:
        session = client.session("operator")
        nodes = [NodeId.string(INDEX, name) for name in OPEN]
        answer = client.asked(requests.read(client.header(session.token), nodes), ReadResponse)
        assert [requests.status_of(one) for one in answer.results or ()] == [0] * 10


@pytest.mark.parametrize("mode", [Mode.SIGN, Mode.SIGN_AND_ENCRYPT])
@pytest.mark.parametrize("policy", ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"])
def test_secured(modern: Robot, hmi: ApplicationFiles, policy: str, mode: Mode) -> None:
    server = modern.certificate
    with RawClient(modern.url, Security.of(policy, mode, hmi, server), uri=hmi.uri) as client:
        session = client.session("operator")
        client.renew()
        read = requests.read(client.header(session.token), [NodeId.numeric(0, 2258)])
        assert [requests.status_of(one) for one in client.asked(read, ReadResponse).results or ()] == [0]


def test_services_that_the_robot_lacks_are_refused_by_it(old: Robot) -> None:
    """So that a refusal by the gateway must be looked for in the record, not in the answer."""
    with RawClient(old.url) as client:
        session = client.session()
        old.forget()
        for make in requests.RARE.values():
            answered = client.refused(make(client.header(session.token)))
            assert answered & status.BAD, hex(answered)
        assert old.received()
