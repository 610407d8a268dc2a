"""A device that takes no more bytes: what needs no answer has no window that closes, so nothing else bounds it."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.modbus.frames import frame
from tests.support.mbaps import dial
from tests.support.net import resident_kib
from tests.support.plant import PLAIN, Builder
from tests.support.process import running

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

RULES = """\
  announce:
    from: station
    to: plc
    modbus: { units: [0], write: [holding 0-122] }
"""
BROADCAST = frame(1, 0, b"\x10\0\0\0\x7b\xf6" + bytes(246))


def test_broadcasts_to_a_deaf_device_are_bounded(tmp_path: Path) -> None:
    """They were gathered without end, copied whole at each new one, and the loop of every other device with them."""
    with socket.create_server(("127.0.0.9", 0)) as device:
        port = device.getsockname()[1]
        plant = Builder(tmp_path, port, rules=RULES, service="units: [0, 1]", listeners=(PLAIN,)).build()
        with running(plant) as gateway, dial(plant.ports[PLAIN]) as client:
            client.settimeout(1)
            client.sendall(BROADCAST)
            before = resident_kib(gateway.pid)
            sent, ends = 0, time.monotonic() + 10
            while sent < 12_000_000 and time.monotonic() < ends:
                sent += client.send(BROADCAST * 50)
            assert sent >= 12_000_000, f"slowed to {sent} bytes in 10 s"
            gateway.recorded(what="device", reason="BH-1106")
            assert resident_kib(gateway.pid) - before < 4096
