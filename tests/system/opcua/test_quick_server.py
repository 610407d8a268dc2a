"""An unchanged asyncua client against the quick server: what a bench measures is OPC UA."""

from __future__ import annotations

import pytest

from proxy.protocols.opcua import type_ids
from tests.support.opcua.clients import double, opened, write_many
from tests.support.opcua.quick_server import URI, QuickServer, serving
from tests.support.opcua.tour import Heard

pytestmark = pytest.mark.system


async def test_reads_writes_and_reports() -> None:
    with serving(QuickServer(nodes=20)) as server:
        async with opened(server.url) as client:
            index = await client.get_namespace_index(URI)
            node = client.get_node(f"ns={index};s=V7")
            assert [await node.read_value() for _ in range(3)] == [7.0] * 3
            assert len(await client.nodes.objects.get_children()) == 20
            heard = Heard()
            subscription = await client.create_subscription(20, heard)
            await subscription.subscribe_data_change(node)
            assert await heard.next() == 7.0
            assert await write_many(client, [(node.nodeid, double(8.0))]) == [0]
            assert await heard.next() == 8.0
            assert await node.read_value() == 8.0, "what was kept is forgotten"
            await subscription.delete()
        assert server.asked[type_ids.READ_REQUEST] >= 5 and server.asked[type_ids.WRITE_REQUEST] == 1
