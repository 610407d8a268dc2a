"""What is compared when files change: as little as can be read, and as much as a monitored surface depends on."""

from __future__ import annotations

import time
from pathlib import Path

from proxy.change.judge import Question, judge
from proxy.cli.site import protocols
from proxy.versions.tree import Tree

CONFIG = (
    b'site: s\nlisteners:\n  c: { bind: "127.0.0.1:15020", protocol: modbus, to: plc, tls: { clients: required } }\n'
)
PLC = b"device: plc\nkind: plc\naddress: 10.3.0.11\nservices: { modbus: { port: 502 } }\n"
MES = b"device: mes\nkind: server\n"
REST = b"surface: rest\nmembers: [plc]\nrules:\n  other: { from: mes, to: plc, modbus: { read: [input 0] } }\n"
RULES = (
    "surface: cell\nmembers: [plc]\n{mode}rules:\n"
    "  counters: {{ from: mes, to: plc, modbus: {{ read: [holding 0] }} }}\n"
)
UNTIL = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))
MONITOR = f'mode: monitor\nmonitor: {{ until: "{UNTIL}", why: new, then: enforce }}\n'


def tree(mode: str, *, rest: bool) -> Tree:
    files = {
        "bulkhead.yaml": CONFIG,
        "fingerprints/devices/plc.yaml": PLC,
        "fingerprints/devices/mes.yaml": MES,
        "policies/surfaces/cell.yaml": RULES.format(mode=mode).encode(),
        **({"policies/surfaces/rest.yaml": REST} if rest else {}),
    }
    return Tree("bulkhead.yaml", files)


def widenings(before: Tree, after: Tree, home: Path) -> list[str]:
    judged = judge(Question(after, home, protocols(), {}, time.time(), base=before))
    assert judged.site is not None, judged.problems
    assert judged.difference is not None
    return [entry.text for entry in judged.difference.widenings]


def test_a_monitored_surface_is_compared_with_those_beside_it(tmp_path: Path) -> None:
    """Beside a surface that enforces, the rules of a monitored one come into force when it is enforced too; where it is
    alone, everything was let through before."""
    (text,) = widenings(tree(MONITOR, rest=True), tree("", rest=True), tmp_path)
    assert text.startswith("mes may now also: read holding 0 at plc")
    assert widenings(tree(MONITOR, rest=False), tree("", rest=False), tmp_path) == []


def test_beside_one_that_enforces_nothing_is_let_through(tmp_path: Path) -> None:
    assert widenings(tree("", rest=True), tree(MONITOR, rest=True), tmp_path) == []
    (text,) = widenings(tree("", rest=False), tree(MONITOR, rest=False), tmp_path)
    assert text.startswith("anybody may do at plc whatever no never forbids until ")
