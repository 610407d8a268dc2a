"""What the house tests look at: the checkout, the files git tracks, and programs that may be missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def need_program(name: str) -> str:
    """The program's path. Skips the test where it is missing, or fails it where ``CI=true`` promises it."""
    found = shutil.which(name)
    if found is None:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(f"{name} is not installed")
    return found


def tracked_paths() -> list[str]:
    """Every path git tracks and that still exists, relative to the root with forward slashes."""
    git = need_program("git")
    listed = subprocess.run([git, "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip(f"not a git checkout: {listed.stderr.decode().strip()}")
    return [path for path in listed.stdout.decode().split("\0") if path and (ROOT / path).is_file()]


def tracked_texts() -> dict[str, str]:
    """Path to content of every tracked file; bytes that are no UTF-8 are kept as surrogates."""
    return {path: (ROOT / path).read_bytes().decode(errors="surrogateescape") for path in tracked_paths()}
