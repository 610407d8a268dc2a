"""Fields of records, and that no text from outside can break a line or a terminal (T80)."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from proxy.audit.chain import LINE, Chain
from proxy.audit.merge import Merger
from proxy.audit.record import KINDS, TEXT_LIMIT, LinkFigures, Record, Subject
from proxy.core.events import Event
from proxy.core.facts import CertificateFacts, ConnFacts
from proxy.core.principal import Principal
from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from tests.audit.kit import ALLOW, DEFAULT, DENY, RULE, SCADA, certificate, note, refusal, subject

DOCS = Path(__file__).parents[2] / "docs" / "audit.md"


def sealed(record: Record) -> dict[str, object]:
    found: dict[str, object] = json.loads(Chain().seal(record))
    return found


def test_a_refusal_says_who_what_where_and_why() -> None:
    event = Event("refuse", reason=Reason.DEFAULT_DENY, action="write holding 41 = 9 (unit 1)", verdict=DENY)
    record = Record.of(event, subject())
    record.id, record.time = 1469922850259 << 80, 1_795_271_460.125
    assert sealed(record) == {
        "prev": "0" * 64,
        "n": 1,
        "id": "01ARZ3NDEK0000000000000000",
        "time": "2026-11-21T14:31:00.125Z",
        "what": "refuse",
        "listener": "cell-3-modbus",
        "link": 1,
        "who": "scada",
        "evidence": ["x509"],
        "attributes": ["mbaps:Operator"],
        "peer": "10.3.0.5:49153",
        "certificate": "ab" * 32,
        "to": "plc-3a",
        "protocol": "modbus",
        "policy": "3f2a9c0d1e4b",
        "action": "write holding 41 = 9 (unit 1)",
        "verdict": "refuse",
        "reason": "BH-1201",
        "slug": "default-deny",
        "rule": "cell-3/default",
        "at": "policies/surfaces/cell-3.yaml:1",
        "nearest": "cell-3/setpoint",
        "nearest_at": "policies/surfaces/cell-3.yaml:14",
    }


def test_the_reason_is_taken_from_the_verdict_if_the_event_has_none() -> None:
    assert sealed(Record.of(Event("refuse", verdict=DENY), subject()))["reason"] == "BH-1201"


def test_verdicts() -> None:
    assert sealed(Record("connect", subject(), verdict=ALLOW))["verdict"] == "allow"
    assert sealed(Record("act", subject(), verdict=ALLOW))["verdict"] == "allow"
    assert sealed(Record("connect", subject(), reason=Reason.TLS_FAILED))["verdict"] == "refuse"
    assert sealed(Record("malformed", subject()))["verdict"] == "refuse"
    # It broke during the handshake: nobody decided anything.
    assert "verdict" not in sealed(Record("connect", subject(), detail="the connection broke"))
    assert "verdict" not in sealed(Record("close", subject(), reason=Reason.IDLE))


def test_the_end_of_a_link_carries_its_sums() -> None:
    figures = LinkFigures({RULE: 120, DEFAULT: 1}, {Reason.DEFAULT_DENY: 3}, 1440, 2600, 12.34567)
    found = sealed(Record("close", subject(), figures=figures))
    assert found["allowed"] == {"cell-3/setpoint": 120, "cell-3/default": 1}
    assert found["refused"] == {"BH-1201": 3}
    assert (found["received_bytes"], found["sent_bytes"], found["seconds"]) == (1440, 2600, 12.346)


def test_a_shared_upstream_has_no_link_and_no_peer() -> None:
    found = sealed(Record("device", Subject(to="plc-3a", protocol="modbus"), reason=Reason.UPSTREAM_SILENT))
    assert found["to"] == "plc-3a"
    assert not {"link", "peer", "who", "listener"} & found.keys()


def test_an_ipv6_peer_is_bracketed() -> None:
    facts = ConnFacts("l", "2001:db8::1", 802)
    assert sealed(Record("connect", Subject(facts=facts)))["peer"] == "[2001:db8::1]:802"


hostile = st.text(st.characters(), max_size=400)


@given(hostile, hostile, hostile)
@example("x" * 201, "\U0001f600" * 500, "y" * 1000)
@example("\x1b[2J\x1b]0;owned\x07", 'x"}\n{"prev":"' + "0" * 64 + '","n":2}', "\u202e\u2028\x7f\x9b31m\ud800")
def test_t80_no_text_breaks_the_line_or_reaches_a_terminal_raw(action: str, detail: str, name: str) -> None:
    facts = ConnFacts("l", "10.0.0.1", 1, certificate=CertificateFacts(1, name, (name,), name, 0, 0, name))
    who = Principal(None, frozenset({f"mbaps:{name}"}))
    record = Record("refuse", Subject(facts=facts, principal=who), action=action, detail=detail)
    line = Chain().seal(record)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert all(0x20 <= byte < 0x7F for byte in line[:-1]), "only printable ASCII"
    assert LINE.fullmatch(line[:-1])
    found = json.loads(line)
    assert len(found.get("action", "")) <= TEXT_LIMIT and len(found.get("detail", "")) <= TEXT_LIMIT
    assert found.get("action", "") == (action if len(action) <= TEXT_LIMIT else action[: TEXT_LIMIT - 1] + "\u2026")


def test_a_record_that_cannot_be_written_is_replaced_and_stops_nothing() -> None:
    class Broken:
        def fields(self) -> dict[str, object]:
            return {"x": object()}

    chain = Chain()
    first = json.loads(chain.seal(Record("close", subject(), figures=Broken())))
    assert first["what"] == "close" and "could not be written: TypeError" in first["detail"]
    assert json.loads(chain.seal(note(1)))["n"] == 2


def test_tables_are_bounded() -> None:
    from proxy.core.origin import Origin, RuleRef

    rules = {RuleRef("s", f"r{i}", Origin("f", i)): i for i in range(1, 200)}
    allowed = sealed(Record("close", subject(), figures=LinkFigures(rules, {}, 0, 0, 0)))["allowed"]
    assert isinstance(allowed, dict)
    assert len(allowed) == 64
    assert sum(allowed.values()) == sum(rules.values())
    assert "s/r199" in allowed and "other" in allowed


def test_every_field_and_kind_is_documented() -> None:
    """Collects the fields that records of every kind have, and compares with the tables of docs/audit.md."""
    merger = Merger()
    repeated = refusal()
    assert merger.offer(repeated, 0.0)
    assert not any(merger.offer(refusal(), 0.1) for _ in range(2))
    figures = LinkFigures({RULE: 1}, {Reason.IDLE: 1}, 1, 1, 1.0)
    with_mac = Subject(
        facts=ConnFacts("l", "10.0.0.1", 1, mac="00:0e:8c:aa:bb:01", certificate=certificate()), principal=SCADA
    )
    from proxy.audit.figures import Gap, Retired

    verdict = Verdict(DEFAULT, Reason.DEFAULT_DENY)
    verdict.would = Verdict(RULE)
    watched = Record("refuse", subject(), verdict=verdict)
    assert (sealed(watched)["would"], sealed(watched)["would_rule"]) == ("allow", str(RULE))
    records = [
        refusal(),
        *merger.flush(),
        Record("close", subject(), figures=figures, detail="x"),
        Record("connect", with_mac),
        watched,
        Record("gap", figures=Gap({"refuse": 2})),
        Record("retired", figures=Retired(["a"], 4)),
    ]
    fields = {name for record in records for name in sealed(record)}
    text = DOCS.read_text()
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    assert documented == fields | set(KINDS)
