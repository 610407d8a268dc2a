"""The load generator: ``python -m bench.opcua.generator CONTROL_PORT``, commands as lines of JSON on standard input.

    {"do": "open", "target": NAME, "sessions": n, "door": {...}}       until that many stand; ``{"open": n}``
    {"do": "prepare", "target": NAME, "operation": "read", "sessions": n}     what comes once before a run
    {"do": "run", "target": NAME, "operation": "read", "sessions": n, "seconds": s, "warmup": s, "watch": {...}}
    {"do": "close", "target": NAME}

One thread and one epoll loop, each session with one operation under way. A round trip is timed from just before the
send to just after the read that completes the answer: what the generator itself does with a message is outside. Of the
programs in ``watch`` (name to process ids) the CPU time in the window is read at both ends of it.
"""

from __future__ import annotations

import gc
import json
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any

from bench.generator import WrongAnswers
from bench.opcua.link import Door, Link
from bench.opcua.operations import Operation, operation

SECONDS = 10.0
"""Without an answer of anybody."""


def schedstat(pids: list[int]) -> tuple[int, int]:
    """Nanoseconds on a core, and waiting for one, of all threads."""
    ran = waited = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            words = (task / "schedstat").read_text().split()
            ran += int(words[0])
            waited += int(words[1])
    return ran, waited


class Window:
    """What was measured between its two ends, which it marks itself. Times in nanoseconds of the monotonic clock."""

    def __init__(self, begin: int, seconds: float, watched: dict[str, list[int]]) -> None:
        self.opens = begin
        self.ends = begin + int(seconds * 1e9)
        self.took: list[int] = []
        self.spent: dict[str, tuple[int, int]] = {}
        self.lasted = 0
        self._watched = watched
        self._before: dict[str, tuple[int, int]] = {}
        self._opened = 0

    def look(self, now: int) -> bool:
        """Whether ``now`` is inside."""
        if now < self.opens or self.lasted:
            return False
        if not self._opened:
            self._opened = time.perf_counter_ns()
            self._before = {name: schedstat(pids) for name, pids in self._watched.items()}
        elif now >= self.ends:
            self.lasted = time.perf_counter_ns() - self._opened
            for name, pids in self._watched.items():
                ran, waited = schedstat(pids)
                self.spent[name] = (ran - self._before[name][0], waited - self._before[name][1])
            return False
        return True

    def result(self, total: int) -> dict[str, Any]:
        took = sorted(self.took)
        if not took or not self.lasted:
            raise WrongAnswers("nothing was answered while it was measured")
        return {
            "count": len(took), "total": total, "seconds": self.lasted / 1e9,
            "p50_us": took[len(took) // 2] / 1e3, "p99_us": took[len(took) * 99 // 100] / 1e3,
            "spent": {name: {"ran": ran, "waited": waited} for name, (ran, waited) in self.spent.items()},
        }  # fmt: skip


class Generator:
    def __init__(self, control: int) -> None:
        self.control = socket.create_connection(("127.0.0.1", control))
        self.control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.links: dict[str, list[Link]] = {}
        self.operations: dict[tuple[str, str], list[Operation]] = {}

    def do(self, said: dict[str, Any]) -> dict[str, Any]:
        target = said["target"]
        if said["do"] == "open":
            return self.open(target, Door.of(said["door"]), said["sessions"])
        if said["do"] == "close":
            for link in self.links.pop(target, ()):
                link.close()
            self.operations = {key: made for key, made in self.operations.items() if key[0] != target}
            return {"open": 0}
        made = self.prepared(target, said["operation"], said["sessions"])
        if said["do"] == "prepare":
            return {"prepared": len(made)}
        window = Window(
            time.perf_counter_ns() + int(said["warmup"] * 1e9), said["seconds"], said["watch"]
        )  # fmt: skip
        return self.run(made, window)

    def open(self, target: str, door: Door, sessions: int) -> dict[str, Any]:
        links = self.links.setdefault(target, [])
        while len(links) < sessions:
            links.append(Link(door))
            links[-1].session()
        return {"open": len(links)}

    def prepared(self, target: str, kind: str, sessions: int) -> list[Operation]:
        made = self.operations.setdefault((target, kind), [])
        while len(made) < sessions:
            made.append(operation(kind, self.links[target][len(made)], len(made), self.control))
        return made[:sessions]

    def run(self, operations: list[Operation], window: Window) -> dict[str, Any]:
        """Until the window is over and all are answered."""
        gc.collect()
        gc.disable()
        try:
            return window.result(self._loop(operations, window))
        finally:
            gc.enable()

    def _loop(self, operations: list[Operation], window: Window) -> int:
        by_number = {one.link.socket.fileno(): one for one in operations}
        clock, total, under_way = time.perf_counter_ns, 0, len(operations)
        with select.epoll() as poll:
            for number, one in by_number.items():
                poll.register(number, select.EPOLLIN)
                one.began = clock()
                one.send()
            while under_way:
                ready = poll.poll(SECONDS)
                if not ready:
                    raise WrongAnswers(f"no answer within {SECONDS:g} s")
                for number, _ in ready:
                    one = by_number[number]
                    data = one.link.socket.recv(65536)
                    now = clock()
                    if not data:
                        raise WrongAnswers("the connection was ended")
                    if not one.take(data):
                        continue
                    total += 1
                    if window.look(now):
                        window.took.append(now - one.began)
                    if window.lasted:
                        under_way -= 1
                    else:
                        one.began = clock()
                        one.send()
        return total


def main() -> None:
    generator = Generator(int(sys.argv[1]))
    for line in sys.stdin:
        try:
            answer = generator.do(json.loads(line))
        except (WrongAnswers, OSError, StopIteration) as error:
            answer = {"wrong": str(error) or type(error).__name__}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
