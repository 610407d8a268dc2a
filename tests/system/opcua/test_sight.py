"""What somebody may see: a part of the address space, a subtree, and what another user on the same channel may see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import random
from typing import TYPE_CHECKING

import pytest

from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import decode, decode_inner
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services.attribute import ReadResponse, WriteResponse
from proxy.protocols.opcua.services.monitor import CreateMonitoredItemsResponse
from proxy.protocols.opcua.services.subscription import (
    CreateSubscriptionResponse,
    DataChangeNotification,
    PublishResponse,
)
from proxy.protocols.opcua.services.view import BrowseResponse, TranslateBrowsePathsToNodeIdsResponse
from tests.support.net import wait_until
from tests.support.opcua import requests, site
from tests.support.opcua.names import CELL, CLOSED, OPEN, SECRET, SECRET_VALUE, SPEED, node_id
from tests.support.opcua.raw_client import RawClient, Session

if TYPE_CHECKING:
    from tests.support.opcua.robot_process import Robot

pytestmark = pytest.mark.system
INDEX = 2
OBJECTS = NodeId.numeric(0, 85)
DENIED = status.BAD_USER_ACCESS_DENIED
Talk = tuple[RawClient, Session]


def node(name: str) -> NodeId:
    return NodeId.string(INDEX, name)


@pytest.fixture(params=[site.RELAY, site.FRONT])
def narrow(request: pytest.FixtureRequest, url: Callable[[str], str], robot: Robot) -> Iterator[Talk]:
    with RawClient(url(request.param), source=site.NARROW_AT) as client:
        session = client.session()
        robot.forget()
        yield client, session


def read(client: RawClient, session: Session, *names: str) -> list[int]:
    asked = requests.read(client.header(session.token), [node(name) for name in names])
    return [requests.status_of(one) for one in client.asked(asked, ReadResponse).results or ()]


class TestBrowse:
    def test_references_to_what_may_not_be_seen_are_left_out(self, narrow: Talk) -> None:
        client, session = narrow
        asked = requests.browse(client.header(session.token), [OBJECTS, node(CELL), NodeId.numeric(0, 84)])
        objects, cell, root = client.asked(asked, BrowseResponse).results or ()
        assert {str(one.node_id.node.identifier) for one in objects.references or ()} == {*OPEN, CELL}
        assert not cell.references, "of the cell itself the name may be seen, and nothing in it"
        assert root.status_code == DENIED or not root.references

    def test_a_path_leads_nowhere_that_may_not_be_seen(self, narrow: Talk) -> None:
        """T26: TranslateBrowsePaths tells as much as Browse."""
        client, session = narrow
        for name, seen in ((OPEN[0], True), (CLOSED[0], False), ("Robot", False)):
            asked = requests.translate(client.header(session.token), OBJECTS, (INDEX, name))
            (result,) = client.asked(asked, TranslateBrowsePathsToNodeIdsResponse).results or ()
            assert bool(result.targets) == seen, (name, result)
            assert seen or result.status_code & status.BAD

    def test_attributes_but_the_value_may_be_read_of_what_may_be_seen(self, narrow: Talk) -> None:
        client, session = narrow
        for name, wanted in ((OPEN[0], 0), (CLOSED[0], DENIED)):
            asked = requests.read(client.header(session.token), [node(name)], 4)
            assert [requests.status_of(one) for one in client.asked(asked, ReadResponse).results or ()] == [wanted]
        assert read(client, session, OPEN[0], OPEN[1]) == [DENIED, 0]


def test_a_subtree_is_what_the_server_says_is_below(narrow: Talk, robot: Robot) -> None:
    """`under`: browsed when the session is activated."""
    client, session = narrow
    values = [(node(SPEED), 3.0), (node(OPEN[1]), 3.0), (node(SECRET), 3.0), (node(CLOSED[1]), 3.0)]
    asked = requests.write(client.header(session.token), values)
    assert client.asked(asked, WriteResponse).results == (0, DENIED, 0, DENIED)
    assert robot.items("Write") == [node_id(SPEED), node_id(SECRET)]


class TestUsers:
    """One rule lets the maintainer read the secret. What is kept of verdicts must not serve anybody else."""

    @pytest.fixture(params=[site.RELAY, site.FRONT])
    def client(self, request: pytest.FixtureRequest, url: Callable[[str], str], robot: Robot) -> Iterator[RawClient]:
        with RawClient(url(request.param)) as client:
            yield client
        robot.set(SECRET, SECRET_VALUE)

    def test_two_sessions_on_one_channel(self, client: RawClient, robot: Robot) -> None:
        may, may_not = client.session("maintainer"), client.session("operator")
        robot.forget()
        for _ in range(5):
            assert read(client, may, SECRET) == [0]
            assert read(client, may_not, SECRET) == [DENIED]
        assert robot.items("Read") == [node_id(SECRET)] * 5

    def test_another_user_in_the_same_session(self, client: RawClient, robot: Robot) -> None:
        """Verdicts are dropped with the user (protocols.md 4.7)."""
        session = client.session("maintainer")
        assert [read(client, session, SECRET) for _ in range(5)] == [[0]] * 5
        client.activate(session, "operator")
        robot.forget()
        assert [read(client, session, SECRET) for _ in range(3)] == [[DENIED]] * 3
        assert robot.received("Read") == []
        client.activate(session, "maintainer")
        assert read(client, session, SECRET) == [0]

    def test_a_subscription_whose_user_changes(self, client: RawClient, robot: Robot) -> None:
        """T21: the value is told no more, and what is told says why."""
        session = client.session("maintainer")
        made = client.asked(requests.subscription(client.header(session.token)), CreateSubscriptionResponse)
        asked = requests.monitored(client.header(session.token), made.subscription_id, [node(SECRET), node(OPEN[2])])
        assert [one.status_code for one in client.asked(asked, CreateMonitoredItemsResponse).results or ()] == [0, 0]
        assert {handle for handle, _ in self.told(client, session)} == {0, 1}
        client.activate(session, "operator")
        robot.forget()
        robot.set(SECRET, 66.0)
        assert self.told(client, session) == [(0, DENIED)]
        # The item is disabled at the server; asyncua's takes no notice of that.
        wait_until(lambda: robot.received("SetMonitoringMode"), what="the item is disabled")
        assert [(line["to"], len(line["ids"])) for line in robot.received("SetMonitoringMode")] == [("Disabled", 1)]
        robot.set(SECRET, 67.0)
        robot.set(OPEN[2], random())
        told = self.told(client, session)
        while (1, 0) not in told:
            assert set(told) == {(0, DENIED)}
            told = self.told(client, session)

    @staticmethod
    def told(client: RawClient, session: Session) -> list[tuple[int, int]]:
        """Handle and status of each change in the next notification that has any."""
        while True:
            answer = decode(client.hear(client.say(requests.publish(client.header(session.token)))).body)
            assert isinstance(answer, PublishResponse), answer
            changes = [decode_inner(one) for one in answer.notification_message.notification_data or ()]
            told = [
                (item.client_handle, item.value.status or 0)
                for change in changes
                if isinstance(change, DataChangeNotification)
                for item in change.monitored_items or ()
            ]
            if told:
                return told
