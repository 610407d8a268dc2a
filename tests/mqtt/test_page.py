"""docs/mqtt.md is true: rules parse, defaults are those shown, questions are questions, and the example answers so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli.main import run
from proxy.protocols.mqtt.actions import Message, Subscription
from proxy.protocols.mqtt.rules import VERBS, parse_never, parse_rule
from proxy.protocols.mqtt.service import MqttService, parse_service
from proxy.protocols.mqtt.texts import parse_actions
from tests.mqtt.reports import Reports

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "mqtt.md").read_text("utf-8")
BLOCK = re.compile(r"```(?P<kind>yaml|text|console)\n(?P<text>.*?)```", re.DOTALL)
FILE = re.compile(r"# (?P<name>\S+\.yaml)\n")
INSIDE = re.compile(
    r"^\| `(?P<asked>[^`]+)` \| (?P<rule>allows|does not cover it) \| (?P<never>forbids|says nothing) \|$", re.M
)
BLOCKS = [(match["kind"], match["text"]) for match in BLOCK.finditer(PAGE)]
SECTIONS = [yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml" and not FILE.match(text)]


def test_every_section_is_valid() -> None:
    kinds = []
    for section in SECTIONS:
        ((key, value),) = section.items()
        reports = Reports()
        service = key == "mqtt" and "commands" in value
        parse: Any = parse_service if service else parse_rule if key == "mqtt" else parse_never
        assert parse(value, reports)
        assert reports.found == []
        kinds.append(parse)
    assert {parse_rule, parse_never, parse_service} == set(kinds)


def test_the_defaults_are_those_shown() -> None:
    (shown,) = (s["mqtt"] for s in SECTIONS if "mqtt" in s and "commands" in s["mqtt"])
    assert parse_service({key: value for key, value in shown.items() if key != "login"}, Reports()) == MqttService()


def test_every_verb_is_in_the_table() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.split("## The language")[0], re.MULTILINE)) == set(VERBS)


def test_the_table_of_what_lies_inside() -> None:
    section = {"subscribe": "line-2/+/state"}
    rule, never = parse_rule(section, Reports()), parse_never(section, Reports())
    rows = list(INSIDE.finditer(PAGE))
    assert len(rows) == 7
    for row in rows:
        asked = Subscription("subscribe", row["asked"])
        assert any(target.admits(asked) for target in rule) == (row["rule"] == "allows"), row["asked"]
        assert any(target.covers(asked) for target in never) == (row["never"] == "forbids"), row["asked"]
    assert any(target.admits(Message("receive", "line-2/a/state")) for target in rule)


@pytest.mark.parametrize("line", [line for kind, text in BLOCKS if kind == "text" for line in text.splitlines()])
def test_a_question_of_the_page(line: str) -> None:
    if line.split()[0] in VERBS:
        assert parse_actions(line)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for kind, text in BLOCKS:
        if kind == "yaml" and (file := FILE.match(text)):
            path = tmp_path / file["name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            # The comment that names the file stands for the modeline of a real one, so that line numbers fit.
            path.write_text(text)
    return tmp_path / "bulkhead.yaml"


def dialogue() -> list[tuple[str, str]]:
    parts = [part for kind, text in BLOCKS if kind == "console" for part in f"\n{text}".split("\n$ ")[1:]]
    return [(command, output.strip()) for command, _, output in (part.partition("\n") for part in parts)]


@pytest.mark.parametrize(("command", "output"), dialogue(), ids=[command[17:] for command, _ in dialogue()])
def test_the_page_says_what_the_program_says(
    site: Path, capsys: pytest.CaptureFixture[str], command: str, output: str
) -> None:
    program, noun, *arguments = shlex.split(command)
    assert (program, noun) == ("bulkhead", "explain")
    code = run([noun, "--config", str(site), *arguments])
    assert capsys.readouterr().out.strip() == output
    assert code == (0 if output.startswith("allowed") else 1)


def test_the_site_of_the_page_passes_its_own_check(site: Path) -> None:
    assert run(["check", "--config", str(site)]) == 0


def test_check_tells_of_lines_that_the_broker_makes_pointless(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = site.parent / "policies/surfaces/uns.yaml"
    text = file.read_text()
    assert 'command: ["spBv1.0' in text
    file.write_text(text.replace('command: ["spBv1.0', 'publish: ["spBv1.0'))
    assert run(["check", "--config", str(site)]) == 0
    assert "is about command topics alone, and there the verb is command" in capsys.readouterr().out


def test_explain_proposes_all_that_a_retained_message_needs(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--config", str(site), "--who", "mes", "--to", "uns", "mqtt publish a/b retained"]) == 1
    assert 'mqtt: { publish: ["a/b"], retain: ["a/b"] }' in capsys.readouterr().out
