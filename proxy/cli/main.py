"""The command `bulkhead`: finds the noun's file and leaves the rest to it.

Nothing of a noun is imported before it is asked for, so that `bulkhead --help` and completion stay quick. A new noun
is one file that exports ``command`` and one line in `NOUNS`.

Exit codes: 0 done, 1 findings or denied, 2 wrong usage, 3 environment, 4 unreachable, 5 pending, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click

from proxy.cli.exits import ENVIRONMENT, INTERRUPTED, EnvironmentFailure

NOUNS = {
    "run": ("proxy.cli.run", "Start the gateway of a site; SIGTERM drains it."),
    "check": ("proxy.cli.check", "Check a site: files, names, rules and its own tests."),
    "explain": ("proxy.cli.explain", "Say what the policy answers to one request, and why."),
    "certs": (
        "proxy.cli.certs",
        "Make the site's certificate authority; issue, show and revoke certificates.",
    ),
    "status": ("proxy.cli.status", "Show what a running gateway is doing."),
    "audit": ("proxy.cli.audit", "Verify the records of what happened."),
    "schema": ("proxy.cli.schema", "Print or write the JSON Schemas of the site files."),
    "demo": ("proxy.cli.demo", "Run a small simulated plant behind the gateway."),
}
"""Noun -> (module, help). Listed, not discovered: a stray file never becomes a command."""


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NOUNS:
            return None
        try:
            command = import_module(NOUNS[cmd_name][0]).command
        except ModuleNotFoundError as missing:
            raise EnvironmentFailure(f"bulkhead {cmd_name} needs the Python module {missing.name}") from missing
        if not isinstance(command, click.Command):
            raise TypeError(f"{NOUNS[cmd_name][0]}.command is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in NOUNS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
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
