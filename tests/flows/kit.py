"""Flows that a test makes up, as the book and the file take them."""

from __future__ import annotations

from proxy.flows.book import Answer, Key, Parties, Seen
from tests.policy.toy import ToyAction, write

PARTIES = Parties("scada", ("mbaps:Operator",), ("x509",), "plc", "toy")
ALLOWED = Answer(True, "", "cell/writes", None, "", "")
WOULD = Answer(True, "", "cell/writes", False, "BH-1205", "cell/narrow")
NOW = 1_795_300_000.0


def key(cell: int = 9, who: str = "scada", answer: Answer = ALLOWED) -> Key:
    return Key(PARTIES._replace(who=who), (("write", cell),), answer)


def seen(
    cell: int = 9,
    low: int = 5,
    high: int | None = None,
    *,
    count: int = 1,
    first: float = NOW - 100,
    last: float = NOW,
    at: str = "policies/surfaces/cell.yaml:11",
    policy: str = "aa",
) -> Seen:
    most = low if high is None else high
    small = (write(cell, low),)
    large = small if most == low else (write(cell, most),)
    return Seen(small, large, (low, most), at=at, policy=policy, count=count, first=first, last=last)


def text(protocol: str, asked: object) -> str:
    """`proxy.flows.store.Text` for the toy protocol."""
    assert protocol == "toy" and isinstance(asked, tuple)
    return "; ".join(f"{a.verb} cell {a.first} = {a.values[0]}" for a in asked if isinstance(a, ToyAction))
