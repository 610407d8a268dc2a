"""One run: which peers are there, all of them started at once, the phases in their order."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench import measure, native_tools
from bench.certificates import make_certificates
from bench.correctness import Suite
from bench.environment import Unmeasurable, machine, raise_descriptor_limit
from bench.generator import Generator, WrongAnswers
from bench.peers.base import Setting
from bench.processes import Plc
from bench.report import DIRECT_TITLE, Report
from bench.rows import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.environment import Cores
    from bench.peers.base import Peer
    from bench.plan import Plan
    from bench.processes import Running

PHASES = ("load", "handshakes", "memory", "decisions")


class Session:
    def __init__(
        self,
        plan: Plan,
        peers: Sequence[Peer],
        phases: Sequence[str],
        cores: Cores,
        say: Callable[[str], None],
    ) -> None:
        self.plan = plan
        self.phases = phases
        self.cores = cores
        self.say = say
        self.measured = measure.Measured()
        lacking = {peer.name: peer.missing() for peer in peers}
        self.present = [peer for peer in peers if not lacking[peer.name]]
        titles = {peer.name: peer.title for peer in peers} | {measure.DIRECT: DIRECT_TITLE}
        missing = [f"{name}: {what}" for name, what in lacking.items() if what]
        self.report = Report(machine(), asdict(plan), titles, missing)

    def run(self) -> Report:
        """Raises Unmeasurable when nothing can be measured; missing peers and failures are named in the report."""
        for text in self.report.missing:
            self.say(f"missing: {text}")
        if self.present and set(self.phases) & {"load", "handshakes", "memory"}:
            self.traffic()
        self.measured.whole_rounds()
        self.report.competition = measure.competition(self.measured)
        if "decisions" in self.phases:
            with self.failing("decisions"):
                measure.measure_decisions(self.plan, self.measured, self.say)
        self.report.rows = rows(self.measured)
        return self.report

    def traffic(self) -> None:
        enough_descriptors(self.plan)
        cores = self.cores
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bulkhead-bench-")))
            tools = native_tools.build(folder)
            certificates = make_certificates(folder / "certs")
            plc = Plc.start(tools.plc, cores.load)
            stack.callback(plc.stop)
            generator = Generator(tools.loadgen, cores.load, certificates, plc)

            def start(peer: Peer) -> Running:
                own = Path(tempfile.mkdtemp(prefix=peer.name, dir=folder))
                return peer.start(Setting(own, plc.port, certificates, cores.proxy))

            if {"load", "handshakes"} & set(self.phases):
                with self.all_up(start) as targets:
                    self.interleaved(generator, targets)
            if "memory" in self.phases:
                for peer in self.present:
                    with self.failing(f"memory of {peer.name}"):
                        measure.measure_memory(generator, peer, start, self.plan, self.measured, self.say)

    @contextlib.contextmanager
    def all_up(self, start: Callable[[Peer], Running]) -> Iterator[list[Running]]:
        with contextlib.ExitStack() as stack:
            targets = []
            for peer in self.present:
                targets.append(start(peer))
                stack.callback(targets[-1].stop)
            yield targets

    def interleaved(self, generator: Generator, targets: Sequence[Running]) -> None:
        """Checks, load, handshakes, and the same checks again."""
        self.check(generator, targets)
        if "load" in self.phases:
            with self.failing("load"):
                measure.measure_load(generator, targets, self.plan, self.measured, self.say)
        if "handshakes" in self.phases:
            with self.failing("handshakes"):
                measure.measure_handshakes(generator, targets, self.plan, self.measured, self.say)
        self.check(generator, targets)

    @contextlib.contextmanager
    def failing(self, phase: str) -> Iterator[None]:
        """What was measured until then is kept; the report names the failure, and the exit code is not 0."""
        try:
            yield
        except (WrongAnswers, Unmeasurable) as error:
            self.say(f"{phase}: {error}")
            self.report.failed.append(f"{phase}: {error}")

    def check(self, generator: Generator, targets: Sequence[Running]) -> None:
        self.say("correctness")
        for peer, target in zip(self.present, targets, strict=True):
            suite = Suite(target.name, target.port, peer.inspects, generator.certificates, generator.plc)
            self.report.checks += suite.run()


def enough_descriptors(plan: Plan) -> None:
    limit, needed = raise_descriptor_limit(), 2 * max(plan.idle) + 500
    if limit < needed:
        raise Unmeasurable(f"{needed:,} file descriptors are needed, {limit:,} are allowed (ulimit -n)")
