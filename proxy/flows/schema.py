"""The file of flows: one table of one SQLite file, and its version."""

from __future__ import annotations

VERSION = 1
"""``PRAGMA user_version``. A file of another version is left alone."""

COLUMNS = (
    "who",
    "attributes",
    "evidence",
    "device",
    "protocol",
    "low",
    "high",
    "allowed",
    "code",
    "rule",
    "at",
    "would",
    "would_code",
    "would_rule",
    "policy",
    "count",
    "first",
    "last",
)
"""As `proxy.flows.row.FlowRow` has them, in its order; ``device`` is its ``to``, the lists are JSON."""

CREATE = """
CREATE TABLE IF NOT EXISTS flow (
  id TEXT PRIMARY KEY,
  who TEXT NOT NULL,
  attributes TEXT NOT NULL,
  evidence TEXT NOT NULL,
  device TEXT NOT NULL,
  protocol TEXT NOT NULL,
  low TEXT NOT NULL,
  high TEXT NOT NULL,
  allowed INTEGER NOT NULL,
  code TEXT NOT NULL,
  rule TEXT NOT NULL,
  at TEXT NOT NULL,
  would INTEGER,
  would_code TEXT NOT NULL,
  would_rule TEXT NOT NULL,
  policy TEXT NOT NULL,
  count INTEGER NOT NULL,
  first REAL NOT NULL,
  last REAL NOT NULL,
  smallest REAL NOT NULL,
  largest REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS flow_of ON flow (who, last);
CREATE INDEX IF NOT EXISTS flow_last ON flow (last);
"""

_ALL = ("id", *COLUMNS, "smallest", "largest")

MERGE = f"""
INSERT INTO flow ({", ".join(_ALL)}) VALUES ({", ".join("?" * len(_ALL))})
ON CONFLICT (id) DO UPDATE SET
  low = CASE WHEN excluded.smallest < smallest THEN excluded.low ELSE low END,
  high = CASE WHEN excluded.largest > largest THEN excluded.high ELSE high END,
  smallest = min(smallest, excluded.smallest),
  largest = max(largest, excluded.largest),
  at = excluded.at,
  policy = excluded.policy,
  count = count + excluded.count,
  first = min(first, excluded.first),
  last = max(last, excluded.last)
"""  # noqa: S608 - made of the names above

SELECT = f"SELECT {', '.join(COLUMNS)} FROM flow WHERE last >= ? ORDER BY who, device, protocol, rule, low, id"  # noqa: S608
OLD = "DELETE FROM flow WHERE last < ?"
OLDEST = "DELETE FROM flow WHERE id IN (SELECT id FROM flow ORDER BY last LIMIT ?)"
OLDEST_OF = "DELETE FROM flow WHERE id IN (SELECT id FROM flow WHERE who = ? ORDER BY last LIMIT ?)"
