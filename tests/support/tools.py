"""Programs of the system that tests drive: skipped where they are missing on a desk, a failure in CI."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

import pytest

from tests.support.campaign import in_ci


def tool(name: str, package: str | None = None) -> str:
    """The path of a program. Without it the test is skipped, or fails when CI=true."""
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is not installed (apt install {package or name})"
        if in_ci():
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def run(command: Sequence[str], *, stdin: bytes = b"", seconds: float = 10.0) -> subprocess.CompletedProcess[bytes]:
    """Output and errors together; whatever exit code."""
    return subprocess.run(
        command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, check=False
    )
