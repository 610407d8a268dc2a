"""The command `bulkhead`: finds the noun's file and leaves the rest to it.

Nothing of a noun is imported before it is asked for, so that `bulkhead --help` and completion stay quick. A new noun
is one file that exports ``command`` and one line in `NOUNS`.

Exit codes: 0 done, 1 findings or denied, 2 wrong usage, 3 environment, 4 unreachable, 5 pending, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Any

import click

from proxy.cli.exits import ENVIRONMENT, INTERRUPTED
from proxy.cli.lazy import LazyGroup

NOUNS = {
    "run": ("proxy.cli.run", "Start the gateway of a site; SIGTERM drains it."),
    "check": ("proxy.cli.check", "Check a site: files, names, rules and its own tests."),
    "explain": ("proxy.cli.explain", "Say what the policy answers to one request, and why."),
    "policy": ("proxy.cli.policy", "Write, test, preview, prove and change the policy of a site."),
    "failmodes": ("proxy.cli.policy.failmodes", "Show what happens to each kind of flow when a part fails."),
    "certs": (
        "proxy.cli.certs",
        "Make the site's certificate authority; issue, show and revoke certificates.",
    ),
    "status": ("proxy.cli.status", "Show what a running gateway is doing."),
    "audit": ("proxy.cli.audit", "Verify the records of what happened."),
    "schema": ("proxy.cli.schema", "Print or write the JSON Schemas of the site files."),
    "demo": ("proxy.cli.demo", "Run a small simulated plant behind the gateway."),
}
"""Noun -> (module, help)."""


@click.command(cls=LazyGroup, nouns=NOUNS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("bulkhead"), prog_name="bulkhead")
def bulkhead() -> None:
    """A gateway that lets machines say only what policy allows, message by message."""


def run(arguments: list[str], **context: Any) -> int:
    """Run one command and return its exit code. ``context`` goes to click (``obj`` in tests)."""
    try:
        result = bulkhead.main(arguments, prog_name="bulkhead", standalone_mode=False, **context)
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    return result if isinstance(result, int) else 0


def main() -> None:
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:  # the reader (`head`, a pager) has gone; the interpreter must not complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ENVIRONMENT
    sys.exit(code)
