"""The examples of docs/site.md are one site: it loads, and its own tests pass."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from proxy.cli.site import protocols
from proxy.policy.cases import run_tests
from proxy.policy.compile import compile_policy
from proxy.policy.shadow import enforced
from proxy.site import Loaded, load_site
from tests.site.folder import write

PAGE = (Path(__file__).parents[2] / "docs" / "site.md").read_text("utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NOW = datetime(2026, 11, 21, tzinfo=UTC).timestamp()


def plc(name: str, last: int) -> str:
    return f"---\ndevice: {name}\nkind: plc\naddress: 10.3.0.{last}\nservices: {{ modbus: {{ port: 502 }} }}\n...\n"


def listener(name: str, port: int) -> str:
    return f'  {name}: {{ bind: "10.3.0.1:{port}", protocol: modbus, to: {name}, tls: {{}} }}\n'


def example(folder: Path) -> Loaded:
    rules, shift, window, cases = BLOCKS
    files = {
        "bulkhead.yaml": f"---\nsite: bottling\nlisteners:\n{listener('plc-3a', 802)}{listener('plc-3b', 803)}...\n",
        "fingerprints/devices/plc-3a.yaml": plc("plc-3a", 11),
        "fingerprints/devices/plc-3b.yaml": plc("plc-3b", 12),
        "fingerprints/devices/mes.yaml": "---\ndevice: mes\nkind: server\n...\n",
        "policies/surfaces/cell-3.yaml": f"---\nsurface: cell-3\nmembers: [plc-3a, plc-3b]\n{rules}...\n",
        "policies/shifts/night.yaml": f"---\n{shift}...\n",
        "policies/windows/planned-stop.yaml": f"---\n{window}...\n",
        "policies/tests/night-shift.yaml": f"---\n{cases}...\n",
    }
    return load_site(write(folder, files), protocols(), now=NOW)


def test_the_examples_load_without_a_word(tmp_path: Path) -> None:
    assert [str(problem) for problem in example(tmp_path).problems] == []


def test_their_own_tests_pass(tmp_path: Path) -> None:
    site = example(tmp_path).site
    assert site is not None
    policy = compile_policy(enforced(site.surfaces, NOW), site.roles, site.devices)
    assert run_tests(policy, site.devices, cases=site.cases, hours=site.hours) == []
