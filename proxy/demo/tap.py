"""The tap in front of the broker, a process of its own: the judge of what came through stands behind the gateway.

python -m proxy.demo.tap 127.0.0.1:18830 BROKER-HOST:PORT RECORD-FILE
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from proxy.demo.broker import parse
from proxy.demo.relay import Relay


async def serve(here: tuple[str, int], target: tuple[str, int], record: Path) -> None:
    """Until SIGTERM. Raises OSError if the address is taken."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with record.open("w", encoding="ascii") as file:
        server = await Relay(target, file).serve(*here)
        print("tap on {}:{}".format(*here), flush=True)
        await stop.wait()
        server.close()


def main(words: list[str]) -> None:
    here, target, record = words
    asyncio.run(serve(parse(here), parse(target), Path(record)))


if __name__ == "__main__":
    main(sys.argv[1:])
