"""The import contract bites: each forbidden direction, written into a scratch copy of the tree, turns it red."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.repository import ROOT

PACKAGES = "audit cli core demo gateway identity pki policy protocols protocols/modbus site telemetry uplink".split()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A bare skeleton with our package names under our real contract."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in [".", *PACKAGES]:
        folder = tmp_path / "proxy" / package
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    for module in ("app.py", "protocols/base.py"):
        (tmp_path / "proxy" / module).touch()
    return tmp_path


def keeps_the_contract(tree: Path, module: str, imports: str) -> bool:
    """Whether the contract holds once ``module`` imports ``imports``."""
    (tree / "proxy" / module).write_text(f"import {imports}\n")
    linter = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run([str(linter), "--no-logo"], cwd=tree, capture_output=True, text=True, check=False)
    assert "Contracts:" in checked.stdout, checked.stdout + checked.stderr
    return checked.returncode == 0


@pytest.mark.parametrize(
    ("module", "imports"),
    [
        ("core/verdict.py", "proxy.policy"),
        ("policy/engine.py", "proxy.protocols.base"),
        ("protocols/modbus/inspector.py", "proxy.policy"),
        ("gateway/link.py", "proxy.protocols.modbus"),
        ("gateway/link.py", "proxy.site"),
        ("site/load.py", "proxy.protocols.modbus"),
        ("gateway/link.py", "proxy.uplink"),
        ("uplink/driver.py", "proxy.app"),
        ("audit/writer.py", "proxy.telemetry"),
        ("app.py", "proxy.cli"),
        ("gateway/check.py", "casbin"),
        ("identity/arp.py", "scapy.all"),
        ("app.py", "pymodbus"),
        ("pki/issue.py", "tests.house"),
    ],
)
def test_a_forbidden_import_is_seen(tree: Path, module: str, imports: str) -> None:
    assert not keeps_the_contract(tree, module, imports)


@pytest.mark.parametrize(
    ("module", "imports"),
    [
        ("gateway/link.py", "proxy.protocols.base"),
        ("site/load.py", "proxy.protocols.base"),
        ("policy/engine.py", "casbin"),
        ("demo/plant.py", "pymodbus"),
        ("app.py", "proxy.protocols.modbus"),
    ],
)
def test_an_allowed_import_is_let_be(tree: Path, module: str, imports: str) -> None:
    assert keeps_the_contract(tree, module, imports)
