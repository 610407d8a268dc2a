"""`bulkhead check` and `bulkhead schema` as people and machines call them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.main import NOUNS, run
from proxy.site import Finding

TOP = Path(__file__).parents[2]
SURFACE = "policies/surfaces/cell.yaml"

FILES = {
    "bulkhead.yaml": """\
---
site: plant
listeners:
  cell: { bind: "10.0.0.1:802", protocol: modbus, to: plc, tls: { clients: required } }
...
""",
    "fingerprints/devices/plc.yaml": """\
---
device: plc
kind: plc
address: 10.3.0.11
services:
  modbus: { port: 502 }
...
""",
    "fingerprints/devices/scada.yaml": "---\ndevice: scada\nkind: server\n...\n",
    SURFACE: """\
---
surface: cell
members: [plc]
rules:
  counters:
    from: scada
    to: plc
    modbus: { read: [holding 0-99] }
never:
  programs: { to: plc, modbus: { function: [90] } }
tests:
  - { who: scada, to: plc, modbus: read holding 5, expect: allow, because: counters }
  - { who: scada, to: plc, modbus: write holding 5 = 1, expect: refuse, because: default }
...
""",
}
"""File -> text of a site without any finding."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The site, with the current folder in it and no settings in the environment."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("BULKHEAD_"):
            monkeypatch.delenv(name)
    return tmp_path


def edit(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_clean_site(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check"]) == 0
    assert capsys.readouterr() == ("", "0 errors, 0 warnings\n")


def test_warnings_leave_it_usable(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, "fingerprints/devices/plc.yaml", "10.3.0.11", "127.0.0.1")
    assert run(["check"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("fingerprints/devices/plc.yaml:4:10: address: warning: 127.0.0.1 is this machine itself;")
    assert err == "0 errors, 1 warning\n"


def test_findings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, SURFACE, "from: scada", "form: scada")
    edit(folder, "bulkhead.yaml", "to: plc", "to: plk")
    assert run(["check"]) == 1
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert first.startswith("bulkhead.yaml:4:55: listeners.cell.to: there is no device plk; did you mean plc?; ")
    assert second.startswith(f"{SURFACE}:6:5: rules.counters.form: unknown key 'form'; did you mean from?; known here:")
    assert err == "2 errors, 0 warnings\n"


def test_a_failing_policy_test_is_a_finding(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, SURFACE, "read holding 5, expect: allow", "read holding 100, expect: allow")
    assert run(["check"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("policies/surfaces/cell.yaml:12:5: tests[0]: ") and "expected allow, got refuse" in line


def test_a_rule_without_effect_is_a_warning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = "  again:\n    from: scada\n    to: plc\n    modbus: { read: [holding 0-99] }\nnever:"
    edit(folder, SURFACE, "never:", more)
    assert run(["check"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("policies/surfaces/cell.yaml:9:3: rules.again: warning: ")


def test_a_rule_in_a_protocol_that_its_device_does_not_speak_is_a_warning(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = "  odd: { from: scada, to: plc, mqtt: { subscribe: [a], publish: [b] } }\n"
    edit(folder, SURFACE, "never:\n", f"{odd}never:\n")
    assert run(["check"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(
        f"{SURFACE}:9:3: rules.odd: warning: plc has no service mqtt; name it under services: of plc"
    )


def test_files_are_named_as_seen_from_here(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, SURFACE, "from: scada", "from: nobody")
    os.chdir(folder / "policies")
    assert run(["check", "--config", "../bulkhead.yaml"]) == 1
    assert capsys.readouterr().out.startswith("../policies/surfaces/cell.yaml:6:11: ")
    assert run(["check", "--config", str(folder / "bulkhead.yaml")]) == 1
    assert capsys.readouterr().out.startswith(f"{folder}/policies/surfaces/cell.yaml:6:11: ")


def test_config_from_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    os.chdir("/")
    monkeypatch.setenv("BULKHEAD_CONFIG", str(folder / "bulkhead.yaml"))
    monkeypatch.setenv("BULKHEAD_LIMITS__LINKS", "many")
    assert run(["check"]) == 1
    assert "BULKHEAD_LIMITS__LINKS:1:1: limits.links: must be a whole number" in capsys.readouterr().out


def test_environment_faults(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--config", "elsewhere.yaml"]) == 3
    assert capsys.readouterr().out == "elsewhere.yaml:1:1: the file does not exist; create it\n"
    (folder / "empty").mkdir()
    os.chdir(folder / "empty")
    if not Path("/etc/bulkhead/bulkhead.yaml").exists():
        assert run(["check"]) == 3
        assert "no site here" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_we_may_not_read(folder: Path) -> None:
    (folder / SURFACE).chmod(0)
    assert run(["check"]) == 3


def test_an_io_error_is_the_environment(folder: Path) -> None:
    """A link to itself cannot be opened, whoever asks."""
    (folder / SURFACE).unlink()
    (folder / SURFACE).symlink_to("cell.yaml")
    assert run(["check"]) == 3


def test_an_empty_file_is_a_finding(folder: Path) -> None:
    (folder / SURFACE).write_text("")
    assert run(["check"]) == 1


@pytest.mark.parametrize(
    "words", [["check", "-o", "xml"], ["check", "--confg"], ["chek"], ["schema", "devise"], ["schema"]]
)
def test_usage(words: list[str], folder: Path) -> None:
    assert run(words) == 2


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "-o", "json"]) == 0
    clean = json.loads(capsys.readouterr().out)
    assert (clean["apiVersion"], clean["kind"], clean["ok"], clean["site"]) == (
        "bulkhead/v1",
        "CheckResult",
        True,
        "plant",
    )
    assert clean["problems"] == [] and len(clean["digest"]) == 64
    edit(folder, SURFACE, "from: scada", "from: sacda")
    assert run(["check", "-o", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["errors"], found["warnings"], found["digest"]) == (False, 1, 0, None)
    assert found["problems"] == [
        {
            "severity": "error",
            "code": "BH-1806",
            "file": SURFACE,
            "line": 6,
            "column": 11,
            "path": "rules.counters.from",
            "wrong": "there is no device sacda",
            "nearest": "scada",
            "mend": "write the name of a device of this site",
        }
    ]


def test_github(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, SURFACE, "from: scada", 'from: "100%,:"')
    assert run(["check", "-o", "github"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line == (
        "::error file=policies/surfaces/cell.yaml,line=6,col=11,title=BH-1805::rules.counters.from: '100%25,:' is not "
        "a speaker; write a device, a pattern such as mes-*, role:NAME, mbaps:ROLE or mbaps-null"
    )


def test_github_escapes_file_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "policies/surfaces/a,b:c%.yaml").write_text("")
    assert run(["check", "-o", "github"]) == 1
    assert capsys.readouterr().out.startswith(
        "::error file=policies/surfaces/a%2Cb%3Ac%25.yaml,line=1,col=1,title=BH-1802::"
    )


def sarif(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(capsys.readouterr().out)
    return log


def test_sarif(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The parts that SARIF 2.1.0 requires (3.13, 3.14, 3.18, 3.19, 3.27, 3.28) and that code hosts look at."""
    edit(folder, SURFACE, "from: scada", "from: sacda")
    edit(folder, "fingerprints/devices/plc.yaml", "10.3.0.11", "127.0.0.1")
    assert run(["check", "-o", "sarif"]) == 1
    log = sarif(capsys)
    assert log["version"] == "2.1.0"
    (one,) = log["runs"]
    driver = one["tool"]["driver"]
    assert driver["name"] == "bulkhead"
    assert [rule["id"] for rule in driver["rules"]] == [finding.code for finding in Finding]
    assert [result["level"] for result in one["results"]] == ["warning", "error"]
    for result in one["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert place["artifactLocation"]["uri"] in FILES
        assert place["region"]["startLine"] >= 1 and place["region"]["startColumn"] >= 1


def test_sarif_of_a_clean_site(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "-o", "sarif"]) == 0
    assert sarif(capsys)["runs"][0]["results"] == []


def test_codes_are_unique_and_of_the_family() -> None:
    codes = [finding.code for finding in Finding]
    assert len(codes) == len(set(codes))
    assert all(code.startswith("BH-18") for code in codes)


def test_schema_writes_and_prints_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "--write", "made/here"]) == 0
    written = sorted(path.name for path in (folder / "made/here").iterdir())
    kinds = ("bulkhead", "device", "role", "shift", "surface", "test", "window")
    assert written == [f"{name}.schema.json" for name in kinds]
    capsys.readouterr()
    assert run(["schema", "surface"]) == 0
    assert capsys.readouterr().out == (folder / "made/here/surface.schema.json").read_text()


def test_schema_where_nothing_can_be_written(folder: Path) -> None:
    assert run(["schema", "--write", "/proc/nowhere"]) == 3


def test_the_demo_site_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--config", str(TOP / "bulkhead.yaml")]) == 0, capsys.readouterr().out
    assert all("is this machine itself" in line for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_is_there(noun: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([noun, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: bulkhead {noun} ")


def test_help_imports_nothing_of_a_noun() -> None:
    """Completion and help stay quick: no models, no YAML, no cryptography."""
    code = (
        "import sys\nfrom proxy.cli.main import run\nassert run(['--help']) == 0\n"
        "heavy = {'pydantic', 'yaml', 'proxy.site', 'casbin', 'cryptography', 'aiohttp', 'uvloop'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=TOP)
    assert done.returncode == 0, done.stderr
    assert "check" in done.stdout and "schema" in done.stdout


def test_a_reader_that_goes_away_gets_no_traceback(folder: Path) -> None:
    more = "".join(f"  r{n}: {{ from: nobody-{n}, to: plc, modbus: {{ read: all }} }}\n" for n in range(2000))
    edit(folder, SURFACE, "rules:\n", f"rules:\n{more}")
    bulkhead = f"{sys.executable} -c 'from proxy.cli.main import main; main()'"
    done = subprocess.run(f"{bulkhead} check | head -1", shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
