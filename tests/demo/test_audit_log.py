"""The follower of the audit log: whole lines, all segments, and patience until a connection has its last record."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest

from proxy.demo.audit_log import AuditLog

if TYPE_CHECKING:
    from pathlib import Path

PEER = "127.0.0.66:4711"


def line(what: str, peer: str = PEER, **more: object) -> str:
    return json.dumps({"what": what, "peer": peer, **more}) + "\n"


def test_only_what_is_new_and_whole_is_given(tmp_path: Path) -> None:
    segment, log = tmp_path / "1.jsonl", AuditLog(tmp_path)
    text = line("connect", verdict="allow") + line("close")
    segment.write_text(text[:-5])
    assert [record["what"] for record in log.refresh()] == ["connect"]
    segment.write_text(text)
    assert [record["what"] for record in log.refresh()] == ["close"]
    (tmp_path / "2.jsonl").write_text(line("start"))
    assert [record["what"] for record in log.refresh()] == ["start"]
    assert log.refresh() == []


def test_waiting_for_one_connection_hides_no_other_from_the_reader(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    (tmp_path / "1.jsonl").write_text(line("refuse", peer="127.0.0.1:1") + line("close"))
    assert len(log.of({PEER})) == 1
    assert [record["peer"] for record in log.refresh()] == ["127.0.0.1:1", PEER]
    assert log.refresh() == []


def test_a_port_that_is_used_again_is_another_connection(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    segment = tmp_path / "1.jsonl"
    segment.write_text(line("refuse", reason="BH-1103") + line("close"))
    assert len(log.of({PEER})) == 2
    log.forget()
    with segment.open("a") as file:
        file.write(line("close", reason="BH-1201"))
    assert [record.get("reason") for record in log.of({PEER})] == ["BH-1201"]
    assert len(log.refresh()) == 3


STRANGER = line("connect", verdict="refuse", reason="BH-1001", protocol="modbus", evidence=["x509"])
"""On mbaps its link stays."""


def test_a_stranger_who_is_answered_is_not_gone_yet(tmp_path: Path) -> None:
    segment, log = tmp_path / "1.jsonl", AuditLog(tmp_path)
    segment.write_text(STRANGER)

    def end() -> None:
        with segment.open("a") as file:
            file.write(line("refuse", reason="BH-1201") + line("close", allowed={"c/r": 1}))

    later = threading.Timer(0.2, end)
    later.start()
    assert [record["what"] for record in log.of({PEER})] == ["connect", "refuse", "close"]
    later.join()


@pytest.mark.parametrize("last", [line("close"), line("connect", verdict="refuse", reason="BH-1001"), line("connect")])
def test_it_waits_for_the_last_record_of_each_connection(tmp_path: Path, last: str) -> None:
    segment, log = tmp_path / "1.jsonl", AuditLog(tmp_path)
    segment.write_text(line("refuse", reason="BH-1201") + line("close", peer="127.0.0.10:1"))

    def end() -> None:
        with segment.open("a") as file:
            file.write(last)

    later = threading.Timer(0.2, end)
    later.start()
    began = time.monotonic()
    records = log.of({PEER})
    assert 0.1 < time.monotonic() - began < 2
    later.join()
    assert len(records) == 2
    assert {record["peer"] for record in records} == {PEER}
