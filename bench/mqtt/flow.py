"""Drives `mqttgen`: publishers on one side of a target, the judge at the broker on the other."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bench.certificates import CLIENT
from bench.environment import Unmeasurable
from bench.generator import WrongAnswers, check_tls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.certificates import Certificates
    from bench.mqtt.broker import Broker
    from bench.mqtt.plan import Scenario

SECONDS_TO_STOP = 40.0  # mqttgen itself gives up on undelivered messages after 20


class Target(Protocol):
    """What is published through: its port on 127.0.0.1 and the processes whose CPU counts as its own."""

    @property
    def name(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def pids(self) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Flow:
    """One round at full speed. CPU in microseconds per message that arrived; `proxy_us` is None without a proxy."""

    rate: float  # messages a second at the subscriber
    broker_us: float
    proxy_us: float | None
    busy: float  # share of the time in which the broker ran: what is below 1 was left over
    waited: float  # share of the time in which the broker could run and another program had its core


class MqttGenerator:
    """`prepare` runs in each child before the program: it pins it to its core."""

    def __init__(self, program: Path, prepare: Callable[[], None], certificates: Certificates, broker: Broker) -> None:
        self.program = program
        self.prepare = prepare
        self.certificates = certificates
        self.broker = broker

    def command(self, mode: str, target: Target | None, options: Sequence[str], *, client: str = CLIENT) -> list[str]:
        """`target` None publishes straight to the broker's TLS listener."""
        files, port = self.certificates, target.port if target else self.broker.tls
        watched = [word for pid in (target.pids if target else []) for word in ("--proxy", str(pid))]
        return [
            str(self.program), mode, "--connect", f"127.0.0.1:{port}", "--broker", f"127.0.0.1:{self.broker.plain}",
            "--cert", str(files.certificate(client)), "--key", str(files.key(client)), "--ca", str(files.ca),
            "--client", client, *watched, *(word for pid in self.broker.pids for word in ("--server", str(pid))),
            *options,
        ]  # fmt: skip

    def run(self, command: list[str], target: Target | None) -> dict[str, Any]:
        """WrongAnswers when a message was lost, doubled, changed, reordered or leaked, or a connection ended."""
        name = target.name if target else "direct"
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=self.prepare)
        if done.returncode:
            raise WrongAnswers(f"{name}: {done.stderr.strip() or done.returncode}")
        result: dict[str, Any] = json.loads(done.stdout)
        if not result["count"]:
            raise Unmeasurable(f"{name}: nothing arrived while it was measured; is the machine busy?")
        if result["delivered"] != result["allowed"]:
            raise WrongAnswers(f"{name}: {result['delivered']} of {result['allowed']} messages arrived")
        check_tls(name, result["tls"])
        return result

    def flood(self, target: Target | None, scenario: Scenario, seconds: float, warmup: float) -> Flow:
        options = [*scenario.options(), "--seconds", str(seconds), "--warmup", str(warmup)]
        result = self.run(self.command("flood", target, options), target)
        return Flow(
            rate=result["rate"],
            broker_us=result["server_ns"] / result["count"] / 1e3,
            proxy_us=result["proxy_ns"] / result["count"] / 1e3 if target else None,
            busy=result["server_ns"] / result["seconds"] / 1e9,
            waited=result["server_waited_ns"] / result["seconds"] / 1e9,
        )


class Flooding:
    """A flood that goes on in the background until the context ends; `result` is there afterwards."""

    def __init__(self, command: list[str], prepare: Callable[[], None]) -> None:
        self.command = command
        self.prepare = prepare
        self.result: dict[str, Any] = {}

    def __enter__(self) -> Flooding:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=self.prepare
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Raises WrongAnswers when the flood ended early or what it was refused arrived."""
        self.process.send_signal(signal.SIGTERM)
        try:
            output, errors = self.process.communicate(timeout=SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, errors = self.process.communicate()
        if kind is not None:
            return
        if self.process.returncode:
            raise WrongAnswers(f"the flood: {errors.strip() or self.process.returncode}")
        self.result = json.loads(output)
