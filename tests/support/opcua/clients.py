"""Unchanged asyncua clients, opened in every way that a plant opens them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncua import Client, ua
from asyncua.crypto import security_policies

from tests.support.opcua.names import URI, USERS

if TYPE_CHECKING:
    from tests.support.opcua.applications import ApplicationFiles

POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
"""In asyncua's spelling."""
MODES = ("Sign", "SignAndEncrypt")
SESSION_MS = 60_000


@dataclass(frozen=True)
class Way:
    """``user``: one of `USERS`; None: anonymous."""

    policy: str = "None"
    mode: str = "None"
    user: str | None = None

    def __str__(self) -> str:
        return f"{self.policy}-{self.mode}-{self.user or 'anonymous'}"

    @property
    def secured(self) -> bool:
        return self.policy != "None"


PLAIN = Way()
WAYS = tuple(
    Way(policy, mode, user)
    for policy, mode in (("None", "None"), *((policy, mode) for policy in POLICIES for mode in MODES))
    for user in (None, "operator")
)


async def prepared(
    url: str, way: Way = PLAIN, application: ApplicationFiles | None = None, server: bytes | None = None
) -> Any:
    """A client that has not connected yet. ``server``: the server's certificate, DER; without it a secured client has
    asked for the endpoints, over a channel with None."""
    # Its watchdog gives up when one Read takes longer than its interval, which a second is on a busy machine.
    client = Client(url, timeout=8, watchdog_intervall=8.0)
    client.session_timeout = SESSION_MS
    if way.user is not None:
        client.set_user(way.user)
        client.set_password(USERS[way.user])
    if application is not None:
        client.application_uri = application.uri
    if way.secured:
        assert application is not None
        policy = getattr(security_policies, f"SecurityPolicy{way.policy}")
        mode = getattr(ua.MessageSecurityMode, way.mode)
        certificate, key = application.certificate, application.key
        await client.set_security(policy, certificate, key, server_certificate=server, mode=mode)
    return client


@asynccontextmanager
async def opened(
    url: str, way: Way = PLAIN, application: ApplicationFiles | None = None, server: bytes | None = None
) -> AsyncIterator[Any]:
    client = await prepared(url, way, application, server)
    async with client:
        yield client


class Nodes:
    """Nodes by identifier, whatever the index of the vendor's namespace is at this server today."""

    def __init__(self, client: Any, index: int) -> None:
        self.client = client
        self.index = index

    @classmethod
    async def of(cls, client: Any) -> Nodes:
        return cls(client, await client.get_namespace_index(URI))

    def id(self, identifier: str | int) -> Any:
        return ua.NodeId(identifier, self.index)

    def __getitem__(self, identifier: str | int) -> Any:
        return self.client.get_node(self.id(identifier))


def double(value: float) -> Any:
    return ua.DataValue(ua.Variant(value, ua.VariantType.Double))


# Whole requests, one service call each: asyncua's own functions for many nodes raise at the first bad status.


async def read_many(client: Any, ids: Sequence[Any]) -> list[Any]:
    """DataValues."""
    asked = ua.ReadParameters()
    asked.NodesToRead = [ua.ReadValueId(NodeId=one, AttributeId=ua.AttributeIds.Value) for one in ids]
    return list(await client.uaclient.read(asked))


async def write_many(client: Any, values: Sequence[tuple[Any, Any]]) -> list[int]:
    """Status codes. ``values``: node id and DataValue."""
    asked = ua.WriteParameters()
    asked.NodesToWrite = [
        ua.WriteValue(NodeId=one, AttributeId=ua.AttributeIds.Value, Value=value) for one, value in values
    ]
    return [status.value for status in await client.uaclient.write(asked)]


async def call_many(client: Any, calls: Sequence[tuple[Any, Any, float]]) -> list[Any]:
    """CallMethodResults. ``calls``: object, method, and the one number it takes."""
    return list(
        await client.uaclient.call(
            [
                ua.CallMethodRequest(
                    ObjectId=one, MethodId=method, InputArguments=[ua.Variant(number, ua.VariantType.Double)]
                )
                for one, method, number in calls
            ]
        )
    )


async def history_many(client: Any, ids: Sequence[Any], count: int = 10) -> list[Any]:
    """HistoryReadResults of raw values, oldest first."""
    details = ua.ReadRawModifiedDetails(IsReadModified=False, NumValuesPerNode=count, ReturnBounds=False)
    details.StartTime = ua.get_win_epoch()
    details.EndTime = ua.get_win_epoch()
    asked = ua.HistoryReadParameters(HistoryReadDetails=details)
    asked.NodesToRead = [ua.HistoryReadValueId(NodeId=one) for one in ids]
    return list(await client.uaclient.history_read(asked))


async def monitor_many(client: Any, subscription: int, ids: Sequence[Any]) -> list[Any]:
    """MonitoredItemCreateResults; client handles are positions."""
    asked = ua.CreateMonitoredItemsParameters(SubscriptionId=subscription)
    asked.TimestampsToReturn = ua.TimestampsToReturn.Both
    for handle, one in enumerate(ids):
        item = ua.MonitoredItemCreateRequest(MonitoringMode=ua.MonitoringMode.Reporting)
        item.ItemToMonitor = ua.ReadValueId(NodeId=one, AttributeId=ua.AttributeIds.Value)
        item.RequestedParameters = ua.MonitoringParameters(ClientHandle=handle, SamplingInterval=20.0, QueueSize=5)
        asked.ItemsToCreate.append(item)
    return list(await client.uaclient.create_monitored_items(asked))
