"""`bulkhead policy monitor`, and docs/policy-monitor.md: what the page says was said is put to the policy of the page,
recorded as a gateway does, and read again."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from proxy.cli.main import run
from proxy.cli.site import protocols
from proxy.core.events import Event
from proxy.core.facts import ConnFacts
from proxy.flows.book import Book
from proxy.flows.store import FlowStore
from proxy.gateway.watch import Watch
from proxy.journal import AuditJournal
from proxy.policy.assume import assumed
from proxy.policy.shadowed import Shadowed, compile_shadowed
from proxy.site import Site, load_site
from proxy.telemetry.counters import Counters
from proxy.versions.store import Version, Versions
from proxy.versions.tree import read_tree

if TYPE_CHECKING:
    from proxy.audit.record import Record

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "policy-monitor.md").read_text()
SAID = re.compile(r"^\| ([\w-]+) \| ([\w-]+) \| (\w+) ([^|]+?) \| (\d+) \|$", re.MULTILINE)
FILE = re.compile(r"```yaml\n# (?P<name>\S+)\n(?P<text>.*?)```", re.DOTALL)
CONSOLE = re.compile(r"```console\n\$ (?P<command>.*?)\n(?P<printed>.*?)```", re.DOTALL)
UNTIL = re.compile(r'until: "[^"]*"')
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
Said = tuple[str, str, str, str, int]


@dataclass
class Link:
    """As much of one as the journal looks at; ``tally`` is its inspector's."""

    principal: Any
    watch: Watch
    entrance: Any
    number: int = 1
    facts: ConnFacts = field(default_factory=lambda: ConnFacts("door", "127.0.0.1", 1))
    counted: Counter[Hashable] = field(default_factory=Counter)

    @property
    def inspector(self) -> Link:
        return self

    def tally(self) -> Mapping[Hashable, int]:
        return self.counted


@dataclass
class Named:
    """An entrance: whose id and name are asked for."""

    id: str
    name: str

    @property
    def device(self) -> Named:
        return self

    @property
    def protocol(self) -> Named:
        return self


class Writer:
    def record(self, record: Record) -> None:
        """Nobody reads the log here."""


def record_flows(site: Site, said: Iterable[Said], path: Path) -> Shadowed:
    """What was said, put to what is in force and to what is in monitor, as the flows of one gateway."""
    policy = compile_shadowed(site.surfaces, site.roles, site.devices, site.hours, now=time.time())
    book = Book()
    journal = AuditJournal(cast(Any, Writer()), Counters(), policy.digest, time.monotonic, time.time, book)
    for number, (who, to, protocol, text, times) in enumerate(said):
        principal = assumed(who, site.devices, None)
        link = Link(principal, Watch(policy.open(principal, to, protocol)), Named(to, protocol), number)
        journal.opened(cast(Any, link))
        for _ in range(times):
            verdict = link.watch.decide(protocols()[protocol].parse_actions(text), time.monotonic())
            if verdict.allowed:
                link.counted[verdict.tag] += 1
            else:
                journal.event(cast(Any, link), to, Event("refuse", verdict=verdict))
        journal.flows(cast(Any, link))
    store = FlowStore(path, lambda protocol, asked: protocols()[protocol].text_of(asked))
    store.start()
    store.close(book)
    assert store.problem == ""
    return policy


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    until = time.strftime('until: "%Y-%m-%dT%H:%M:%SZ"', time.gmtime(time.time() + 7 * 86400))
    for file in FILE.finditer(PAGE):
        path = tmp_path / file["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {file['name']}\n{UNTIL.sub(until, file['text'])}")
    (tmp_path / "var").mkdir()
    monkeypatch.setenv("BULKHEAD_CONFIG", str(tmp_path / "bulkhead.yaml"))
    return tmp_path / "bulkhead.yaml"


def loaded(config: Path) -> Site:
    site = load_site(config, protocols(), {}).site
    assert site is not None
    return site


def said_on_the_page() -> list[Said]:
    found = [(who, to, protocol, text, int(times)) for who, to, protocol, text, times in SAID.findall(PAGE)]
    assert len(found) == PAGE.count("| modbus ")
    return found


def test_the_page_says_what_the_program_says(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_flows(loaded(config), said_on_the_page(), config.parent / "var" / "flows.sqlite")
    assert run(["check"]) == 0
    capsys.readouterr()
    ((command, printed),) = CONSOLE.findall(PAGE)
    program, *arguments = shlex.split(command)
    assert program == "bulkhead"
    assert run(arguments) == 1
    assert TIME.sub("<time>", capsys.readouterr().out.strip()) == TIME.sub("<time>", printed.strip())


def test_as_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = record_flows(loaded(config), said_on_the_page(), config.parent / "var" / "flows.sqlite")
    assert run(["policy", "monitor", "-o", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["apiVersion"], told["kind"]) == ("bulkhead/v1", "PolicyMonitor")
    sums = {one["rule"]: (one["would_refuse"], one["would_allow"]) for one in told["monitored"]}
    assert sums == {"cell-3/lower": (3, 0), "cell-3/recipes": (0, 6), "cell-4/monitor": (12, 0)}
    for one in policy.monitored:
        figures = policy.counts.of(one.ref)
        assert sums[str(one.ref)] == (figures.would_refuse, figures.would_allow), "the metrics say the same"
    (flow,) = told["monitored"][0]["flows"]
    assert (flow["low"], flow["high"], flow["would"]) == ("write holding 40 = 1250", "write holding 40 = 1400", False)
    assert TIME.fullmatch(flow["first"]) and TIME.fullmatch(told["since"])
    assert told["monitored"][0]["monitor"]["then"] == "enforce"


def test_nothing_otherwise(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_flows(
        loaded(config), [("scada", "plc-3a", "modbus", "read holding 1", 3)], config.parent / "var/flows.sqlite"
    )
    assert run(["policy", "monitor"]) == 0
    said = capsys.readouterr().out
    assert said.count("would answer nothing otherwise") == 3


def test_what_is_in_monitor_no_more_is_still_shown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_flows(loaded(config), said_on_the_page(), config.parent / "var" / "flows.sqlite")
    cell = config.parent / "policies" / "surfaces" / "cell-3.yaml"
    cell.write_text(cell.read_text().replace("  lower: ", "  least: "))
    assert run(["policy", "monitor"]) == 1
    assert "cell-3/lower  (in monitor no more)" in capsys.readouterr().out


def test_a_broken_site_does_not_hide_what_was_recorded(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_flows(loaded(config), said_on_the_page(), config.parent / "var" / "flows.sqlite")
    (config.parent / "policies" / "surfaces" / "cell-4.yaml").write_text("surface: [")
    assert run(["policy", "monitor"]) == 1
    out = capsys.readouterr()
    assert "would refuse 3 messages of 1 flow" in out.out and "not valid" in out.err


def test_files_that_are_not_in_force_are_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What only they watch was never counted: nothing otherwise means nothing then."""
    policy = record_flows(loaded(config), said_on_the_page(), config.parent / "var" / "flows.sqlite")
    versions = Versions(config.parent / "var" / "policy")
    tree = read_tree(config)
    versions.mark(Version(versions.keep(tree), policy.digest, 0.0, "start"), tree.id)
    assert run(["policy", "monitor"]) == 1
    assert "not in force" not in capsys.readouterr().err
    cell = config.parent / "policies" / "surfaces" / "cell-3.yaml"
    cell.write_text(cell.read_text().replace("max: 1200", "max: 1300"))
    assert run(["policy", "monitor"]) == 1
    assert "note: these files are not in force" in capsys.readouterr().err


def test_no_flows_at_all(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "monitor"]) == 3
    assert "no flows are recorded here" in capsys.readouterr().err


def test_what_devices_said_reaches_no_terminal_raw(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import sqlite3

    path = config.parent / "var" / "flows.sqlite"
    record_flows(loaded(config), said_on_the_page(), path)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE flow SET low = ?, high = low, would_rule = ?", ("\x1b[2Jowned\n", "x/\x9b31m"))
    assert run(["policy", "monitor"]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\x9b" not in out and "owned\\n" in out
