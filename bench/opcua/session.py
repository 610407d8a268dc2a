"""The OPC UA part of a run: its phases in their order, into the same report."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environment import Unmeasurable
from bench.generator import WrongAnswers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.environment import Cores
    from bench.opcua.measure import Device
    from bench.opcua.plan import OpcuaPlan
    from bench.opcua.programs import Program, Target
    from bench.report import Report

PHASES = ("inspector", "roundtrips")


class OpcuaSession:
    def __init__(
        self,
        plan: OpcuaPlan,
        programs: Sequence[Program],
        phases: Sequence[str],
        cores: Cores,
        say: Callable[[str], None],
        report: Report,
    ) -> None:
        self.plan = plan
        self.programs = programs
        self.phases = phases
        self.cores = cores
        self.say = say
        self.report = report
        report.plan["opcua"] = asdict(plan)

    def run(self) -> None:
        if "inspector" in self.phases:
            with self.failing("opcua inspector"):
                self.inspector()
        if "roundtrips" in self.phases and self.programs:
            with self.failing("opcua round trips"):
                self.roundtrips()

    def inspector(self) -> None:
        """Imports the product, so that a run of other parts needs nothing of it."""
        from bench.opcua.inspector import measure
        from bench.opcua.rows import inspector_rows

        self.say("opcua inspector")
        self.report.rows += inspector_rows(measure(self.plan.samples))

    def roundtrips(self) -> None:
        from bench.opcua.certificates import make_certificates
        from bench.opcua.measure import Device, Driver, Trips, competition, measure
        from bench.opcua.programs import DIRECT, HAPROXY, TITLES, Setting, Target, plain
        from bench.opcua.rows import trip_rows

        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bulkhead-bench-")))
            certificates = make_certificates(folder / "certs")
            device = Device(self.cores.load)
            stack.callback(device.stop)
            targets = [Target(DIRECT, plain(DIRECT, device.port))]
            for program in self.present():
                (own := folder / program.name).mkdir()
                running, doors = program.start(Setting(own, device.port, certificates, self.cores.proxy))
                stack.callback(running.stop)
                targets += doors
            driver = Driver(device, self.cores.load)
            stack.callback(driver.stop)  # before the programs, which would wait for its sessions
            self.report.opcua_titles = {target.name: TITLES[target.name] for target in targets}
            self.check(targets, device)
            trips = Trips()
            try:
                measure(driver, targets, self.plan, trips, self.say)
            finally:
                trips.whole_rounds()
                self.report.rows += trip_rows(trips)
                waited = competition(trips, (HAPROXY,))
                self.report.competition = max(waited or 0.0, self.report.competition or 0.0)
            self.check(targets, device)

    def present(self) -> list[Program]:
        found = []
        for program in self.programs:
            lacking = program.missing()
            if lacking is None:
                found.append(program)
                continue
            text = f"{program.name}: {lacking}"
            self.say(f"missing: {text}")
            if text not in self.report.missing:
                self.report.missing.append(text)
        return found

    def check(self, targets: Sequence[Target], device: Device) -> None:
        from bench.opcua.correctness import OpcuaSuite

        self.say("opcua correctness")
        for target in targets:
            self.report.checks += OpcuaSuite(target, device).run()

    @contextlib.contextmanager
    def failing(self, phase: str) -> Iterator[None]:
        """What was measured until then is kept; the report names the failure, and the exit code is not 0."""
        try:
            yield
        except (WrongAnswers, Unmeasurable, OSError) as error:
            self.say(f"{phase}: {error}")
            self.report.failed.append(f"{phase}: {error}")
