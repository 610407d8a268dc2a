"""`bulkhead policy show`: its page is replayed, and what it leaves out is told."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import casbin
import pytest
from casbin.persist.adapter import load_policy_line

from proxy.cli.main import run
from tests.docs.page import files, typed

if TYPE_CHECKING:
    from tests.docs.page import Typed

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "policy-show.md").read_text("utf-8")
SURFACE = "policies/surfaces/cell.yaml"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in files(PAGE).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["policy", "show", "-o", "json", *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["apiVersion"] == "bulkhead/v1"
    return found


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("one", typed(PAGE), ids=lambda one: one.command)
def test_the_page_says_what_the_program_says(capsys: pytest.CaptureFixture[str], one: Typed) -> None:
    program, *arguments = shlex.split(one.command)
    assert (program, run(arguments)) == ("bulkhead", 0)
    assert capsys.readouterr().out.strip() == one.printed


@pytest.mark.usefixtures("site")
def test_the_rows_of_the_page_load_into_casbin(capsys: pytest.CaptureFixture[str]) -> None:
    data = shown(capsys, "--casbin")
    made = casbin.Enforcer(casbin.Enforcer.new_model(text=data["model"]))
    for line in (*data["policy"], *(f"# {note}" for note in data["notes"])):
        load_policy_line(line, made.get_model())
    made.build_role_links()
    assert made.enforce("id:mes", "plc-1", "modbus", "read holding 0-99", "*")
    assert not made.enforce("id:mes", "plc-1", "modbus", "write holding 60-69", "shows proof of a key"), (
        "the page says so"
    )
    assert not made.enforce("id:scada", "plc-1", "modbus", "write holding 40 in 0..1500", "*")


def test_what_is_watched_allows_nothing_and_is_told(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (site / SURFACE).read_text("utf-8")
    watched = '    mode: monitor\n    monitor: { until: "2020-01-01T00:00:00Z", why: "new line", then: alarm }\n'
    (site / SURFACE).write_text(text.replace("    from: role:masters\n", f"    from: role:masters\n{watched}"), "utf-8")
    data = shown(capsys, "--casbin")
    assert not any("cell/counters" in line for line in data["policy"])
    (note,) = data["notes"]
    assert note == "not here, for it is only watched: cell/counters, until 2020-01-01T00:00:00Z, then alarm: new line"
    counters = shown(capsys)["surfaces"][0]["rules"][0]
    assert counters["monitor"] == {"until": "2020-01-01T00:00:00Z", "why": "new line", "then": "alarm"}
    assert run(["policy", "show"]) == 0
    assert "    watched    until 2020-01-01T00:00:00Z, then alarm: new line" in capsys.readouterr().out


def test_one_surface_and_what_it_uses(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "policies/surfaces/other.yaml").write_text(
        "surface: other\nmembers: [plc-1]\nrules:\n"
        "  all: { from: scada, to: plc-1, modbus: { read: [input 0] } }\n", "utf-8"
    )  # fmt: skip
    data = shown(capsys, "other")
    assert [one["surface"] for one in data["surfaces"]] == ["other"]
    assert (data["roles"], data["hours"]) == ([], [])
    assert [one["name"] for one in shown(capsys, "cell")["hours"]] == ["early"]
    assert len(shown(capsys)["surfaces"]) == 2
    rows = shown(capsys, "--casbin", "other")["policy"]
    assert [row.split(", ")[-1] for row in rows if row.startswith("p")] == ["allow", "deny"]


@pytest.mark.usefixtures("site")
def test_a_name_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "show", "cel"]) == 2
    assert "no surface is called 'cel'; did you mean 'cell'?" in capsys.readouterr().err
