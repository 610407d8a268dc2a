"""One device that floods, twenty honest ones, and the same CPU burnt outside Bulkhead.

Bulkhead has one core to itself and to what stands in for it; Mosquitto, the flooder and the honest devices share the
other. Each round measures the honest devices five times: alone; while one device floods an allowed topic through
Bulkhead; while HAProxy carries that flood to the broker and a burner adds what Bulkhead took more; while it floods a
refused topic; while a burner takes what that took. The two ratios are what a flood costs the others beyond its CPU.

HAProxy, and not the flooder itself, because Mosquitto serves everybody else several times slower when the flood comes
out of a proxy, whichever that is: what is asked here is what Bulkhead adds to that.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
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
FLOODER_NICE = 10  # it needs little of its core to outrun the broker, and must not be what the broker waits for
LEAST_SHARE = 0.001
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
    """Runs one situation after the other against a Bulkhead, a ``carrier`` beside it and a broker that are up."""

    def __init__(
        self,
        generator: MqttGenerator,
        bulkhead: Running,
        carrier: Running,
        burner: Path,
        cores: Cores,
        plan: MqttPlan,
    ) -> None:
        self.generator = generator
        self.bulkhead = bulkhead
        self.carrier = carrier
        self.burner = burner
        self.cores = cores
        self.plan = plan
        for pid in (*bulkhead.pids, *carrier.pids, *generator.broker.pids):
            make_ordinary(pid)
        with self.flooding(carrier, refused=False) as flood:
            time.sleep(HEAD_START)
        result = flood.result
        self.carried = result["proxy_ns"] / result["seconds"] / 1e9 / result["tried"]  # core seconds a message

    def round(self, found: Fairness) -> None:
        quiet = found.add(QUIET, self.honest())
        flooded = found.add(FLOOD, self.while_flooding(self.bulkhead, refused=False))
        with self.burning(flooded.share - quiet.share - (flooded.flood or 0.0) * self.carried):
            found.add(FLOOD_BURNT, self.while_flooding(self.carrier, refused=False))
        refused = found.add(REFUSED, self.while_flooding(self.bulkhead, refused=True))
        with self.burning(refused.share - quiet.share):
            found.add(REFUSED_BURNT, self.honest())

    def while_flooding(self, target: Running, *, refused: bool) -> Watched:
        with self.flooding(target, refused=refused) as flood:
            watched = self.honest()
        return replace(watched, flood=flood.result["tried"])

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
    def flooding(self, target: Running, *, refused: bool) -> Iterator[Flooding]:
        """As fast as the target takes it, on one connection, 16 messages a record."""
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
        """`share` of Bulkhead's core; nothing below a thousandth."""
        if share < LEAST_SHARE:
            yield
            return
        command = [str(self.burner), f"{min(1.0, share):.4f}", str(BURST_US)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, preexec_fn=ordinary(self.cores.proxy)
        ) as process:
            try:
                assert process.stdout is not None
                json.loads(process.stdout.readline())
                yield
            finally:
                process.kill()


def ordinary(core: int, *, nice: int = 0) -> Callable[[], None]:
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


def make_ordinary(pid: int, nice: int = 0) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))
        if nice:
            os.setpriority(os.PRIO_PROCESS, int(task.name), nice)


def measure(devices: Devices, plan: MqttPlan, found: Fairness, say: Callable[[str], None]) -> None:
    for number in range(plan.fair_rounds):
        say(f"mqtt fairness: round {number + 1} of {plan.fair_rounds}")
        devices.round(found)
