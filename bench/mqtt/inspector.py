"""The inspector alone: publishes per second of its CPU, with no socket and no TLS around it.

Frames of one link in reads of a given size go through `from_client`, and what the broker would answer through
`from_upstream`; the CPU time of this thread is counted (CLOCK_THREAD_CPUTIME_ID). Every frame has a payload of its own.
What went on is compared byte by byte with what must: a run of allowed frames as it came, a refused one not at all.
The rules are compiled by the policy as for a real link, with `{device}` and `{place}` in them.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.generator import WrongAnswers
from bench.mqtt import wire
from bench.mqtt.inspector_cases import CASES, Case
from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.inventory import Device
from proxy.core.origin import Origin, RuleRef
from proxy.core.principal import Principal
from proxy.core.surface import Rule, Surface
from proxy.policy.compile import compile_policy
from proxy.protocols.base import Client, Effects, Path
from proxy.protocols.mqtt.spec import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.protocols.base import Decide, Inspector

DEVICE, PLACE, BROKER = "sensor-3-1", "bench/hall-1/line-2", "uns"
ROOT = f"{PLACE}/{DEVICE}"
RULE = {"publish": ["{place}/{device}/#"], "subscribe": ["{place}/{device}/#"], "qos": 2}
READS = 64  # reads in one sample


@dataclass(frozen=True, slots=True)
class Entrance:
    """What a mutual TLS listener tells its inspectors."""

    name: str = "front"
    options: object = None
    secured: bool = True
    deny_style: str = PROTOCOL.deny_styles(secured=True)[0]

    def secret(self, name: str) -> bytes:
        raise KeyError(name)


def complain(path: Path, wrong: str, mend: str = "") -> None:
    raise ValueError(f"{path}: {wrong} {mend}")


def decide() -> Decide:
    """The authority of one sensor at the broker, from a surface with the one rule."""
    origin = Origin("policies/surfaces/line-2.yaml", 1)
    targets = PROTOCOL.parse_rule(RULE, complain)
    rule = Rule(RuleRef("line-2", "telemetry", origin), (DEVICE,), (BROKER,), targets)
    surface = Surface("line-2", origin, (BROKER,), (rule,))
    policy = compile_policy([surface], (), {BROKER: Device(BROKER, "server", None, None, origin)})
    proof = Evidence("x509", Outcome.MATCH, Strength.PROOF)
    return policy.open(Principal(DEVICE, evidence=(proof,), place=PLACE), BROKER, "mqtt").decide_all


class Session:
    """An inspector whose client is connected, and what its driver would do with its effects: clear them."""

    def __init__(self, level: int, *, subscribed: bool = False) -> None:
        chance = random.Random(7)
        options = PROTOCOL.parse_service({}, complain)
        principal = Principal(DEVICE, place=PLACE)
        client = Client(principal.names, chance.randbytes, 0.0)
        self.inspector: Inspector = PROTOCOL.inspector(decide(), Entrance(), options, client)
        self.out = Effects()
        self.send(wire.connect(DEVICE, level))
        self.expect("CONNECT", self.out.upstream)
        self.answer(wire.connack(level))
        self.expect("CONNACK", self.out.client)
        if subscribed:
            self.send(wire.subscribe(1, f"{ROOT}/#", level=level))
            self.expect("SUBSCRIBE", self.out.upstream)
            self.answer(wire.suback(1, level))
            self.expect("SUBACK", self.out.client)

    def send(self, data: bytes) -> None:
        self.inspector.from_client(data, 0.0, self.out)

    def answer(self, data: bytes) -> None:
        self.inspector.from_upstream(data, 0.0, self.out)

    def expect(self, what: str, made: Sequence[bytes]) -> None:
        if not made or self.out.closing:
            raise WrongAnswers(f"inspector: {what} did not go on: {self.out.why} {self.out.events}")
        self.clear()

    def clear(self) -> None:
        out = self.out
        out.client.clear()
        out.upstream.clear()
        out.events.clear()
        out.wake = None


@dataclass(frozen=True, slots=True)
class Step:
    """One read from one side, and what it must make go to either."""

    from_client: bool
    data: bytes
    upstream: bytes
    client: bytes


def frames(case: Case, chance: random.Random) -> list[bytes]:
    """One read's worth, packet ids from 1 on."""
    root = "elsewhere" if case.refused else ROOT
    return [
        wire.publish(
            f"{root}/tag-{chance.randrange(case.topics)}", chance.randbytes(case.sizes[at % len(case.sizes)]),
            qos=case.qos, packet_id=at + 1, level=case.level,
        )
        for at in range(case.frames)
    ]  # fmt: skip


def steps(case: Case, chance: random.Random) -> Iterator[Step]:
    """The exchange of one read of publishes, until all its packet ids are free again."""
    data = b"".join(frames(case, chance))
    ids = range(1, case.frames + 1)

    def acks(kind: int, code: int = 0) -> bytes:
        return b"".join(wire.ack(kind, each, code) for each in ids)

    if case.deliver:
        yield Step(False, data, b"", data)
    elif case.refused:
        yield Step(True, data, b"", acks(wire.PUBACK, 0x87 if case.level == 5 else 0) if case.qos else b"")
    else:
        yield Step(True, data, data, b"")
        if case.qos == 1:
            yield Step(False, acks(wire.PUBACK), b"", acks(wire.PUBACK))
        elif case.qos == 2:
            yield Step(False, acks(wire.PUBREC), b"", acks(wire.PUBREC))
            yield Step(True, acks(wire.PUBREL), acks(wire.PUBREL), b"")
            yield Step(False, acks(wire.PUBCOMP), b"", acks(wire.PUBCOMP))


def check(case: Case, session: Session, exchange: Sequence[Step]) -> None:
    """WrongAnswers unless each step makes exactly what it must."""
    for step in exchange:
        (session.send if step.from_client else session.answer)(step.data)
        out = session.out
        answered, _ = wire.split(b"".join(out.client))
        made = b"".join(out.upstream), b"".join(map(wire.short, answered))
        if made != (step.upstream, step.client) or out.closing:
            raise WrongAnswers(f"inspector, {case.title}: {made} in place of {(step.upstream, step.client)} {out.why}")
        session.clear()


def sample(session: Session, script: Sequence[tuple[bool, bytes]]) -> int:
    """Nanoseconds of this thread for the whole script."""
    out = session.out
    forth = partial(session.inspector.from_client, now=0.0, out=out)
    back = partial(session.inspector.from_upstream, now=0.0, out=out)
    begin = time.thread_time_ns()
    for from_client, data in script:
        if from_client:
            forth(data)
        else:
            back(data)
        out.upstream.clear()
        out.client.clear()
        out.events.clear()
    return time.thread_time_ns() - begin


def measure_case(case: Case, samples: int) -> list[float]:
    """Publishes per CPU second, a value per sample. The reads were never seen before; their topics were."""
    chance = random.Random(case.name)
    session = Session(case.level, subscribed=case.deliver)
    reads = max(1, READS * 16 // case.frames)
    found = []
    for _ in range(samples + 1):
        exchanges = [list(steps(case, chance)) for _ in range(reads)]
        check(case, session, exchanges[0])
        spent = sample(session, [(step.from_client, step.data) for exchange in exchanges for step in exchange])
        check(case, session, exchanges[-1])
        found.append(reads * case.frames / spent * 1e9)
    return found[1:]  # in the first one the link learned its topics


def measure(samples: int) -> dict[str, list[float]]:
    """By the name of the case."""
    return {case.name: measure_case(case, samples) for case in CASES}
