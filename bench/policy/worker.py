"""One engine in a process of its own: loads, says what that cost, then asks a round for each line on its input.

python -m bench.policy.worker ENGINE RULES        {"seconds", "mib"}, then per line COUNT: {"allowed", "refused", ...}
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.generator import WrongAnswers
from bench.plant import Plant
from bench.policy.engines import ENGINES

if TYPE_CHECKING:
    from bench.policy.engines import Engine


def main() -> None:
    name, rules = sys.argv[1], int(sys.argv[2])
    engine = next(made for made in (kind() for kind in ENGINES) if made.name == name)
    plant = Plant.of(rules)
    engine.load(Plant.of(10))  # its imports
    gc.collect()
    before, begin = memory(), time.perf_counter()
    engine.load(plant)
    seconds = time.perf_counter() - begin
    say({"seconds": seconds, "mib": memory() - before})
    chance = random.Random(rules)
    for line in sys.stdin:
        say(asked(engine, plant, chance, int(line)))


def asked(engine: Engine, plant: Plant, chance: random.Random, count: int) -> dict[str, list[float]]:
    """Microseconds: the first question of a speaker about a device with all that comes before it, the same question
    again, and one that is refused."""
    spent: dict[str, list[float]] = {"first": [], "allowed": [], "refused": []}
    for _ in range(count):
        good = plant.question(chance, allowed=True)
        bad = plant.question(chance, allowed=False)
        begin = time.perf_counter_ns()
        answers = [engine.open(good)(good)]
        spent["first"].append((time.perf_counter_ns() - begin) / 1e3)
        for name, question in (("allowed", good), ("refused", bad)):
            ask = engine.open(question)
            begin = time.perf_counter_ns()
            answers.append(ask(question))
            spent[name].append((time.perf_counter_ns() - begin) / 1e3)
        if answers != [True, True, False]:
            raise WrongAnswers(f"{engine.name}: {good} and {bad} were answered {answers}")
    return spent


def memory() -> float:
    """The most that this process ever had, in MiB (VmHWM of proc(5))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def say(value: object) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
