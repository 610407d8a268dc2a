"""The phases of a run: load and handshakes interleaved over all targets, memory one target at a time."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.environment import memory_kib
from bench.plan import PARALLEL_HANDSHAKES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.decisions import Costs
    from bench.generator import Generator, Handshakes, Load
    from bench.peers.base import Peer
    from bench.plan import Plan
    from bench.processes import Running

DIRECT = "direct"
SETTLE = 1.0  # seconds after the last link opened, before memory is read


@dataclass(slots=True)
class Measured:
    """Everything a run saw; lists have one entry per round."""

    load: dict[tuple[str, int], list[Load]] = field(default_factory=dict)  # (target, connections)
    handshakes: dict[tuple[str, bool], list[Handshakes]] = field(default_factory=dict)  # (target, one read)
    decisions: dict[int, Costs] = field(default_factory=dict)  # by the number of rules
    memory: dict[tuple[str, int], float] = field(default_factory=dict)  # (target, links): KiB per link

    def whole_rounds(self) -> None:
        """Drop what a phase that ended early measured of some targets and not of others."""
        for figures in (self.load, self.handshakes):
            least: dict[object, int] = {}
            for (_, size), rounds in figures.items():
                least[size] = min(len(rounds), least.get(size, len(rounds)))
            for (_, size), rounds in figures.items():
                del rounds[least[size] :]


SINGLE_THREADED = ("haproxy", "nginx")


def competition(measured: Measured) -> float | None:
    """How long a proxy of one thread waited for its core, as a share of the time. Nobody else should be on it."""
    waited = [one.waited for (name, _), rounds in measured.load.items() for one in rounds if name in SINGLE_THREADED]
    return statistics.median(waited) if waited else None


def measure_load(
    generator: Generator, targets: Sequence[Running], plan: Plan, measured: Measured, say: Callable[[str], None]
) -> None:
    """Steady reads through each target, and straight to the PLC, in turn A B C A B C."""
    everyone: list[Running | None] = [*targets, None]
    for connections in plan.connections:
        for number in range(plan.rounds):
            say(f"load: {connections} connections, round {number + 1} of {plan.rounds}")
            for target in everyone:
                name = target.name if target else DIRECT
                one = generator.load(target, connections, plan.seconds, plan.warmup)
                measured.load.setdefault((name, connections), []).append(one)


def measure_handshakes(
    generator: Generator, targets: Sequence[Running], plan: Plan, measured: Measured, say: Callable[[str], None]
) -> None:
    for number in range(plan.rounds):
        say(f"handshakes: round {number + 1} of {plan.rounds}")
        for request in (False, True):
            for target in targets:
                one = generator.handshakes(target, PARALLEL_HANDSHAKES, plan.seconds, plan.warmup, request=request)
                measured.handshakes.setdefault((target.name, request), []).append(one)


def measure_memory(
    generator: Generator,
    peer: Peer,
    start: Callable[[Peer], Running],
    plan: Plan,
    measured: Measured,
    say: Callable[[str], None],
) -> None:
    """Growth of the proportional set size per link, in a process just started that has served one link."""
    say(f"memory: {peer.title}, {' and '.join(f'{size:,}' for size in plan.idle)} idle links")
    target = start(peer)
    try:
        generator.load(target, 1, 0.1, 0.0)
        time.sleep(SETTLE)
        before = memory_kib(target.pids)
        with generator.hold(target, list(plan.idle)) as holding:
            for size in plan.idle:
                holding.more()
                time.sleep(SETTLE)
                measured.memory[peer.name, size] = (memory_kib(target.pids) - before) / size
    finally:
        target.stop()


def measure_decisions(plan: Plan, measured: Measured, say: Callable[[str], None]) -> None:
    """Imports the product, so that a run of peers alone needs nothing of it."""
    from bench.decisions import measure

    for rules, plain_samples in plan.rules.items():
        say(f"decisions: {rules:,} rules")
        measured.decisions[rules] = measure(rules, plain_samples)
