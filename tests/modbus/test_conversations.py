"""Vectors: one master's link, call by call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.modbus.frames import read, read_all, show
from tests.modbus.harness import REASONS, Client, Policy
from tests.modbus.vectors import cases

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.core.verdict import Verdict

STEPS = ("client", "reply", "eof", "tick", "resume", "end", "again")
GIVES = ("device", "answers", "events", "holds", "closes", "deadline")


class Epochs:
    """A policy that is exchanged for the next one at each `again`."""

    def __init__(self, rules: list[object], record_first: bool) -> None:
        self._policies = [Policy(rule, record_first=record_first) for rule in rules]

    def __call__(self, asked: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict:
        return self._policies[0](asked, now, recorded)

    def next(self) -> None:
        self._policies.pop(0)


@pytest.mark.parametrize("vector", cases("conversations"))
def test_a_link(vector: dict[str, Any]) -> None:
    epochs = Epochs([vector.get("rule"), *vector.get("epochs", [])], vector.get("record_first", False))
    client = Client(epochs)
    for number, step in enumerate(vector["steps"], 1):
        unknown = set(step) - {*STEPS, *GIVES}
        assert not unknown, f"step {number}: {unknown}"
        take(client, epochs, step)
        assert outcome(client) == expected(step), f"step {number}: {step}"


def take(client: Client, epochs: Epochs, step: dict[str, Any]) -> None:
    match next(iter(step.items())):
        case "client", texts:
            client.send(b"".join(read_all(texts)))
        case "reply", text:
            client.reply(read(text)[0])
        case "eof", _:
            client.eof()
        case "tick", now:
            client.tick(now)
        case "resume", (token, recorded):
            client.resume(token, recorded)
        case "end", code:
            client.end(REASONS[code])
        case "again", _:
            epochs.next()
            client.again()
        case name, _:
            raise ValueError(f"unknown step {name}")


def outcome(client: Client) -> dict[str, Any]:
    told = client.look()
    return {
        "device": show(told.device),
        "answers": show(told.answers),
        "events": told.events,
        "holds": told.holds,
        "closes": told.closes,
        "deadline": client.inspector.deadline(),
    }


def expected(step: dict[str, Any]) -> dict[str, Any]:
    return {
        "device": show(read_all(step.get("device", []))),
        "answers": show(read_all(step.get("answers", []))),
        "events": step.get("events", []),
        "holds": step.get("holds", []),
        "closes": step.get("closes"),
        "deadline": step.get("deadline"),
    }


def test_policy_is_told_when_it_is_asked_about_a_held_message_again() -> None:
    """A rate is charged once, for the message that goes."""
    policy = Policy(record_first=True)
    client = Client(policy)
    client.send(b"".join(read_all(["0001/01 06 0000 0001", "0002/01 03 0000 0001"])))
    client.resume(1, True)
    assert policy.recorded == [False, True, False]
    assert policy.asked[0] == policy.asked[1]
