"""``python -m tests.support.flooder PORT``: asks for what is forbidden, without a pause, until it is killed."""

from __future__ import annotations

import socket
import sys
import threading

from tests.modbus.frames import frame
from tests.support.master import write
from tests.support.net import LOCAL


def main(port: int) -> None:
    sock = socket.create_connection((LOCAL, port))
    flood = b"".join(frame(tid, 1, write(900, tid)) for tid in range(5000))

    def take_answers() -> None:
        while sock.recv(1 << 16):
            pass

    threading.Thread(target=take_answers, daemon=True).start()
    while True:
        sock.sendall(flood)


if __name__ == "__main__":
    main(int(sys.argv[1]))
