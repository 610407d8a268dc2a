"""A made-up plant with any number of rules, and questions about it whose answers are known.

Ten rules a device: five speakers may each read one span and write one span, one of the five through a role.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.inventory import Device
from proxy.core.origin import Origin, RuleRef
from proxy.core.principal import Principal
from proxy.core.surface import Role, Rule, Surface
from proxy.protocols.modbus.actions import Span
from proxy.protocols.modbus.targets import Spans, Window

RULES_PER_DEVICE = 10
SPEAKERS_PER_DEVICE = 5
SURFACE = "plant"
PROOF = Evidence("x509", Outcome.MATCH, Strength.PROOF)
NOWHERE = 60_000  # a register that no rule names


@dataclass(frozen=True, slots=True)
class Question:
    """May `speaker` read one register of `device`? The answer follows from how the plant was made."""

    speaker: str
    device: str
    register: int
    allowed: bool

    @property
    def principal(self) -> Principal:
        return Principal(self.speaker, evidence=(PROOF,))

    @property
    def action(self) -> Span:
        return Span("read", 1, "holding", self.register, 1, 3)


@dataclass(frozen=True, slots=True)
class Plant:
    surface: Surface
    roles: tuple[Role, ...]
    devices: dict[str, Device]
    speakers: int

    @classmethod
    def of(cls, rules: int) -> Plant:
        """`rules` is a multiple of 10."""
        count = rules // RULES_PER_DEVICE
        speakers = max(SPEAKERS_PER_DEVICE, rules // 20)
        names = [f"plc-{number}" for number in range(count)]
        masters = [f"master-{number}" for number in range(speakers)]
        roles = tuple(
            Role(f"crew-{number}", origin(number), (masters[number * 10 + 4],))
            for number in range(max(1, speakers // 10))
            if number * 10 + 4 < speakers
        )
        made = [rule(number, speakers, len(roles)) for number in range(rules)]
        devices = {name: Device(name, "plc", None, None, origin(1)) for name in names}
        surface = Surface(SURFACE, origin(1), tuple(names), tuple(made))
        return cls(surface, roles, devices, speakers)

    def question(self, chance: random.Random, *, allowed: bool) -> Question:
        """About a random rule: a register inside its span, or one that no rule names."""
        number = chance.randrange(len(self.surface.rules) // RULES_PER_DEVICE) * RULES_PER_DEVICE + chance.randrange(4)
        speaker = f"master-{speaker_of(number, self.speakers)}"
        register = first_register(number) + chance.randrange(50) if allowed else NOWHERE + chance.randrange(999)
        return Question(speaker, f"plc-{number // RULES_PER_DEVICE}", register, allowed)


def origin(line: int) -> Origin:
    return Origin("policies/surfaces/plant.yaml", line)


def speaker_of(number: int, speakers: int) -> int:
    """Which master rule `number` is for: five a device, the next five for the next device, round and round."""
    device, at = divmod(number, RULES_PER_DEVICE)
    return (device * SPEAKERS_PER_DEVICE + at % SPEAKERS_PER_DEVICE) % speakers


def first_register(number: int) -> int:
    return number % RULES_PER_DEVICE * 100


def rule(number: int, speakers: int, roles: int) -> Rule:
    device, at = divmod(number, RULES_PER_DEVICE)
    last = at % SPEAKERS_PER_DEVICE == SPEAKERS_PER_DEVICE - 1
    speaker = f"role:crew-{device % roles}" if last else f"master-{speaker_of(number, speakers)}"
    first = first_register(number)
    if at < SPEAKERS_PER_DEVICE:
        target = Spans("read", "holding", first, first + 49)
    else:
        target = Spans("write", "holding", first, first + 49, window=Window(0, 1500))
    name = RuleRef(SURFACE, f"rule-{number}", origin(number + 2))
    return Rule(name, (speaker,), (f"plc-{device}",), (target,))
