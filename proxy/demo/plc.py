"""The PLC process: a pymodbus simulator that fills bottles, behind the recording tap.

    python -m proxy.demo.plc 127.0.0.1:15020 RECORD-FILE

Holding 0 counts bottles, holding 40 is the setpoint in bottles a minute, coils 0..7 are valves. It asks nobody who
they are: whatever reaches it, it does.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from proxy.demo.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable

UNIT = 1
BOTTLES, SETPOINT = 0, 40
FIRST_SETPOINT = 600
READ_HOLDING = 3


class Filler:
    """The process behind the registers: the count rises with the setpoint. ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._bottles = 0.0

    async def on_access(
        self, function: int, _first: int, _address: int, _count: int, registers: list[int], _set: object
    ) -> None:
        """pymodbus calls this before each access to a block; ``registers`` is the whole block."""
        if function != READ_HOLDING:
            return
        now = self._clock()
        self._bottles += (now - self._since) * registers[SETPOINT] / 60
        self._since = now
        registers[BOTTLES] = int(self._bottles) & 0xFFFF


def device(filler: Filler) -> SimDevice:
    holding = [0] * 1000
    holding[SETPOINT] = FIRST_SETPOINT
    blocks = (
        [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
        [SimData(0, values=[True] * 16, datatype=DataType.BITS)],
        [SimData(0, values=holding, datatype=DataType.REGISTERS)],
        [SimData(0, values=list(range(200, 216)), datatype=DataType.REGISTERS)],
    )
    return SimDevice(UNIT, simdata=blocks, action=filler.on_access)


async def serve(host: str, port: int, record: Path) -> None:
    """Until SIGTERM. Raises OSError if the address is taken."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    simulator = ModbusTcpServer(device(Filler(time.monotonic)), address=("127.0.0.1", 0))
    await simulator.serve_forever(background=True)
    behind = cast(asyncio.Server, simulator.transport).sockets[0].getsockname()
    with record.open("w", encoding="ascii") as file:
        taps = await Relay(behind, file).serve(host, port)
        print(f"PLC on {host}:{port}", flush=True)
        await stop.wait()
        taps.close()


def main(words: list[str]) -> None:
    host, _, port = words[0].rpartition(":")
    asyncio.run(serve(host, int(port), Path(words[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
