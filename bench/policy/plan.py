"""How many rules, how many questions, how many surfaces."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """``rules``: number of rules -> questions of each kind, engine and round. ``surfaces`` have 50 rules each;
    ``changed`` of them change in a reload."""

    rounds: int
    rules: dict[int, int] = field(default_factory=lambda: {10: 50, 1_000: 20, 10_000: 5, 100_000: 2})
    loads: int = 3
    surfaces: int = 2_000
    reloads: int = 5
    changed: int = 20


FULL = PolicyPlan(rounds=5)
QUICK = PolicyPlan(rounds=3, rules={10: 20, 1_000: 10, 10_000: 3}, loads=1, surfaces=200, reloads=2, changed=2)
