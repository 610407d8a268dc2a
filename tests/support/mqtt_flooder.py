"""``python -m tests.support.mqtt_flooder PORT SOURCE WHAT``: floods until it is killed.

WHAT: ``refused`` publishes that policy refuses with QoS 1, ``allowed`` ones with QoS 0, ``connects`` new sessions.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

from tests.support import mqtt
from tests.support.mqtt import V5
from tests.support.net import LOCAL


def dial(port: int, source: str) -> socket.socket:
    sock = socket.create_connection((LOCAL, port), 5, (source, 0))
    sock.sendall(mqtt.connect("flooder", level=V5))
    return sock


def publishes(port: int, source: str, flood: bytes) -> None:
    sock = dial(port, source)

    def take_answers() -> None:
        while sock.recv(1 << 16):
            pass

    threading.Thread(target=take_answers, daemon=True).start()
    while True:
        sock.sendall(flood)


def connects(port: int, source: str) -> None:
    while True:
        try:
            with dial(port, source) as sock:
                sock.recv(100)
        except OSError:
            time.sleep(0.01)


def main(port: int, source: str, what: str) -> None:
    if what == "connects":
        connects(port, source)
    topic, qos = ("no/x", 1) if what == "refused" else ("ok/flood", 0)
    flood = b"".join(mqtt.publish(topic, b"x" * 64, level=V5, qos=qos, pid=1 + at) for at in range(5000))
    publishes(port, source, flood)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
