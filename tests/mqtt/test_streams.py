"""Vectors: whole sessions, both sides of them, in one piece and cut at every byte (style.md 8)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.names import Names
from proxy.protocols.base import UpstreamState
from tests.mqtt.harness import REASONS, Epochs, Link, Policy, service
from tests.mqtt.notation import load, packet
from tests.support.setting import FakeSetting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STREAMS = ("client", "broker")
CALLS = ("again", "resume", "upstream", "eof", "end", "at")
GIVES = ("up", "down", "events", "holds", "closes", "due")
KEYS = {"name", "clause", "level", "open", "service", "deny", "device", "rule", "never", "epochs", "record_first",
        "login", "steps"}  # fmt: skip
VECTORS = load("streams")
CASES = [
    pytest.param(vector, level, id=f"{vector['name']}, {level}")
    for vector in VECTORS
    for level in (vector["level"] if isinstance(vector["level"], list) else [vector["level"]])
]
MOST_CUTS = 60


class Session:
    """One vector in one version, played step by step. ``cut`` says in which pieces the bytes of a step come."""

    def __init__(self, vector: dict[str, Any], level: int, cut: Callable[[int, bytes], list[bytes]]) -> None:
        assert set(vector) <= KEYS, f"unknown keys {set(vector) - KEYS}"
        self.level = level
        self.cut = cut
        rules = [vector.get("rule"), *vector.get("epochs", [])]
        held = vector.get("record_first", False)
        names = Names(vector.get("device", "sensor-1"), "hall-1")
        never = vector.get("never")
        self.epochs = Epochs(*(Policy(one, never, names=names, record_first=held) for one in rules))
        setting = FakeSetting(
            deny_style=vector.get("deny", "nack"), secrets={"a.login": vector.get("login", "").encode()}
        )
        self.link = Link(self.epochs, setting, service(vector.get("service", {})), names)
        if (opening := vector.get("open", True)) is not False:
            self.open(opening if isinstance(opening, dict) else {})

    def open(self, parts: dict[str, str]) -> None:
        """CONNECT and CONNACK; ``parts`` may give the flags and keep alive, or the properties of both."""
        head = f'10 ~ "MQTT" 0{self.level} {parts.get("flags", "02 003C")}'
        self.link.send(self.packet(f'{head} {parts.get("asks", "{?}")} "s1" {parts.get("will", "")}'))
        self.link.reply(self.packet(f"20 ~ {parts.get('present', '00')} 00 {parts.get('says', '{?}')}"))
        told = self.link.look()
        assert (bool(told.broker), bool(told.client), told.events, told.closes) == (True, True, [], None), told

    def packet(self, text: str) -> bytes:
        """The notation, with two additions: ``{?}`` is the empty property list of MQTT 5, and nothing in 3.1.1;
        ``<BH-1201>`` a property list with that reason as Reason String."""
        text = text.replace("{?}", "{}" if self.level == 5 else "")
        return packet(re.sub(r"<(BH-\d+)>", lambda match: f'{{1F "{match[1]} {REASONS[match[1]].sentence}"}}', text))

    def given(self, step: dict[str, Any], key: str) -> Any:
        """What the step says in this version."""
        value = step.get(key)
        return value.get(self.level) if isinstance(value, dict) else value

    def bytes(self, step: dict[str, Any], key: str) -> bytes:
        value = self.given(step, key)
        if value == "same":
            return self.bytes(step, next(name for name in STREAMS if name in step))
        texts = value if isinstance(value, list) else [value] if value is not None else []
        return b"".join(self.packet(text) for text in texts)

    def take(self, number: int, step: dict[str, Any]) -> None:
        call, value = next(iter(step.items()))
        link = self.link
        match call:
            case "client" | "broker":
                for piece in self.cut(number, self.bytes(step, call)):
                    (link.send if call == "client" else link.reply)(piece)
            case "again":
                self.epochs.next()
                link.again()
            case "resume":
                link.resume(*value)
            case "upstream":
                link.upstream_is(UpstreamState(value))
            case "eof":
                link.eof()
            case "end":
                link.end(REASONS[value])
            case "at":
                link.at(value)
            case _:
                raise ValueError(f"step {number}: unknown step {call}")

    def play(self, steps: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """What came of each step, and what must."""
        for number, step in enumerate(steps, 1):
            unknown = set(step) - {*STREAMS, *CALLS, *GIVES}
            assert not unknown, f"step {number}: {unknown}"
            self.take(number, step)
            told = self.link.look()
            found: dict[str, Any] = {
                "step": number, "up": told.broker.hex(" "), "down": told.client.hex(" "), "events": told.events,
                "holds": told.holds, "closes": told.closes,
            }  # fmt: skip
            wanted: dict[str, Any] = {
                "step": number, "up": self.bytes(step, "up").hex(" "), "down": self.bytes(step, "down").hex(" "),
                "events": self.given(step, "events") or [], "holds": step.get("holds", []),
                "closes": self.given(step, "closes"),
            }  # fmt: skip
            if "due" in step:
                found["due"] = None if self.link.closed else self.link.inspector.deadline()
                wanted["due"] = self.given(step, "due")
            yield found, wanted


def whole(number: int, data: bytes) -> list[bytes]:
    return [data]


def one_by_one(number: int, data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize(("vector", "level"), CASES)
def test_in_one_piece(vector: dict[str, Any], level: int) -> None:
    for found, wanted in Session(vector, level, whole).play(vector["steps"]):
        assert found == wanted


@pytest.mark.parametrize(("vector", "level"), CASES)
def test_byte_by_byte(vector: dict[str, Any], level: int) -> None:
    for found, wanted in Session(vector, level, one_by_one).play(vector["steps"]):
        assert found == wanted


@pytest.mark.parametrize(("vector", "level"), CASES)
def test_each_step_cut_in_two_anywhere(vector: dict[str, Any], level: int) -> None:
    for number, step in enumerate(vector["steps"], 1):
        if not set(STREAMS) & set(step):
            continue
        probe = Session(vector, level, whole)
        size = len(probe.bytes(step, next(iter(step))))
        for at in range(1, size, max(1, size // MOST_CUTS)):

            def halves(this: int, data: bytes, number: int = number, at: int = at) -> list[bytes]:
                return [data[:at], data[at:]] if this == number else [data]

            for found, wanted in Session(vector, level, halves).play(vector["steps"]):
                assert found == wanted, f"step {number} cut at {at}"
