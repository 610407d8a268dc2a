"""A policy under conditions: the clock on the wall, what was seen, and who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.circumstances import Circumstances
from proxy.policy.compile import compile_policy
from proxy.policy.rates import Rates
from tests.policy.toy import ToyHours, cell, devices, who

if TYPE_CHECKING:
    from proxy.core.surface import Surface
    from proxy.core.verdict import Verdict
    from proxy.policy.authority import Authority
    from tests.policy.toy import ToyAction

INVENTORY = devices("plc", "other", "scada", "mes")
EARLY, LATE, STOP = ToyHours("early", 100, 200), ToyHours("late", 200, 300), ToyHours("stop", 1000, 2000)


class Conditions:
    """``wall`` is in seconds since 1970; ``now`` in monotonic seconds, and moves only if it is told to."""

    def __init__(self, *surfaces: Surface, wall: float = 0.0) -> None:
        self.circumstances = Circumstances((EARLY, LATE, STOP), wall)
        self.rates = Rates()
        self.now = 1000.0
        self.take_into_use(*surfaces)

    def take_into_use(self, *surfaces: Surface) -> None:
        """A first policy, or another one on the same plant."""
        self.policy = compile_policy(surfaces, (), INVENTORY, rates=self.rates, circumstances=self.circumstances)
        self.circumstances.watch(self.policy.watched())

    def open(self, speaker: str = "scada", *kinds: str) -> Authority:
        return self.policy.open(who(speaker, *(kinds or ("x509", "mac_ip"))), "plc", "toy")

    def see(self, number: int, value: float, device: str = "plc") -> None:
        """An answer takes its time: what was asked for before was asked for earlier."""
        self.now += 0.001
        self.circumstances.observe(device, cell(number), value, self.now)

    def ask(self, *actions: ToyAction, speaker: str = "scada", after: float = 0.0, recorded: bool = False) -> Verdict:
        self.now += after
        return self.open(speaker).decide_all(actions, self.now, recorded)

    def confirmed(self, action: ToyAction, after: float = 0.0) -> Verdict:
        """As `ask`; what is allowed is done by the device, and it says so."""
        verdict = self.ask(action, after=after)
        if verdict.allowed:
            for at, value in enumerate(action.values):
                self.see(action.first + at, value)
        return verdict
