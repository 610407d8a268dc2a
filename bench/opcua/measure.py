"""The round trips of a run: every target in turn, rounds within a number of sessions, and what each round cost."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.environment import Unmeasurable
from bench.generator import WrongAnswers
from bench.opcua.plan import NOTIFY, OPERATIONS, READ, WRITE
from bench.processes import pinned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.opcua.plan import OpcuaPlan
    from bench.opcua.programs import Target

COUNTED = {READ: "read", WRITE: "write", NOTIFY: "changes"}
"""What the device counts for each operation."""
SETTLE = 0.1
"""Seconds of load before the first round of a number of sessions: each program has then seen each of them."""


class Device:
    """The quick device as a process: two ports, and what it saw."""

    def __init__(self, core: int) -> None:
        command = [sys.executable, "-m", "bench.opcua.device"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=pinned(core))
        if self.process.stdout is None or not (line := self.process.stdout.readline()):
            raise Unmeasurable("the device did not start; what it said is above")
        ports = json.loads(line)
        self.port: int = ports["port"]
        self.control: int = ports["control"]

    def counts(self) -> dict[str, Any]:
        with socket.create_connection(("127.0.0.1", self.control), 5) as link:
            link.sendall(b"\xff\xff\xff\xff")
            found: dict[str, Any] = json.loads(link.makefile().readline())
        return found

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


@dataclass(frozen=True, slots=True)
class Trip:
    """One round. ``proxy_us``: the proxy's CPU per request, None without one. ``load_us``: that of generator and
    device together, which share a core; ``busy``: the share of the time in which one of them ran. ``waited``: the
    share in which the proxy could run and another program had its core."""

    rate: float
    p50_us: float
    p99_us: float
    proxy_us: float | None
    load_us: float
    busy: float
    waited: float


class Driver:
    """The generator as a process. WrongAnswers with the target's name for whatever it complains of."""

    def __init__(self, device: Device, core: int) -> None:
        self.device = device
        command = [sys.executable, "-m", "bench.opcua.generator", str(device.control)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=pinned(core)
        )

    def do(self, target: Target, what: str, **more: Any) -> dict[str, Any]:
        if self.process.stdin is None or self.process.stdout is None:
            raise Unmeasurable("the generator has no pipes")
        self.process.stdin.write(json.dumps({"do": what, "target": target.name, **more}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        found: dict[str, Any] = json.loads(line) if line else {"wrong": "the generator ended; what it said is above"}
        if "wrong" in found:
            raise WrongAnswers(f"{target.name}: {found['wrong']}")
        return found

    def open(self, target: Target, sessions: int) -> None:
        self.do(target, "open", sessions=sessions, door=target.door)

    def trip(self, target: Target, operation: str, sessions: int, seconds: float, warmup: float) -> Trip:
        """WrongAnswers unless the device saw exactly as many as were answered."""
        watch = {"proxy": target.pids, "load": [self.process.pid, self.device.process.pid]}
        options = {"operation": operation, "sessions": sessions}
        self.do(target, "prepare", **options)
        before = self.device.counts()[COUNTED[operation]]
        found = self.do(target, "run", seconds=seconds, warmup=warmup, watch=watch, **options)
        seen = self.device.counts()[COUNTED[operation]] - before
        if seen != found["total"]:
            raise WrongAnswers(f"{target.name}: {found['total']} answers for {seen} requests at the device")
        return trip_of(found, proxy=target.running is not None)

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


def trip_of(found: dict[str, Any], *, proxy: bool) -> Trip:
    count, seconds, spent = found["count"], found["seconds"], found["spent"]
    return Trip(
        rate=count / seconds, p50_us=found["p50_us"], p99_us=found["p99_us"],
        proxy_us=spent["proxy"]["ran"] / count / 1e3 if proxy else None,
        load_us=spent["load"]["ran"] / count / 1e3, busy=spent["load"]["ran"] / seconds / 1e9,
        waited=spent["proxy"]["waited"] / seconds / 1e9,
    )  # fmt: skip


Key = tuple[str, str, int]
"""Target, operation, sessions."""


@dataclass(slots=True)
class Trips:
    rounds: dict[Key, list[Trip]] = field(default_factory=dict)

    def whole_rounds(self) -> None:
        """Without what a phase that ended early measured of some targets and not of others."""
        least: dict[tuple[str, int], int] = {}
        for (_, operation, sessions), rounds in self.rounds.items():
            least[operation, sessions] = min(len(rounds), least.get((operation, sessions), len(rounds)))
        for (_, operation, sessions), rounds in self.rounds.items():
            del rounds[least[operation, sessions] :]


def measure(
    driver: Driver, targets: Sequence[Target], plan: OpcuaPlan, found: Trips, say: Callable[[str], None]
) -> None:
    """Targets in turn A B C A B C within each operation and number of sessions."""
    for sessions in plan.sessions:
        for target in targets:
            driver.open(target, sessions)
            for operation in OPERATIONS:
                driver.trip(target, operation, sessions, SETTLE / 2, SETTLE / 2)
        for operation, title in OPERATIONS.items():
            for number in range(plan.rounds):
                say(f"opcua: {title}, {sessions} sessions, round {number + 1} of {plan.rounds}")
                for target in targets:
                    one = driver.trip(target, operation, sessions, plan.seconds, plan.warmup)
                    found.rounds.setdefault((target.name, operation, sessions), []).append(one)


def competition(trips: Trips, names: Sequence[str]) -> float | None:
    """How long a proxy of one thread waited for its core, as a share of the time; the median of the targets named."""
    waited = sorted(one.waited for (name, _, _), rounds in trips.rounds.items() if name in names for one in rounds)
    return waited[len(waited) // 2] if waited else None
