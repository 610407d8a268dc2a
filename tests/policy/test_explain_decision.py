"""`bulkhead explain ID`: a record of the log, what was answered then, and what the files here answer to the same."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from proxy.audit import ulid
from proxy.audit.chain import Chain
from proxy.audit.record import Record, Subject
from proxy.cli.main import run
from proxy.core.events import Event
from proxy.core.facts import ConnFacts
from proxy.core.origin import Origin, RuleRef
from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.policy.shadowed import compile_shadowed
from proxy.versions.store import Version, Versions
from tests.policy.small_site import load, write_site
from tests.policy.toy import who

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.core.principal import Principal

THEN = datetime.fromisoformat("2026-11-23T02:00:00+00:00").timestamp()
FILE = "policies/surfaces/cell-3.yaml"
SETPOINT = RuleRef("cell-3", "setpoint", Origin(FILE, 8))
DEFAULT = RuleRef("cell-3", "default", Origin(FILE, 1))
SHIFT = 'shift: early\nzone: Europe/Berlin\ndays: [mon]\nfrom: "06:00"\nto: "14:00"\n'


@dataclass
class Log:
    """Records as the gateway writes them, and the command that explains them."""

    folder: Path
    config: Path
    capsys: pytest.CaptureFixture[str]
    chain: Chain = field(default_factory=Chain)

    def record(
        self,
        action: str,
        verdict: Verdict | None,
        speaker: Principal | None = None,
        *,
        what: str = "refuse",
        policy: str = "0123456789abcdef",
        to: str = "plc-3a",
    ) -> str:
        """The id of a new record."""
        facts = ConnFacts(listener="cell-3", peer_ip="10.3.0.30", peer_port=50312)
        principal = speaker or who("scada", "x509")
        subject = Subject(link=17, facts=facts, principal=principal, to=to, protocol="modbus", policy=policy)
        record = Record.of(Event(what, verdict=verdict, action=action), subject)
        record.id = (int(THEN * 1000) << 80) + self.chain.n
        record.time = THEN
        audit = self.folder / "var" / "audit"
        audit.mkdir(parents=True, exist_ok=True)
        with (audit / "20261123T010000Z-000001.jsonl").open("ab") as file:
            file.write(self.chain.seal(record))
        return ulid.text(record.id)

    def explain(self, id: str, *more: str) -> tuple[int, str, str]:
        code = run(["explain", "--config", str(self.config), *more, id])
        told = self.capsys.readouterr()
        return code, told.out, told.err

    def data(self, id: str, *more: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.explain(id, "-o", "json", *more)[1])
        return found


@pytest.fixture
def log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Log:
    return Log(tmp_path, write_site(tmp_path), capsys)


def refused(reason: Reason, detail: str = "", rule: RuleRef = SETPOINT, nearest: RuleRef | None = None) -> Verdict:
    return Verdict(rule, reason, detail=detail, nearest=nearest)


def test_a_refusal_is_found_and_asked_again(log: Log) -> None:
    log.record("read holding 5 [40006] (unit 1)", refused(Reason.DEFAULT_DENY))
    detail = "write holding 40 in 0..1400"
    id = log.record("write holding 40 [40041] = 1450 (unit 1)", refused(Reason.VALUE_OUTSIDE, detail))
    code, out, _ = log.explain(id)
    assert code == 0, "the window is wider here"
    before, _, after = out.partition("\n\nThe files here answer, as at 2026-11-23T02:00:00.000Z:\n\n")
    assert before.splitlines() == [
        f"decision  {id}  2026-11-23T02:00:00.000Z  20261123T010000Z-000001.jsonl:2",
        "  what      refuse at listener cell-3",
        "  asked     modbus write holding 40 [40041] = 1450 (unit 1)",
        "  who       scada, showing x509",
        "  to        plc-3a",
        "  answered  refused BH-1205: a value is outside the allowed window (write holding 40 in 0..1400)",
        "  rule      cell-3/setpoint  policies/surfaces/cell-3.yaml:8",
        "  policy    0123456789ab, which is not in the history of this site; the files here say something else",
    ]
    assert after.startswith("allowed\n")
    data = log.data(id)
    assert data["allowed"]
    assert data["decision"]["record"]["reason"] == "BH-1205"
    assert data["decision"]["asked_again"]
    assert data["decision"]["same_policy"] is False


def test_who_asked_showed_what_it_showed(log: Log) -> None:
    """The question is put with the evidence of then, not with all that binds the speaker."""
    operator = who(None, "x509", attributes=["mbaps:Operator"])
    id = log.record("write coil 3 [00004] = 1 (unit 1)", refused(Reason.DEFAULT_DENY, rule=DEFAULT), operator)
    told = log.data(id)
    assert told["allowed"]
    assert told["rule"]["name"] == "valves"
    bare = log.record(
        "write holding 40 [40041] = 5 (unit 1)", refused(Reason.EVIDENCE_TOO_WEAK), who("scada", "mac_ip")
    )
    told = log.data(bare)
    assert told["identity"]["code"] == "BH-1002"
    assert {"kind": "x509", "outcome": "absent", "note": "assumed"} in told["evidence"]
    assert log.data(bare, "--evidence", "x509")["allowed"]


def test_the_hours_are_those_of_then(log: Log) -> None:
    surface = log.folder / FILE
    surface.write_text(surface.read_text().replace("    rate: 6/min\n", "    when: early\n"))
    (log.folder / "policies/shifts").mkdir()
    (log.folder / "policies/shifts/early.yaml").write_text(SHIFT)
    id = log.record("write holding 40 [40041] = 5 (unit 1)", Verdict(SETPOINT), what="act")
    told = log.data(id)
    assert (told["code"], told["at"]) == ("BH-1401", "2026-11-23T02:00:00Z")
    assert "  answered  allowed\n" in log.explain(id)[1]
    assert log.data(id, "--at", "2026-11-23T07:00:00+01:00")["allowed"]


def test_a_spent_rate_says_when_there_is_room(log: Log) -> None:
    id = log.record("write holding 40 [40041] = 5 (unit 1)", refused(Reason.RATE_SPENT, "6 in 60 s"))
    code, out, _ = log.explain(id)
    assert code == 0
    mend = "wait, 60 s at most, until the oldest does not count any more; or allow more in rule setpoint"
    assert f"  mend      {mend} (policies/surfaces/cell-3.yaml:8)" in out
    assert log.data(id)["decision"]["mend"].startswith("wait, 60 s at most")


@pytest.mark.parametrize(
    ("action", "verdict", "what", "to", "says"),
    [
        ("", refused(Reason.NO_CONNECT_RULE, rule=DEFAULT), "connect", "plc-3a", "whether the link may open at all"),
        ("", None, "close", "plc-3a", "Nothing was asked of the policy here"),
        (
            "read holding 5; ...",
            refused(Reason.PART_REFUSED),
            "refuse",
            "plc-3a",
            "only the beginning of what was asked",
        ),
        ("write holding 5 = " + "1, " * 90, refused(Reason.DEFAULT_DENY), "refuse", "plc-3a", "only the beginning"),
        ("read holding 5", refused(Reason.DEFAULT_DENY), "refuse", "plc-9", "there is no device plc-9 here"),
        ("function 99", refused(Reason.UNKNOWN_FUNCTION), "refuse", "plc-3a", "not in the words of this version's"),
    ],
)
def test_what_cannot_be_asked_again(
    log: Log, action: str, verdict: Verdict | None, what: str, to: str, says: str
) -> None:
    id = log.record(action, verdict, what=what, to=to)
    code, out, _ = log.explain(id)
    assert code == 0
    assert out.startswith(f"decision  {id}  ")
    assert says in out.splitlines()[-1]
    assert log.data(id)["decision"]["asked_again"] is False


def test_a_hostile_record_writes_nothing_on_the_terminal(log: Log) -> None:
    id = log.record("read \x1b[31mholding 5", refused(Reason.DEFAULT_DENY, "\x1b]0;x\x07"))
    out = log.explain(id)[1]
    assert "\x1b" not in out
    assert "\\x1b[31mholding 5" in out


def test_wrong_ids(log: Log) -> None:
    missing = "0" * 26
    code, _, err = log.explain(missing)
    assert code == 3
    assert "no gateway wrote here" in err
    id = log.record("read holding 5", refused(Reason.DEFAULT_DENY))
    code, _, err = log.explain(missing)
    assert code == 2
    assert f"no record {missing} in " in err
    assert log.explain(id.lower())[1].startswith(f"decision  {id}  ")
    assert log.explain(id, "--who", "scada")[0] == 2
    assert log.explain("modbus read holding 5", "--who", "scada")[0] == 2
    assert log.explain("modbus read holding 5", "--to", "plc-3a")[0] == 2


def test_half_a_line_at_the_end_is_being_written(log: Log) -> None:
    id = log.record("read holding 5", refused(Reason.DEFAULT_DENY))
    with (log.folder / "var/audit/20261123T010000Z-000001.jsonl").open("ab") as file:
        file.write(b'{"prev":"00","n":9,"id":"' + b"1" * 26)
    assert log.explain("1" * 26)[0] == 2
    assert log.explain(id)[1].startswith("decision")


def test_whether_the_policy_of_then_is_in_force(log: Log) -> None:
    site = load(log.config)
    digest = compile_shadowed(site.surfaces, site.roles, site.devices, site.hours, now=THEN).digest
    id = log.record("read holding 500", refused(Reason.DEFAULT_DENY, rule=DEFAULT), policy=digest)
    versions = Versions(log.folder / "var" / "policy")
    policy = f"  policy    {digest[:12]}, which "
    for now_in_force, standing in (
        (Version("a" * 16, digest, THEN, "start"), "is in force"),
        (Version("b" * 16, "f" * 64, THEN + 9, "reload"), "is not in force any more"),
    ):
        versions.folder.mkdir(parents=True, exist_ok=True)
        versions.mark(now_in_force, now_in_force.id * 4)
        assert f"{policy}{standing}; the files here say the same" in log.explain(id)[1].splitlines()
        assert log.data(id)["decision"]["same_policy"] is True
