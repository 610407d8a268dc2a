"""One device that floods, twenty honest ones, and the same CPU burnt outside Bulkhead.

Bulkhead has one core to itself and to the burner; Mosquitto, the flooder and the honest devices share the other. Each
round measures the honest devices five times: alone; while one device floods an allowed topic through Bulkhead; while
it floods the broker directly and a burner takes from Bulkhead's core what the flood took; while it floods a refused
topic; while a burner takes what that took. The two ratios are what a flood costs the others beyond its CPU.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.certificates import CLIENT, FLOODER
from bench.mqtt.flow import Flooding, MqttGenerator
from bench.mqtt.plan import HERTZ, HONEST, PAYLOAD, TOPICS
from bench.processes import pinned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.environment import Cores
    from bench.mqtt.plan import MqttPlan
    from bench.processes import Running

QUIET, FLOOD, FLOOD_BURNT, REFUSED, REFUSED_BURNT = "quiet", "allowed", "allowed-burnt", "refused", "refused-burnt"
SITUATIONS = (QUIET, FLOOD, FLOOD_BURNT, REFUSED, REFUSED_BURNT)
BURST_US = 1000  # about what Bulkhead takes for one full read of a flood before it looks at the others
NICE = -10  # other programs on the machine disturb less, where that is allowed
FLOODER_NICE = 0  # it needs little of its core to outrun the broker, and must not be what the broker waits for
HEAD_START = 0.5  # seconds that a flood has before the honest devices are watched


@dataclass(frozen=True, slots=True)
class Watched:
    """The honest devices in one situation. `share`: of its core that Bulkhead took. `flood`: messages a second."""

    p50_us: float
    p99_us: float
    share: float
    flood: float | None = None


@dataclass(slots=True)
class Fairness:
    rounds: dict[str, list[Watched]] = field(default_factory=dict)

    def add(self, situation: str, watched: Watched) -> Watched:
        self.rounds.setdefault(situation, []).append(watched)
        return watched

    def whole_rounds(self) -> Fairness:
        """Without the situations of a round that ended early."""
        least = min(map(len, self.rounds.values()), default=0) if len(self.rounds) == len(SITUATIONS) else 0
        return Fairness({name: rounds[:least] for name, rounds in self.rounds.items() if least})


class Devices:
    """Runs one situation after the other against a Bulkhead and a broker that are up."""

    def __init__(self, generator: MqttGenerator, bulkhead: Running, burner: Path, cores: Cores, plan: MqttPlan) -> None:
        self.generator = generator
        self.bulkhead = bulkhead
        self.burner = burner
        self.cores = cores
        self.plan = plan
        for pid in (*bulkhead.pids, *generator.broker.pids):
            make_ordinary(pid)

    def round(self, found: Fairness) -> None:
        quiet = found.add(QUIET, self.honest())
        for situation, burnt, refused in ((FLOOD, FLOOD_BURNT, False), (REFUSED, REFUSED_BURNT, True)):
            with self.flooding(self.bulkhead, refused=refused) as flood:
                watched = self.honest()
            rate = flood.result["tried"]
            found.add(situation, Watched(watched.p50_us, watched.p99_us, watched.share, rate))
            share = max(0.001, min(1.0, watched.share - quiet.share))
            with self.burning(share):
                if refused:
                    found.add(burnt, self.honest())
                else:
                    with self.flooding(None, refused=False) as flood:
                        watched = self.honest()
                    rate = flood.result["tried"]
                    found.add(burnt, Watched(watched.p50_us, watched.p99_us, watched.share, rate))

    def honest(self) -> Watched:
        """WrongAnswers unless each message was acknowledged and arrived, in order and once."""
        options = [
            "--connections", str(HONEST), "--hertz", str(HERTZ), "--payload", str(PAYLOAD), "--root", "honest",
            "--seconds", str(self.plan.fair_seconds), "--warmup", "0.3",
        ]  # fmt: skip
        result: dict[str, Any] = self.generator.run(
            self.generator.command("paced", self.bulkhead, options, client=CLIENT), self.bulkhead
        )
        latency, share = result["latency_us"], result["proxy_ns"] / result["seconds"] / 1e9
        return Watched(latency["p50"], latency["p99"], share)

    @contextmanager
    def flooding(self, target: Running | None, *, refused: bool) -> Iterator[Flooding]:
        """As fast as the target takes it, on one connection, 16 messages a record; `target` None: to the broker."""
        options = [
            "--topics", str(TOPICS), "--payload", str(PAYLOAD), "--batch", "16", "--root", "flood", "--warmup", "0",
            "--until-term", *(["--refused", "1"] if refused else []),
        ]  # fmt: skip
        command = self.generator.command("flood", target, options, client=FLOODER)
        with Flooding(command, ordinary(self.cores.load, nice=FLOODER_NICE)) as flood:
            time.sleep(HEAD_START)
            yield flood

    @contextmanager
    def burning(self, share: float) -> Iterator[None]:
        command = [str(self.burner), f"{share:.4f}", str(BURST_US)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, preexec_fn=ordinary(self.cores.proxy)
        ) as process:
            try:
                assert process.stdout is not None
                json.loads(process.stdout.readline())
                yield
            finally:
                process.kill()


def ordinary(core: int, *, nice: int = NICE) -> Callable[[], None]:
    """Pinned, and scheduled as programs usually are: with real-time priority the burner would let nobody else run."""

    def prepare() -> None:
        pinned(core)()
        make_ordinary(os.getpid(), nice)

    return prepare


def instrument(core: int) -> Callable[[], None]:
    """For the honest devices, who sleep most of the time: what is measured must not be their own wait for a core that
    the broker and the flooder use up. Without the right to real-time priority they have to wait."""

    def prepare() -> None:
        pinned(core)()
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

    return prepare


def make_ordinary(pid: int, nice: int = NICE) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, int(task.name), nice)


def measure(devices: Devices, plan: MqttPlan, found: Fairness, say: Callable[[str], None]) -> None:
    for number in range(plan.fair_rounds):
        say(f"mqtt fairness: round {number + 1} of {plan.fair_rounds}")
        devices.round(found)
