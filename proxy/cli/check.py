"""`bulkhead check`: every problem of a site at once."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING

import click

from proxy.cli import exits, report
from proxy.cli.site import config_option, find_config, protocols
from proxy.site import Finding, Problem, in_order, load_site

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@click.command()
@config_option
@click.option("-o", "--output", type=click.Choice(["text", "json", "github", "sarif"]), default="text")
def command(config: Path | None, output: str) -> int:
    """Check a site: files, names, rules, and the policy's own tests.

    Exits with 0 if the site may be used (there may be warnings), 1 if not, 3 if a file cannot be read.
    """
    file = find_config(config)
    loaded = load_site(file, protocols(), os.environ)
    problems = loaded.problems
    if loaded.site is not None:
        from proxy.change.findings import policy_problems

        problems = in_order((*problems, *policy_problems(loaded.site, protocols())))
    release = version("bulkhead")
    if output == "json":
        click.echo(report.as_json(problems, file, loaded.site, release))
    elif output == "sarif":
        click.echo(report.as_sarif(problems, file, release))
    elif problems:
        click.echo(report.as_github(problems, file) if output == "github" else report.as_text(problems, file))
    click.echo(_summary(problems), err=True)
    return _code(problems, file)


def _summary(problems: Sequence[Problem]) -> str:
    errors = sum(not problem.warning for problem in problems)
    warnings = len(problems) - errors
    return f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"


def _code(problems: Sequence[Problem], config: Path) -> int:
    errors = [problem for problem in problems if not problem.warning]
    if any(_is_environment(problem, config) for problem in errors):
        return exits.ENVIRONMENT
    return exits.FINDINGS if errors else exits.DONE


def _is_environment(problem: Problem, config: Path) -> bool:
    """The machine does not let us read, or there is no site where one was said to be: the site may be sound."""
    no_config = problem.finding is Finding.MISSING and problem.origin.file == config.name and not problem.path
    return no_config or problem.finding is Finding.UNREADABLE
