"""The policy part of a run: engines with the same rules asked in turn, sites loaded in fresh processes, reloads."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.environment import Unmeasurable
from bench.generator import WrongAnswers
from bench.policy.rows import engine_rows, loading_rows, reload_rows
from bench.policy.site import FORMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.policy.engines import Engine
    from bench.policy.plan import PolicyPlan
    from bench.report import Report

PHASES = ("engines", "loading", "reload")


class Asked:
    """One engine in its process. ``loaded`` is what loading cost."""

    def __init__(self, name: str, rules: int) -> None:
        command = [sys.executable, "-m", "bench.policy.worker", name, str(rules)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.name = name
        self.loaded = self._line()
        self.rounds: list[dict[str, float]] = []

    def ask(self, count: int) -> None:
        if self.process.stdin is None:
            raise Unmeasurable(f"{self.name}: no way to ask it")
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        self.rounds.append({kind: median(spent) for kind, spent in self._line().items()})

    def close(self) -> None:
        self.process.communicate(timeout=60)

    def _line(self) -> dict[str, Any]:
        line = "" if self.process.stdout is None else self.process.stdout.readline()
        if not line:
            raise WrongAnswers(f"{self.name} ended before it answered; what it said is above")
        found: dict[str, Any] = json.loads(line)
        return found


class PolicySession:
    def __init__(
        self,
        plan: PolicyPlan,
        engines: Sequence[Engine],
        phases: Sequence[str],
        say: Callable[[str], None],
        report: Report,
    ) -> None:
        self.plan = plan
        self.engines = engines
        self.phases = phases
        self.say = say
        self.report = report
        report.plan["policy"] = asdict(plan)

    def run(self) -> None:
        if "engines" in self.phases:
            with self.failing("policy engines"):
                self.ask_all()
        if "loading" in self.phases:
            with self.failing("policy loading"):
                self.load_sites()
        if "reload" in self.phases:
            with self.failing("policy reload"):
                self.reload()

    def ask_all(self) -> None:
        present = []
        for engine in self.engines:
            if lacking := engine.missing():
                self.report.missing.append(f"{engine.name}: {lacking}")
                self.say(f"missing: {engine.name}: {lacking}")
            else:
                present.append(engine.name)
        for rules, questions in self.plan.rules.items():
            self.say(f"policy engines: {rules:,} rules")
            with contextlib.ExitStack() as stack:
                asked = []
                for name in present:
                    asked.append(Asked(name, rules))
                    stack.callback(asked[-1].close)
                for _ in range(self.plan.rounds):
                    for one in asked:
                        one.ask(questions)
            self.report.rows += engine_rows(rules, {one.name: (one.loaded, one.rounds) for one in asked})

    def load_sites(self) -> None:
        for form in FORMS:
            rounds = []
            for number in range(self.plan.loads):
                self.say(f"policy loading: {self.plan.surfaces:,} surfaces, {form} rules, {number + 1}")
                rounds.append(self.child("bench.policy.loading", str(self.plan.surfaces), "50", form))
            self.report.rows += loading_rows(self.plan.surfaces * 50, form, rounds)

    def reload(self) -> None:
        self.say(f"policy reload: {self.plan.changed} of {self.plan.surfaces:,} surfaces, {self.plan.reloads} times")
        sizes = (str(self.plan.surfaces), str(self.plan.changed), str(self.plan.reloads))
        self.report.rows += reload_rows(self.child("bench.policy.reload", *sizes))

    def child(self, module: str, *words: str) -> dict[str, Any]:
        done = subprocess.run([sys.executable, "-m", module, *words], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise WrongAnswers(f"{module} ended with {done.returncode}; what it said is above")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @contextlib.contextmanager
    def failing(self, phase: str) -> Iterator[None]:
        try:
            yield
        except (WrongAnswers, Unmeasurable) as error:
            self.say(f"{phase}: {error}")
            self.report.failed.append(f"{phase}: {error}")
