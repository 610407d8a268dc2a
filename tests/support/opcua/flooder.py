"""``python -m tests.support.opcua.flooder PORT SOURCE COUNT [OPN]``: floods with chunks until it is killed (T43).

COUNT attackers, in turn of each kind of `KINDS`; whoever is cut dials again. OPN: a file with a HEL and an OPN that
somebody trusted has said once.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from proxy.protocols.opcua.channel import Broke, Opened, Said
from proxy.protocols.opcua.decode import decode, encode, make_extension
from proxy.protocols.opcua.security.policies import NONE, Mode
from proxy.protocols.opcua.services.discovery import ApplicationDescription
from proxy.protocols.opcua.services.messages import Request, RequestHeader
from proxy.protocols.opcua.services.session import (
    ActivateSessionRequest,
    ActivateSessionResponse,
    AnonymousIdentityToken,
    CreateSessionRequest,
    CreateSessionResponse,
    SignatureData,
)
from proxy.protocols.opcua.south_channel import SouthChannel, SouthSetting
from proxy.protocols.opcua.tokens import FRAME
from proxy.protocols.opcua.values import LocalizedText
from tests.support.net import LOCAL

EARLY = 8192
CHUNK = 16_384
"""Bytes of a frame before a session, and in one."""
AGAIN = 0.25
"""Seconds until who was cut dials again: 200 attackers dial 800 times a second at most, as `tests.support.swarm`."""
FITS = 62
"""Chunks of `CHUNK` that are less than a message may have."""
UNSIGNED = SignatureData(None, None)


class Attacker:
    """A connection with policy None; ``sent`` goes on from what the channel has numbered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, recorded: bytes) -> None:
        self.reader, self.writer, self.recorded = reader, writer, recorded
        self.channel = SouthChannel(SouthSetting(NONE, Mode.NONE, None, None, "opc.tcp://x:1"), os.urandom, time.time)

    async def open(self) -> None:
        out = bytearray()
        self.channel.start(0.0, out)
        self.writer.write(out)
        await self._until(Opened)

    async def _until(self, kind: type[Opened] | type[Said]) -> Opened | Said:
        while True:
            data = await self.reader.read(65536)
            out = bytearray()
            events = self.channel.receive(data, 0.0, out) if data else []
            self.writer.write(out)
            for event in events:
                if isinstance(event, kind):
                    return event
            if not data or any(isinstance(event, Broke) for event in events):
                raise EOFError

    async def ask(self, request: Request) -> object:
        out = bytearray()
        self.channel.send(1, encode(request), out)
        self.writer.write(out)
        said = await self._until(Said)
        assert isinstance(said, Said)
        return decode(said.body)

    async def session(self) -> None:
        await self.open()
        application = ApplicationDescription("urn:x", None, LocalizedText(None, "x"), 1, None, None, None)
        create = CreateSessionRequest(RequestHeader.make(), application, None, None, "x", bytes(32), None, 1000.0, 0)
        created = await self.ask(create)
        if not isinstance(created, CreateSessionResponse):
            raise EOFError
        user = make_extension(AnonymousIdentityToken("anonymous"))
        header = RequestHeader.make(created.authentication_token)
        active = await self.ask(ActivateSessionRequest(header, UNSIGNED, None, None, user, UNSIGNED))
        if not isinstance(active, ActivateSessionResponse):
            raise EOFError

    def chunk(self, letter: bytes, size: int, request: int) -> bytes:
        token = self.channel._token
        if token is None:
            raise EOFError
        self.channel._sent += 1
        head = FRAME.pack(b"MSG", letter, size, self.channel.channel_id, token.id, self.channel._sent, request)
        return head + bytes(size - FRAME.size)

    async def say(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))
        await self.writer.drain()

    async def ended(self) -> None:
        """Until we are cut."""
        while await self.reader.read(65536):
            pass


async def greet(one: Attacker) -> None:
    """HEL, and no more."""
    out = bytearray()
    one.channel.start(0.0, out)
    await one.say(bytes(out[: int.from_bytes(out[4:8], "little")]))
    await one.ended()


async def open_again(one: Attacker) -> None:
    """An OPN that was recorded: to answer it costs two operations with private keys."""
    await one.say(one.recorded)
    await one.reader.read(65536)


async def before_session(one: Attacker) -> None:
    """A chunk of 8 KiB and the promise of more, where nobody has a session."""
    await one.open()
    await one.say(one.chunk(b"C", EARLY, 1))
    await one.ended()


async def endless(one: Attacker) -> None:
    """C and C and C."""
    await one.session()
    while not one.reader.at_eof():
        await one.say(one.chunk(b"C", CHUNK, 9))
        await asyncio.sleep(0)


async def many_requests(one: Attacker) -> None:
    """Each chunk begins another message."""
    await one.session()
    for request in range(1000):
        await one.say(one.chunk(b"C", CHUNK, 10 + request))
        if one.reader.at_eof():
            return
        await asyncio.sleep(0)


async def aborts(one: Attacker) -> None:
    """Messages that are begun and given up: all of it legal, and nothing ever asked."""
    await one.session()
    while not one.reader.at_eof():
        await one.say(*(one.chunk(letter, CHUNK if letter == b"C" else 24, 9) for letter in (b"C", b"C", b"A") * 8))
        await asyncio.sleep(0)


async def never_final(one: Attacker) -> None:
    """All of a message but its end, held as long as it may be."""
    await one.session()
    await one.say(*(one.chunk(b"C", CHUNK, 9) for _ in range(FITS)))
    await one.ended()


async def nonsense(one: Attacker) -> None:
    """Whole messages of the full size that are no messages."""
    await one.session()
    await one.say(*(one.chunk(b"C", CHUNK, 9) for _ in range(FITS)), one.chunk(b"F", CHUNK, 9))
    await one.ended()


KINDS: tuple[Callable[[Attacker], Awaitable[None]], ...] = (
    greet, open_again, before_session, endless, many_requests, aborts, never_final, nonsense,
)  # fmt: skip


async def attack(port: int, source: str, kind: Callable[[Attacker], Awaitable[None]], recorded: bytes) -> None:
    while True:
        writer = None
        try:
            reader, writer = await asyncio.open_connection(LOCAL, port, local_addr=(source, 0))
            await kind(Attacker(reader, writer, recorded))
        except (OSError, EOFError):
            pass
        finally:
            if writer is not None:
                writer.transport.abort()
        await asyncio.sleep(AGAIN)


async def main(port: int, source: str, count: int, recorded: bytes, only: str) -> None:
    kinds = [kind for kind in KINDS if only in ("", kind.__name__)]
    await asyncio.gather(*(attack(port, source, kinds[at % len(kinds)], recorded) for at in range(count)))


if __name__ == "__main__":
    _, to, who, many, file, *rest = sys.argv
    asyncio.run(main(int(to), who, int(many), Path(file).read_bytes(), rest[0] if rest else ""))
