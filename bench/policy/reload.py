"""One live Modbus link through a gateway with a large site, while a part of that site is replaced again and again.

    python -m bench.policy.reload SURFACES CHANGED TIMES      {"quiet", "during", "longest": [ms], "takes": [s]}

Requests are sent at a steady pace and each is timed from when it was due, so that a stall counts for all it delays.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from bench.environment import free_port
from bench.policy.site import MASTER, SHORT, surface, write_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RULES = 50
PACE = 0.004
"""Seconds between requests: a polling master's, and far from what the gateway can do."""
QUIET = 5.0
PATIENCE = 240.0
QUESTION = struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 10, 1)
ANSWER = QUESTION[:4] + b"\0\5\1\3\2\0\7"


def main() -> None:
    surfaces, changed, times = (int(word) for word in sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        plc, listener, admin = free_port(), free_port(), free_port()
        config = write_site(folder, surfaces, RULES, SHORT, plc, listener, admin)
        stack.enter_context(serving(plc))
        gateway = stack.enter_context(running(config, admin))
        link = stack.enter_context(socket.create_connection(("127.0.0.1", listener), 10, (MASTER, 0)))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(json.dumps(measured(folder, gateway, admin, link, changed, times)))


def measured(
    folder: Path, gateway: subprocess.Popen[bytes], admin: int, link: socket.socket, changed: int, times: int
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"quiet": [], "during": [], "longest": [], "takes": []}
    asked(link, lambda: False, 1.0)
    for number in range(times):
        found["quiet"].append(p99(asked(link, lambda: False, QUIET)))
        taken = Taken(folder)
        for at in range(1, changed + 1):  # the surface of the link itself stays as it is
            text = surface(at, RULES, SHORT, f"change-{number}")
            (folder / f"policies/surfaces/cell-{at}.yaml").write_text(text, "utf-8")
        began = time.monotonic()
        os.kill(gateway.pid, signal.SIGHUP)
        spent = asked(link, taken, PATIENCE)
        found["takes"].append(time.monotonic() - began)
        if (outcome := status(admin)["outcome"]) != "taken":
            raise SystemExit(f"the reload was not taken: {outcome}")
        found["during"].append(p99(spent))
        found["longest"].append(max(spent))
    return found


class Taken:
    """Whether another version is in force: looks at the history on disk, for to ask the gateway would cost it time."""

    def __init__(self, folder: Path) -> None:
        (self._history,) = (folder / "var").rglob("history.jsonl")
        self._before = self._history.stat().st_size
        self._look = 0.0

    def __call__(self) -> bool:
        if (now := time.monotonic()) < self._look:
            return False
        self._look = now + 0.1
        return self._history.stat().st_size > self._before


def asked(link: socket.socket, done: Callable[[], bool], seconds: float) -> list[float]:
    """Milliseconds of every answer until ``done`` or ``seconds`` are over."""
    spent = []
    begin = due = time.perf_counter()
    while not done() and due - begin < seconds:
        due += PACE
        if (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        link.sendall(QUESTION)
        answer = b""
        while len(answer) < len(ANSWER):
            more = link.recv(64)
            if not more:
                raise SystemExit("the gateway ended the link")
            answer += more
        spent.append((time.perf_counter() - due) * 1e3)
        if answer != ANSWER:
            raise SystemExit(f"a wrong answer: {answer.hex()}")
    return spent


def p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


@contextlib.contextmanager
def serving(port: int) -> Iterator[None]:
    """A PLC that has 7 in every register."""
    listener = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=answering, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        listener.close()


def answering(client: socket.socket) -> None:
    with client, contextlib.suppress(OSError):
        while frame := client.recv(256):
            client.sendall(frame[:4] + ANSWER[4:])


@contextlib.contextmanager
def running(config: Path, admin: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "proxy", "run", "--config", str(config)]
    with (config.parent / "gateway.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=alone)
    try:
        limit = time.monotonic() + PATIENCE
        while not ready(admin):
            if process.poll() is not None or time.monotonic() > limit:
                raise SystemExit((config.parent / "gateway.log").read_text("utf-8")[-2000:])
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def alone() -> None:
    """A run with real-time priority gives it to the gateway, and not to the process that judges for it."""
    if os.sched_getscheduler(0) == os.SCHED_FIFO:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_getparam(0))


def ready(admin: int) -> bool:
    with contextlib.suppress(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=2).close()
        return True
    return False


def status(admin: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/status", timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)["reload"]
    return found


if __name__ == "__main__":
    main()
