"""The MQTT part of a run: its phases in their order, into the same report."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench import native_tools
from bench.certificates import make_certificates
from bench.environment import Unmeasurable
from bench.generator import WrongAnswers
from bench.mqtt import broker as mosquitto
from bench.mqtt import fairness
from bench.mqtt.broker import Broker
from bench.mqtt.correctness import Judge, MqttSuite
from bench.mqtt.flow import MqttGenerator
from bench.mqtt.peers import HAProxy, Setting
from bench.mqtt.plan import SCENARIOS
from bench.mqtt.rows import BULKHEAD, DIRECT, fairness_rows, flow_rows, inspector_rows
from bench.processes import pinned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.certificates import Certificates
    from bench.environment import Cores
    from bench.mqtt.flow import Flow
    from bench.mqtt.peers import MqttPeer
    from bench.mqtt.plan import MqttPlan
    from bench.processes import Running
    from bench.report import Report

PHASES = ("inspector", "delivery", "fairness")


class MqttSession:
    def __init__(
        self,
        plan: MqttPlan,
        peers: Sequence[MqttPeer],
        phases: Sequence[str],
        cores: Cores,
        say: Callable[[str], None],
        report: Report,
    ) -> None:
        self.plan = plan
        self.phases = phases
        self.cores = cores
        self.say = say
        self.report = report
        self.carrier: MqttPeer = HAProxy()
        lacking = {peer.name: peer.missing() for peer in peers}
        self.present = [peer for peer in peers if not lacking[peer.name]]
        report.mqtt_titles = {peer.name: peer.title for peer in peers}
        report.plan["mqtt"] = asdict(plan)
        self.missing = [f"{name}: {what}" for name, what in lacking.items() if what]

    def run(self) -> None:
        if "inspector" in self.phases:
            with self.failing("mqtt inspector"):
                self.inspector()
        if not {"delivery", "fairness"} & set(self.phases):
            return
        if lacking := mosquitto.missing():
            self.missing.append(f"mqtt: {lacking}")
        else:
            self.traffic()
        for text in self.missing:
            if text not in self.report.missing:
                self.say(f"missing: {text}")
                self.report.missing.append(text)

    def inspector(self) -> None:
        """Imports the product, so that a run of peers alone needs nothing of it."""
        from bench.mqtt.inspector import measure

        self.say("mqtt inspector")
        self.report.rows += inspector_rows(measure(self.plan.samples))

    def traffic(self) -> None:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bulkhead-bench-")))
            tools = native_tools.build(folder)
            certificates = make_certificates(folder / "certs")
            if "delivery" in self.phases:
                with self.failing("mqtt delivery"):
                    self.delivery(folder, tools, certificates)
            if "fairness" in self.phases and any(peer.name == BULKHEAD for peer in self.present):
                if lacking := self.carrier.missing():
                    self.missing.append(f"{self.carrier.name}: {lacking}")
                    return
                with self.failing("mqtt fairness"):
                    self.fairness(folder, tools, certificates)

    def delivery(self, folder: Path, tools: native_tools.Tools, certificates: Certificates) -> None:
        """Mosquitto has one core; proxies, generator and this process share the other, which is left with time."""
        with contextlib.ExitStack() as stack:
            broker = Broker.start(folder / "delivery", certificates, self.cores.proxy)
            stack.callback(broker.stop)
            generator = MqttGenerator(tools.mqttgen, pinned(self.cores.load), certificates, broker)
            targets = []
            for peer in self.present:
                own = Path(tempfile.mkdtemp(prefix=f"mqtt-{peer.name}", dir=folder))
                targets.append(peer.start(Setting(own, broker, certificates, self.cores.load)))
                stack.callback(targets[-1].stop)
            self.check(targets, certificates, broker)
            flows: dict[tuple[str, str], list[Flow]] = {}
            try:
                self.interleaved(generator, targets, flows)
            finally:
                self.report.rows += flow_rows(whole_rounds(flows))
                self.report.competition = competition(flows, self.report.competition)
            self.check(targets, certificates, broker)

    def interleaved(
        self, generator: MqttGenerator, targets: Sequence[Running], flows: dict[tuple[str, str], list[Flow]]
    ) -> None:
        everyone: list[Running | None] = [*targets, None]
        for scenario in SCENARIOS:
            for number in range(self.plan.rounds):
                self.say(f"mqtt delivery: {scenario.title}, round {number + 1} of {self.plan.rounds}")
                for target in everyone:
                    name = target.name if target else DIRECT
                    one = generator.flood(target, scenario, self.plan.seconds, self.plan.warmup)
                    flows.setdefault((name, scenario.name), []).append(one)

    def fairness(self, folder: Path, tools: native_tools.Tools, certificates: Certificates) -> None:
        """Bulkhead has one core; Mosquitto and the devices share the other."""
        with contextlib.ExitStack() as stack:
            broker = Broker.start(folder / "fairness", certificates, self.cores.load)
            stack.callback(broker.stop)
            (peer,) = [each for each in self.present if each.name == BULKHEAD]
            running = {}
            for each in (peer, self.carrier):
                own = Path(tempfile.mkdtemp(prefix=f"mqtt-fairness-{each.name}", dir=folder))
                running[each.name] = each.start(Setting(own, broker, certificates, self.cores.proxy))
                stack.callback(running[each.name].stop)
            generator = MqttGenerator(tools.mqttgen, fairness.instrument(self.cores.load), certificates, broker)
            bulkhead, carrier = running[BULKHEAD], running[self.carrier.name]
            devices = fairness.Devices(generator, bulkhead, carrier, tools.burner, self.cores, self.plan)
            found = fairness.Fairness()
            try:
                fairness.measure(devices, self.plan, found, self.say)
            finally:
                self.report.rows += fairness_rows(found.whole_rounds())

    def check(self, targets: Sequence[Running], certificates: Certificates, broker: Broker) -> None:
        self.say("mqtt correctness")
        with Judge(broker.plain) as judge:
            for peer, target in zip(self.present, targets, strict=True):
                self.report.checks += MqttSuite(target.name, target.port, peer.inspects, certificates, judge).run()

    @contextlib.contextmanager
    def failing(self, phase: str) -> Iterator[None]:
        """What was measured until then is kept; the report names the failure, and the exit code is not 0."""
        try:
            yield
        except (WrongAnswers, Unmeasurable, OSError) as error:
            self.say(f"{phase}: {error}")
            self.report.failed.append(f"{phase}: {error}")


def whole_rounds(flows: dict[tuple[str, str], list[Flow]]) -> dict[tuple[str, str], list[Flow]]:
    """Without what a phase that ended early measured of some targets and not of others."""
    least = {scenario: min(len(flows[key]) for key in flows if key[1] == scenario) for _, scenario in flows}
    return {key: rounds[: least[key[1]]] for key, rounds in flows.items() if least[key[1]]}


def competition(flows: dict[tuple[str, str], list[Flow]], before: float | None) -> float | None:
    """How long Mosquitto, which has one thread, waited for its core, as a share of the time; or `before`, if more."""
    waited = [one.waited for rounds in flows.values() for one in rounds]
    return max(before or 0.0, statistics.median(waited)) if waited else before
