"""`python -m bench`: Bulkhead and its peers, measured in turn.

Exit 0: all was measured and every target met. 1: a target was missed or an answer was wrong. 2: wrong usage.
3: the environment lacks something (no compiler, a peer not installed); what could be measured is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench import measure, native_tools
from bench.certificates import make_certificates
from bench.correctness import Suite
from bench.environment import Cores, Unmeasurable, machine, raise_descriptor_limit
from bench.generator import Generator, WrongAnswers
from bench.peers.base import Peer, Setting
from bench.peers.bulkhead import Bulkhead
from bench.peers.haproxy import HAProxy
from bench.peers.nginx import Nginx, NginxNjs
from bench.peers.stunnel import Stunnel
from bench.plan import FULL, QUICK, Plan
from bench.processes import Plc, Running
from bench.report import DIRECT_TITLE, Report
from bench.rows import rows

if TYPE_CHECKING:
    from collections.abc import Sequence

PEERS: tuple[Peer, ...] = (
    Bulkhead(shared=True), Bulkhead(shared=False), HAProxy(), Nginx(), NginxNjs(), Stunnel()
)  # fmt: skip
PHASES = ("load", "handshakes", "memory", "decisions")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        report = run(QUICK if options.quick else FULL, options.only, options.phases)
    except Unmeasurable as error:
        print(f"bench: {error}", file=sys.stderr)
        return 3
    except WrongAnswers as error:
        print(f"bench: wrong answers: {error}", file=sys.stderr)
        return 1
    print(report.as_json() if options.output == "json" else report.as_text())
    if report.wrong or report.missed:
        return 1
    return 3 if report.missing else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Bulkhead beside other TLS proxies.")
    parser.add_argument("--quick", action="store_true", help="three short rounds, fewer idle links")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    for option, names in (("--only", [peer.name for peer in PEERS]), ("--phases", PHASES)):
        parser.add_argument(option, nargs="+", metavar="NAME", choices=names, default=names, help=", ".join(names))
    return parser.parse_args(arguments)


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run(plan: Plan, only: Sequence[str], phases: Sequence[str]) -> Report:
    report = Report(machine(), asdict(plan), {peer.name: peer.title for peer in PEERS})
    report.titles[measure.DIRECT] = DIRECT_TITLE
    asked = [peer for peer in PEERS if peer.name in only]
    lacking = {peer.name: peer.missing() for peer in asked}
    report.missing = [f"{name}: {what}" for name, what in lacking.items() if what]
    present = [peer for peer in asked if not lacking[peer.name]]
    for text in report.missing:
        say(f"missing: {text}")
    measured = measure.Measured()
    if present and set(phases) & {"load", "handshakes", "memory"}:
        run_traffic(plan, present, phases, report, measured)
    report.rows = rows(measured)
    return report


def run_traffic(
    plan: Plan, present: Sequence[Peer], phases: Sequence[str], report: Report, measured: measure.Measured
) -> None:
    descriptors = raise_descriptor_limit()
    if descriptors < 2 * max(plan.idle) + 500:
        raise Unmeasurable(f"{max(plan.idle)} idle links need more than {descriptors} descriptors (ulimit -n)")
    cores = Cores.choose()
    os.sched_setaffinity(0, {cores.load})
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bulkhead-bench-")))
        tools = native_tools.build(folder)
        certificates = make_certificates(folder / "certs")
        plc = Plc.start(tools.plc, cores.load)
        stack.callback(plc.stop)
        generator = Generator(tools.loadgen, cores.load, certificates, plc)

        def start(peer: Peer, run_name: str) -> Running:
            return peer.start(Setting(folder / f"{peer.name}-{run_name}", plc.port, certificates, cores.proxy))

        if {"load", "handshakes"} & set(phases):
            with contextlib.ExitStack() as together:
                targets = []
                for peer in present:
                    targets.append(start(peer, "load"))
                    together.callback(targets[-1].stop)
                run_interleaved(plan, present, targets, phases, report, measured, generator)
        if "memory" in phases:
            measure.measure_memory(generator, present, lambda peer: start(peer, "memory"), plan, measured, say)


def run_interleaved(
    plan: Plan,
    present: Sequence[Peer],
    targets: Sequence[Running],
    phases: Sequence[str],
    report: Report,
    measured: measure.Measured,
    generator: Generator,
) -> None:
    """With all targets up at once: checks, load, handshakes, and the same checks again."""

    def check() -> None:
        say("correctness")
        for peer, target in zip(present, targets, strict=True):
            report.checks += Suite(target, peer.inspects, generator.certificates, generator.plc).run()

    check()
    if "load" in phases:
        measure.measure_load(generator, targets, plan, measured, say)
    if "handshakes" in phases:
        measure.measure_handshakes(generator, targets, plan, measured, say)
    check()


if __name__ == "__main__":
    sys.exit(main())
