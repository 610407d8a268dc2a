"""A file of flows as a gateway leaves it, with rows that a test makes up."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from proxy.flows import schema
from proxy.flows.row import FlowRow

SUNDAY = 1_795_305_600.0
"""2026-11-22 00:00 UTC."""


def row(
    who: str,
    to: str,
    text: str,
    high: str = "",
    *,
    protocol: str = "modbus",
    allowed: bool = True,
    code: str = "",
    rule: str = "cell-3/counters",
    at: str = "policies/surfaces/cell-3.yaml:7",
    would: bool | None = None,
    would_code: str = "",
    evidence: tuple[str, ...] = ("x509",),
    attributes: tuple[str, ...] = (),
    policy: str = "",
    count: int = 1,
    first: float = SUNDAY,
    last: float = SUNDAY + 3600,
) -> FlowRow:
    return FlowRow(
        who=who,
        attributes=attributes,
        evidence=evidence,
        to=to,
        protocol=protocol,
        low=text,
        high=high or text,
        allowed=allowed,
        code=code,
        rule=rule,
        at=at,
        would=would,
        would_code=would_code,
        would_rule="",
        policy=policy,
        count=count,
        first=first,
        last=last,
    )


def write_flows(path: Path, rows: Iterable[FlowRow]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(schema.CREATE)
        db.execute(f"PRAGMA user_version = {schema.VERSION}")
        for at, one in enumerate(rows):
            values = (
                *(
                    one.who,
                    json.dumps(one.attributes),
                    json.dumps(one.evidence),
                    one.to,
                    one.protocol,
                    one.low,
                    one.high,
                ),
                *(one.allowed, one.code, one.rule, one.at, one.would, one.would_code, one.would_rule, one.policy),
                *(one.count, one.first, one.last),
            )
            names = ", ".join(("id", *schema.COLUMNS, "smallest", "largest"))
            marks = ", ".join("?" * (len(values) + 3))
            db.execute(f"INSERT INTO flow ({names}) VALUES ({marks})", (f"{at}", *values, 0.0, 0.0))
