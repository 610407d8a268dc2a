"""Problems of a site in the forms that people, editors and code hosts read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from proxy.cli.site import path_of, text_of
from proxy.site import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from proxy.site import Problem, Site

API_VERSION = "bulkhead/v1"


def as_text(problems: Sequence[Problem], config: Path) -> str:
    return "\n".join(text_of(problem, config) for problem in problems)


def as_json(problems: Sequence[Problem], config: Path, site: Site | None, version: str) -> str:
    """``ok`` says whether the site may be used; it may with warnings."""
    errors = sum(not problem.warning for problem in problems)
    answer: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "CheckResult",
        "bulkhead": version,
        "config": str(config),
        "ok": errors == 0,
        "site": None if site is None else site.name,
        "digest": None if site is None else site.digest,
        "errors": errors,
        "warnings": len(problems) - errors,
        "problems": [_plain(problem, config) for problem in problems],
    }
    return json.dumps(answer, indent=2)


def as_github(problems: Sequence[Problem], config: Path) -> str:
    """Workflow commands: a code host shows them at their lines."""
    return "\n".join(_annotation(problem, config) for problem in problems)


def as_sarif(problems: Sequence[Problem], config: Path, version: str) -> str:
    """SARIF 2.1.0 (OASIS), for code scanning."""
    rules = [
        {"id": finding.code, "name": finding.name, "shortDescription": {"text": finding.sentence}}
        for finding in Finding
    ]
    driver = {"name": "bulkhead", "semanticVersion": version, "rules": rules}
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(problem, config) for problem in problems],
            }
        ],
    }
    return json.dumps(log, indent=2)


def _plain(problem: Problem, config: Path) -> dict[str, Any]:
    return {
        "severity": "warning" if problem.warning else "error",
        "code": problem.finding.code,
        "file": path_of(problem, config),
        "line": problem.origin.line,
        "column": problem.origin.column,
        "path": problem.where,
        "wrong": problem.wrong,
        "nearest": problem.nearest,
        "mend": problem.mend,
    }


def _message(problem: Problem) -> str:
    """Without the word *warning*, which these forms have a field for."""
    what = problem.what.removeprefix("warning: ")
    return f"{problem.where}: {what}" if problem.path else what


def _annotation(problem: Problem, config: Path) -> str:
    where = {
        "file": path_of(problem, config),
        "line": problem.origin.line,
        "col": problem.origin.column,
        "title": problem.finding.code,
    }
    properties = ",".join(f"{key}={_escaped(str(value), ',:')}" for key, value in where.items())
    return f"::{'warning' if problem.warning else 'error'} {properties}::{_escaped(_message(problem))}"


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _result(problem: Problem, config: Path) -> dict[str, Any]:
    return {
        "ruleId": problem.finding.code,
        "ruleIndex": list(Finding).index(problem.finding),
        "level": "warning" if problem.warning else "error",
        "message": {"text": _message(problem)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(path_of(problem, config))},
                    "region": {"startLine": problem.origin.line, "startColumn": problem.origin.column},
                }
            }
        ],
    }


def _uri(path: str) -> str:
    from pathlib import PurePosixPath
    from urllib.parse import quote

    return PurePosixPath(path).as_uri() if path.startswith("/") else quote(path)
