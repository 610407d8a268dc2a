"""Exit codes, the same for every command (access.md 11)."""

from __future__ import annotations

import click

DONE = 0
FINDINGS = 1
USAGE = 2
ENVIRONMENT = 3
UNREACHABLE = 4
PENDING = 5
INTERRUPTED = 130


class Findings(click.ClickException):
    """The answer is no: an invalid site, a failed test, a refused request."""

    exit_code = FINDINGS


class EnvironmentFailure(click.ClickException):
    """A file, a permission or a package is missing, or a port is taken."""

    exit_code = ENVIRONMENT
