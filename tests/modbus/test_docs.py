"""docs/modbus.md is true: rules parse, questions are questions, the table is what comes out, limits hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from proxy.protocols.modbus import device, inspector
from proxy.protocols.modbus.texts import parse_actions
from tests.modbus.frames import read, show
from tests.modbus.harness import Client, Policy, targets

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "modbus.md").read_text("utf-8")
BLOCK = re.compile(r"```(?P<kind>yaml|text)\n(?P<text>.*?)```", re.DOTALL)
RULE = {"read": ["holding 0-99"], "write": {"holding 40": {"min": 0, "max": 1500}}}
"""The rule that the page's table names."""
ROW = re.compile(r"^\| `(?P<sent>[0-9A-Fa-f]{4}/[^`]+)` \|.*$", re.MULTILINE)


def row(sent: str) -> str:
    """One line of the page's table, as it comes out."""
    policy = Policy(RULE)
    client = Client(policy)
    client.send(b"".join(read(sent)))
    told = client.look()
    asked = "; ".join(action.describe() for actions in policy.asked for action in actions) or "nothing"
    gets = ", ".join(f"`{text}`" for text in show(told.answers)) or ("closed" if told.closes else "the device's answer")
    return f"| `{sent}` | {asked} | {'this' if told.device else 'nothing'} | {gets} |"


@pytest.mark.parametrize("line", [match[0] for match in ROW.finditer(PAGE)])
def test_a_line_of_the_table_is_what_comes_out(line: str) -> None:
    match = ROW.match(line)
    assert match is not None
    assert row(match["sent"]) == line


def test_the_table_is_there() -> None:
    assert len(ROW.findall(PAGE)) >= 10


@pytest.mark.parametrize("text", [match["text"] for match in BLOCK.finditer(PAGE) if match["kind"] == "yaml"])
def test_a_rule_of_the_page_is_right(text: str) -> None:
    ((key, section),) = yaml.safe_load(text).items()
    assert targets(section, never=key == "never")


def test_the_questions_of_the_page_are_questions() -> None:
    (text,) = [match["text"] for match in BLOCK.finditer(PAGE) if match["kind"] == "text"]
    for line in text.strip().splitlines():
        assert parse_actions(line)


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("requests of one master without an answer", f"{inspector.IN_FLIGHT}"),
        ("seconds until a frame must be whole", f"{inspector.PARTIAL:g}"),
        ("verdicts remembered for each link", f"{inspector.CACHED}"),
        ("requests that wait for a device, for each master", f"{device.QUEUE}"),
        ("seconds between dials of a device that is away", f"{device.BACKOFF[0]:g} to {device.BACKOFF[1]:g}"),
        ("seconds that an unused connection to a device is kept", f"{device.IDLE:g}"),
        ("kinds of requests remembered for each device", f"{device.QUESTIONS}"),
    ],
)
def test_a_limit_of_the_page_holds(what: str, value: str) -> None:
    assert f"| {what} | {value} |" in PAGE
