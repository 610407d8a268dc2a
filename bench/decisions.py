"""What a decision costs at 10, 1,000 and 100,000 rules, beside Casbin asked the plain way with the same rows.

cached: `from_client` of a request whose verdict the link knows: framing, look-up, counting, forwarding.
miss, refusal: `decide_all` of the link's authority, for a request that it allows and one that it refuses.
uncached, refused: the whole of `from_client` around that: decode, re-encode, judge, forward or answer.
open: `Policy.open` for a speaker and a device that were never asked about, with Casbin's share of it.
"""

from __future__ import annotations

import gc
import random
import struct
import time
from dataclasses import dataclass

from bench.generator import WrongAnswers
from bench.plant import Plant, Question
from proxy.policy.compile import Policy, compile_policy
from proxy.policy.plain import Plain
from proxy.protocols.base import Effects
from proxy.protocols.modbus.inspector import ModbusInspector
from proxy.protocols.modbus.service import ModbusService

SAMPLES = 300
WARM = 5
BATCH = 16  # requests in one call, which is also how many a master may have in flight


@dataclass(frozen=True, slots=True)
class Secured:
    """What a mutual TLS listener tells its inspectors."""

    name: str = "front"
    options: object = None
    secured: bool = True
    deny_style: str = "refuse"

    def secret(self, name: str) -> bytes:
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds, one entry per sample; `plain_*` is Casbin's own `enforce_ex` on the same questions."""

    cached: list[float]
    miss: list[float]
    refusal: list[float]
    uncached: list[float]
    refused: list[float]
    open: list[float]
    plain_allowed: list[float]
    plain_refused: list[float]
    compiled: float  # seconds


def measure(rules: int, plain_samples: int) -> Costs:
    """Deterministic questions. WrongAnswers when an engine does not give the answer that is known."""
    chance = random.Random(rules)
    plant = Plant.of(rules)
    begin = time.perf_counter()
    policy = compile_policy([plant.surface], plant.roles, plant.devices)
    compiled = time.perf_counter() - begin
    asked = [plant.question(chance, allowed=number % 2 == 0) for number in range(SAMPLES)]
    good, bad = asked[::2], asked[1::2]
    gc.collect()
    costs = Costs(
        cached=[cached(policy, question) for question in good],
        miss=[decided(policy, question) for question in good],
        refusal=[decided(policy, question) for question in bad],
        uncached=[uncached(policy, question) for question in good],
        refused=[uncached(policy, question) for question in bad],
        open=opening(plant, chance),
        plain_allowed=[], plain_refused=[], compiled=compiled,
    )  # fmt: skip
    ask_plain(plant, asked[: 2 * plain_samples], costs)
    return costs


def frames(register: int, count: int) -> list[bytes]:
    """`count` requests to read one register, each with its own transaction id."""
    return [struct.pack(">HHHBBHH", tid, 0, 6, 1, 3, register, 1) for tid in range(count)]


def inspector(policy: Policy, question: Question) -> ModbusInspector:
    authority = policy.open(question.principal, question.device, "modbus")
    return ModbusInspector(authority.decide_all, Secured(), ModbusService())


def cached(policy: Policy, question: Question) -> float:
    """Per request, in a read that holds sixteen of them: the quickest of some, for a link that polls is warm."""
    inspecting, out, data = inspector(policy, question), Effects(), frames(question.register, BATCH)
    inspecting.from_client(data[0], 0.0, out)
    out.upstream.clear()
    inspecting.from_upstream(answer_to(data[0]), 0.0, out)
    joined = b"".join(data)
    spent = []
    for _ in range(WARM):
        begin = time.perf_counter_ns()
        inspecting.from_client(joined, 0.0, out)
        spent.append((time.perf_counter_ns() - begin) / 1e3 / BATCH)
        if out.upstream != data:
            raise WrongAnswers(f"cached: {question} had another answer")
        out.upstream.clear()
        for frame in data:
            inspecting.from_upstream(answer_to(frame), 0.0, out)
    return min(spent)


def answer_to(frame: bytes) -> bytes:
    """One register, which holds 0."""
    return frame[:4] + b"\0\5\1\3\2\0\0"


def decided(policy: Policy, question: Question) -> float:
    authority = policy.open(question.principal, question.device, "modbus")
    asked = (question.action,)
    begin = time.perf_counter_ns()
    verdict = authority.decide_all(asked, 0.0)
    spent = (time.perf_counter_ns() - begin) / 1e3
    if verdict.allowed is not question.allowed:
        raise WrongAnswers(f"{question}: {verdict}")
    return spent


def uncached(policy: Policy, question: Question) -> float:
    inspecting, out = inspector(policy, question), Effects()
    (frame,) = frames(question.register, 1)
    begin = time.perf_counter_ns()
    inspecting.from_client(frame, 0.0, out)
    spent = (time.perf_counter_ns() - begin) / 1e3
    if (out.upstream == [frame]) is not question.allowed or bool(out.client) is question.allowed:
        raise WrongAnswers(f"uncached: {question} had another answer")
    return spent


def opening(plant: Plant, chance: random.Random) -> list[float]:
    """The first link of a speaker to a device. A small plant has few pairs, so it is compiled again for more."""
    spent: list[float] = []
    while len(spent) < SAMPLES // 3:
        policy = compile_policy([plant.surface], plant.roles, plant.devices)
        seen: set[tuple[str, str]] = set()
        for _ in range(SAMPLES // 3):
            question = plant.question(chance, allowed=True)
            if (question.speaker, question.device) not in seen:
                seen.add((question.speaker, question.device))
                principal = question.principal
                begin = time.perf_counter_ns()
                policy.open(principal, question.device, "modbus")
                spent.append((time.perf_counter_ns() - begin) / 1e3)
    return spent


def ask_plain(plant: Plant, asked: list[Question], costs: Costs) -> None:
    plain = Plain([plant.surface], plant.roles)
    for question in asked:
        action = question.action
        begin = time.perf_counter_ns()
        rules = plain.deciding(question.principal, question.device, action)
        spent = (time.perf_counter_ns() - begin) / 1e3
        if all(rules) is not question.allowed:
            raise WrongAnswers(f"Casbin: {question} had another answer")
        (costs.plain_allowed if question.allowed else costs.plain_refused).append(spent)
