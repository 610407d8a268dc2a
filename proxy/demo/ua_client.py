"""The demo's OPC UA clients: asyncua as a plant would use it, from an address of its own."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties

from proxy.demo import robot_words as words
from proxy.demo.connection import CLOSED, PATIENCE, SILENT, Answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping

    from proxy.demo.ua_papers import UaSpeaker

T = TypeVar("T")
SESSION = 60_000
"""Milliseconds."""
DOUBLE = ua.VariantType.Double


class Seat(asyncio.SelectorEventLoop):
    """An event loop whose connections come from ``source``. ``peers``: how the gateway's records name them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.peers: list[str] = []

    async def create_connection(self, *words: Any, **more: Any) -> Any:
        made = await super().create_connection(*words, local_addr=(self.source, 0), **more)
        self.peers.append("{}:{}".format(*made[0].get_extra_info("sockname")))
        return made


def quiet() -> None:
    """asyncua tells of each refusal, and here most are meant."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)


async def prepared(speaker: UaSpeaker) -> Any:
    """An asyncua client that is not connected yet; without papers it speaks policy None."""
    client = Client(speaker.url, timeout=PATIENCE)
    client.session_timeout = SESSION
    client.application_uri = speaker.uri
    if speaker.papers is not None:
        papers = speaker.papers
        await client.set_security(
            SecurityPolicyBasic256Sha256,
            CertProperties(papers.certificate, "pem"),
            CertProperties(papers.key, "pem"),
            server_certificate=CertProperties(papers.gateway, "pem"),
            mode=ua.MessageSecurityMode.SignAndEncrypt,
        )
    return client


@dataclass
class Talk:
    """A connected client and what came of it: ``answers`` so far, and all it ``asked``, as `words` tells it."""

    client: Any
    answers: list[Answer] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)

    @property
    def stream(self) -> bytes:
        """All it asked, a line for each."""
        return b"\n".join(self.asked)

    def take_token(self, other: Talk) -> None:
        """From now on it speaks in the name of the other's session."""
        self.client.uaclient.protocol.authentication_token = other.client.uaclient.protocol.authentication_token

    async def read(self, *names: str) -> list[Any]:
        """The values, None for what is refused."""
        self.asked += map(words.read, names)
        items = [ua.ReadValueId(NodeId=_id(name), AttributeId=ua.AttributeIds.Value) for name in names]
        found = await self._answered(self.client.uaclient.read(ua.ReadParameters(NodesToRead=items)))
        return [one.Value.Value if one.Value is not None else None for one in found]

    async def write(self, values: Mapping[str, float]) -> None:
        """All of them in one request."""
        self.asked += [words.write(name, value) for name, value in values.items()]
        items = [
            ua.WriteValue(
                NodeId=_id(name), AttributeId=ua.AttributeIds.Value, Value=ua.DataValue(ua.Variant(value, DOUBLE))
            )
            for name, value in values.items()
        ]
        await self._answered(self.client.uaclient.write(ua.WriteParameters(NodesToWrite=items)))

    async def call(self, *methods: str) -> None:
        """All of them in one request, without arguments."""
        self.asked += map(words.call, methods)
        calls = [ua.CallMethodRequest(ObjectId=_id(words.ROBOT), MethodId=_id(name)) for name in methods]
        await self._answered(self.client.uaclient.call(calls))

    async def _answered(self, answer: Awaitable[Any]) -> Any:
        """Its kind: the status of each item, or that of the fault."""
        began = time.perf_counter()
        found: Any = []
        try:
            found = await answer
            kind = " ".join(_status(one) for one in found)
        except (ua.UaError, OSError, TimeoutError) as fault:
            kind = kind_of(fault)
        self.answers.append(Answer(kind, time.perf_counter() - began))
        return found


def seated(source: str, visit: Callable[[], Coroutine[Any, Any, T]]) -> tuple[T, tuple[str, ...]]:
    """What ``visit`` comes to, and the connections that it had."""
    seat = Seat(source)
    with asyncio.Runner(loop_factory=lambda: seat) as runner:
        return runner.run(visit()), tuple(seat.peers)


@asynccontextmanager
async def talking(speaker: UaSpeaker) -> AsyncIterator[Talk]:
    """In a session of its own. Raises what asyncua raises when it is not let in."""
    _sit(speaker)
    async with await prepared(speaker) as client:
        yield Talk(client)


@asynccontextmanager
async def channel(speaker: UaSpeaker) -> AsyncIterator[Talk]:
    """A channel without a session. Raises as `talking`."""
    _sit(speaker)
    client = await prepared(speaker)
    await client.connect_socket()
    try:
        await client.send_hello()
        await client.open_secure_channel()
        yield Talk(client)
        await client.close_secure_channel()
    finally:
        client.disconnect_socket()


async def knock(speaker: UaSpeaker) -> Answer:
    """How somebody is turned away, and how long all of it took; ``Good`` if not."""
    began = time.perf_counter()
    kind = "Good"
    try:
        async with talking(speaker):
            pass
    except (ua.UaError, OSError, TimeoutError) as fault:
        kind = kind_of(fault)
    return Answer(kind, time.perf_counter() - began)


def _sit(speaker: UaSpeaker) -> None:
    loop = asyncio.get_running_loop()
    if isinstance(loop, Seat):
        loop.source = speaker.source


def kind_of(fault: BaseException) -> str:
    """The name of the status that a fault tells of."""
    code = getattr(fault, "code", None)
    if isinstance(code, int):
        return str(ua.StatusCode(code).name)
    return SILENT if isinstance(fault, TimeoutError) else CLOSED


def _status(one: Any) -> str:
    """Of a DataValue, a CallMethodResult or a status itself."""
    for field_name in ("StatusCode_", "StatusCode"):
        one = getattr(one, field_name, one)
    return str(one.name)


def _id(name: str) -> Any:
    return ua.NodeId(name, words.INDEX)
