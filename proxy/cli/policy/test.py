"""`bulkhead policy test`: asks the policy its own questions, without network and without a running gateway."""

from __future__ import annotations

import difflib
import json
import time
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

from proxy.cli.exits import DONE, FINDINGS
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option, find_config, open_site, protocols
from proxy.telemetry.logs import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from proxy.core.origin import RuleRef
    from proxy.core.surface import RuleTest, Surface
    from proxy.core.verdict import Verdict
    from proxy.policy.cases import Result
    from proxy.policy.coverage import Coverage
    from proxy.site import Site

    Named = tuple[str, str, RuleTest]
    """(surface or file of policies/tests, path in its file, test)."""


@click.command()
@config_option
@click.option("--coverage", "show_coverage", is_flag=True, help="Name the rules and nevers that no test touches.")
@click.option(
    "--min-coverage",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Fail if the tests touch less than this share of the rules and nevers.",
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def command(
    config: Path | None, show_coverage: bool, min_coverage: float | None, output: str, names: tuple[str, ...]
) -> int:
    """Ask the policy its own tests, and say which rules no test touches.

    Tests stand under tests: of a surface, and in policies/tests/. NAME is a surface or a file there; without one all
    are asked.

    Exits with 0 if all passed, 1 if one failed or the coverage is too low, 2 if there is no such NAME, 3 if the site
    cannot be read.
    """
    from proxy.policy.coverage import coverage

    site = open_site(config)
    asked = _chosen(site, names)
    results = _ask(site, asked)
    covered = coverage(_about(site, names), results)
    low = min_coverage is not None and covered.percent < min_coverage
    failed = [result for result in results if not result.passed]
    if output == "json":
        data = {"apiVersion": API_VERSION, "kind": "PolicyTest", "digest": site.digest}
        data |= _data(asked, results, covered) | {"ok": not failed and not low}
        click.echo(json.dumps(data, indent=2))
    else:
        folder = find_config(config).parent
        lines = [line for result in failed for line in _failure(result, folder)]
        lines += _untouched(covered, folder) if show_coverage or low else []
        lines.append(_summary(results, covered))
        click.echo("\n".join(printable(line, limit=4096) for line in lines))
    if low:
        click.echo(f"coverage is {covered.percent:g} %, which is less than {min_coverage:g} %", err=True)
    return FINDINGS if failed or low else DONE


def _ask(site: Site, asked: Sequence[Named]) -> list[Result]:
    from proxy.beforehand import beforehand
    from proxy.policy.cases import ask_all
    from proxy.policy.shadowed import compile_shadowed

    policy = compile_shadowed(site.surfaces, site.roles, site.devices, site.hours, now=time.time())
    outright = beforehand(site.devices, protocols())
    tests = [(path, test) for _, path, test in asked]
    return list(ask_all(policy, site.devices, tests, outright, site.hours))


def _chosen(site: Site, names: tuple[str, ...]) -> list[Named]:
    from proxy.policy.cases import beside, written

    every = [(surface.name, path, test) for surface in site.surfaces for path, test in written([surface])]
    every += [(PurePath(test.origin.file).stem, path, test) for path, test in beside(site.cases)]
    known = {surface.name for surface in site.surfaces} | {home for home, _, _ in every}
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(sorted(known)[:20])}"
            raise click.UsageError(f"no surface and no file of policies/tests is called {name!r}; {hint}")
    return [one for one in every if not names or one[0] in names]


def _about(site: Site, names: tuple[str, ...]) -> list[Surface]:
    """Coverage is about the surfaces that were named; a file of policies/tests may be about any."""
    named = [surface for surface in site.surfaces if surface.name in names]
    return named or list(site.surfaces)


def _failure(result: Result, folder: Path) -> list[str]:
    from proxy.policy.cases import expected, told

    test = result.test
    because = f" because {test.because}" if test.because else ""
    lines = [f"{folder / test.origin.file}:{test.origin.line}: {test.who} to {test.to}: {_question(test)}"]
    lines += [f"  expected  {expected(test)}{because}", f"  got       {told(result.verdict)}"]
    return [*lines, f"  mend      {result.mend}", ""]


def _question(test: RuleTest) -> str:
    parts = [f"{test.actions[0].protocol} {test.text}" if test.actions else test.text]
    if test.at is not None:
        parts.append(f"at {_time(test.at)}")
    if test.evidence is not None:
        parts.append(f"showing {', '.join(test.evidence) or 'nothing'}")
    parts += [f"while {device} {point} = {value:g}" for device, point, value in test.state]
    return ", ".join(parts)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _untouched(covered: Coverage, folder: Path) -> list[str]:
    if not covered.untouched:
        return []
    return [
        "no test touches:",
        *(f"  {ref}  {folder / ref.origin.file}:{ref.origin.line}" for ref in covered.untouched),
        "",
    ]


def _summary(results: Sequence[Result], covered: Coverage) -> str:
    passed = sum(result.passed for result in results)
    failed = len(results) - passed
    tests = f"{len(results)} test{'s' * (len(results) != 1)}: {passed} passed"
    bad = f", {failed} failed" if failed else ""
    return f"{tests}{bad}; {covered.touched} of {covered.total} rules and nevers touched ({covered.percent:g} %)"


def _data(asked: Sequence[Named], results: Sequence[Result], covered: Coverage) -> dict[str, Any]:
    passed = sum(result.passed for result in results)
    return {
        "passed": passed,
        "failed": len(results) - passed,
        "cases": [{"in": home, **_case(result)} for (home, _, _), result in zip(asked, results, strict=True)],
        "coverage": {
            "rules": covered.total,
            "touched": covered.touched,
            "percent": covered.percent,
            "untouched": [_ref(ref) for ref in covered.untouched],
        },
    }


def _case(result: Result) -> dict[str, Any]:
    test = result.test
    return {
        "file": test.origin.file,
        "line": test.origin.line,
        "path": result.path,
        "who": test.who,
        "to": test.to,
        "protocol": test.actions[0].protocol if test.actions else None,
        "question": test.text,
        "evidence": None if test.evidence is None else list(test.evidence),
        "at": None if test.at is None else _time(test.at),
        "state": {f"{device} {point}": value for device, point, value in test.state},
        "expect": "allow" if test.expect_allow else "refuse",
        "because": test.because,
        "passed": result.passed,
        "got": _got(result.verdict),
        "wrong": result.wrong,
        "mend": result.mend,
    }


def _got(verdict: Verdict) -> dict[str, Any]:
    return {
        "allowed": verdict.allowed,
        "code": None if verdict.reason is None else verdict.reason.code,
        "detail": verdict.detail,
        "rule": _ref(verdict.rule),
        "nearest": None if verdict.nearest is None else _ref(verdict.nearest),
    }


def _ref(ref: RuleRef) -> dict[str, Any]:
    return {"surface": ref.surface, "name": ref.name, "file": ref.origin.file, "line": ref.origin.line}
