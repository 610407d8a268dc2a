"""The lock files: exact, hashed, free of registry addresses, and in step with ``pyproject.toml``."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.repository import ROOT, tracked_paths

LOCKS = ("requirements.lock", "requirements-dev.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)")


def entries(lock: str) -> list[str]:
    """One string for each locked package: the pin, its marker and its hashes."""
    joined = (ROOT / lock).read_text().replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip()]


def pins(lock: str) -> dict[str, str]:
    """Canonical name to exact version."""
    found: dict[str, str] = {}
    for entry in entries(lock):
        pin = PINNED.match(entry)
        assert pin, f"{lock}: not an exact pin: {entry[:60]}"
        found[canonicalize_name(pin["name"])] = pin["version"]
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_no_url(lock: str) -> None:
    assert "://" not in (ROOT / lock).read_text()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_a_hash(lock: str) -> None:
    assert pins(lock)
    assert [entry[:40] for entry in entries(lock) if "--hash=sha256:" not in entry] == []


def test_the_locks_agree_where_they_overlap() -> None:
    runtime, dev = pins(LOCKS[0]), pins(LOCKS[1])
    assert {name: (runtime[name], dev[name]) for name in runtime.keys() & dev if runtime[name] != dev[name]} == {}


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        (
            LOCKS[0],
            [
                *PROJECT["project"]["dependencies"],
                *PROJECT["project"]["optional-dependencies"]["demo"],
                *PROJECT["dependency-groups"]["build"],
            ],
        ),
        (LOCKS[1], PROJECT["dependency-groups"]["dev"]),
    ],
)
def test_a_lock_meets_what_the_project_asks_for(lock: str, wanted: list[str]) -> None:
    locked = pins(lock)
    for requirement in map(Requirement, wanted):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {lock}"
        assert requirement.specifier.contains(version), f"{requirement} is locked at {version}"


def test_the_runtime_lock_carries_no_test_tools() -> None:
    """``./run demo`` must not download what only ``./run test`` needs."""
    tools = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependency-groups"]["dev"]}
    assert tools & pins(LOCKS[0]).keys() == set()


@pytest.mark.parametrize("name", ["casbin", "proxy-py"])
def test_a_distribution_with_a_clashing_import_name_is_absent(name: str) -> None:
    """``casbin`` 1.43 and ``pycasbin`` share an import name, and the old one names no rule for an allow."""
    with pytest.raises(PackageNotFoundError):
        distribution(name)
    assert all(name not in pins(lock) for lock in LOCKS)


def test_the_maintained_casbin_is_the_one_installed() -> None:
    assert distribution("pycasbin").version == pins(LOCKS[0])["pycasbin"]


def test_no_lock_format_that_carries_registry_addresses_is_tracked() -> None:
    banned = re.compile(r"(^|/)(uv\.lock|pylock(\..+)?\.toml|poetry\.lock|pdm\.lock|Pipfile\.lock)$")
    assert [path for path in tracked_paths() if banned.search(path)] == []
