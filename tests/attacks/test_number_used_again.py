"""The kernel gives a closed socket's number to the next one, and events of the old one may still be in the list."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack

import pytest

from proxy.gateway.connection import Connection
from proxy.gateway.poller import Poller
from proxy.gateway.ports import Timing
from tests.support.net import until


class Driver:
    """What a connection asks of its driver."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def connection_up(self, connection: Connection) -> None:
        self.told.append("up")

    def connection_read(self, connection: Connection, data: bytes) -> None:
        self.told.append("read")

    def connection_sent(self, count: int) -> None:
        self.told.append("sent")

    def connection_drained(self) -> None:
        self.told.append("drained")

    def connection_lost(self, connection: Connection, why: str) -> None:
        self.told.append(why)

    def connection_finished(self, connection: Connection) -> None:
        self.told.append("finished")


async def test_a_dial_under_way_is_not_taken_for_done() -> None:
    """It was called up: what failed later was a connection that broke, with no pause before the next dial."""
    loop = asyncio.get_running_loop()
    poller = Poller(loop, time.monotonic)
    driver = Driver()
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.9", 0), backlog=0))
        waits = None
        for _ in range(8):  # until the backlog is full, and the next SYN gets no answer
            connection = Connection(
                driver,
                0,
                loop=loop,
                poller=poller,
                clock=time.monotonic,
                timing=Timing(dial=5.0),
                tls=None,
                patient=False,
            )
            connection.connect("127.0.0.9", full.getsockname()[1], time.monotonic())
            stack.callback(connection.close)
            await asyncio.sleep(0.05)
            if not connection.up:
                waits = connection
                break
        if waits is None:
            pytest.skip("this kernel has room for every connection")
        driver.told.clear()
        waits._connected()  # as an event of the number's last owner does
        assert driver.told == [] and not waits.up
        stack.enter_context(full.accept()[0])
        await until(lambda: driver.told, 10, "its SYN is sent again and answered")
        assert driver.told == ["up"]
    poller.close()
