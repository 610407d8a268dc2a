"""Reads the file of flows, whether or not a gateway writes it at the moment."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from proxy.flows.row import FlowRow
from proxy.flows.schema import SELECT, VERSION

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 5.0
"""Seconds to wait for a writer that has the file to itself."""


class FlowsError(Exception):
    """There are no flows to be read; the text says why and what to do."""


def read_flows(path: Path, since: float | None = None) -> list[FlowRow]:
    """Every flow last seen at ``since`` (seconds since 1970) or later, in a fixed order. ``count`` is of all its time,
    not since then. Raises FlowsError."""
    if not path.exists():
        raise FlowsError(f"{path}: no flows are recorded here; a gateway does while it runs (`bulkhead run`)")
    try:
        with closing(_open(path)) as db:
            return [_row(values) for values in db.execute(SELECT, (0.0 if since is None else since,))]
    except (sqlite3.Error, ValueError) as error:
        raise FlowsError(f"{path}: the flows cannot be read: {error}") from None


def _open(path: Path) -> sqlite3.Connection:
    """Read-only. A reader of a WAL file needs its index beside it; where it may not write there and no gateway runs,
    the file is taken as it is."""
    place = f"file:{quote(str(path))}?mode=ro"
    db = sqlite3.connect(place, uri=True, timeout=PATIENCE)
    try:
        version = _version(db)
    except sqlite3.OperationalError:
        db.close()
        if path.with_name(f"{path.name}-wal").exists():
            raise
        db = sqlite3.connect(f"{place}&immutable=1", uri=True, timeout=PATIENCE)
        version = _version(db)
    if version != VERSION:
        db.close()
        raise ValueError(f"the file has version {version}, this Bulkhead reads {VERSION}")
    return db


def _version(db: sqlite3.Connection) -> int:
    db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _row(values: tuple[Any, ...]) -> FlowRow:
    who, attributes, evidence, *more = values
    (to, protocol, low, high, allowed, code, rule, at, would, *rest) = more
    return FlowRow(
        who,
        tuple(json.loads(attributes)),
        tuple(json.loads(evidence)),
        to,
        protocol,
        low,
        high,
        bool(allowed),
        code,
        rule,
        at,
        None if would is None else bool(would),
        *rest,
    )
