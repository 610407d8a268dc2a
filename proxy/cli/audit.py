"""`bulkhead audit`: looks after the log of what happened."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from proxy.audit.verify import verify as verify_folder
from proxy.cli.exits import DONE, FINDINGS, EnvironmentFailure
from proxy.cli.place import find_place
from proxy.cli.site import config_option


class _Checkpoint(click.ParamType[tuple[int, str]]):
    name = "NUMBER:HASH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, str]:
        match = re.fullmatch(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", str(value))
        if match is None:
            self.fail(
                f"{value!r} is not a record's number and the SHA-256 of its line, as status shows them", param, ctx
            )
        return int(match[1]), match[2]


@click.group(name="audit")
def command() -> None:
    """Look after the audit log."""


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@config_option
@click.option("--checkpoint", "checkpoints", multiple=True, type=_Checkpoint(), help="A record that must be there.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def verify(folder: Path | None, config: Path | None, checkpoints: tuple[tuple[int, str], ...], output: str) -> int:
    """Check the hash chain of the log in FOLDER, or of the site's.

    Exits with 0 if it holds, 1 if records were changed, dropped or moved, 3 if it cannot be read. docs/audit.md says
    what can be found without a checkpoint and what cannot.
    """
    where = folder if folder is not None else find_place(config).audit
    try:
        findings = verify_folder(where, dict(checkpoints))
    except OSError as error:
        raise EnvironmentFailure(f"{where}: {error.strerror}") from None
    broken = sum(finding.broken for finding in findings)
    if output == "json":
        answer = {"apiVersion": "bulkhead/v1", "kind": "AuditVerification", "ok": not broken}
        click.echo(json.dumps({**answer, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        for finding in findings:
            click.echo(f"{finding}{'' if finding.broken else ' (a note)'}")
    click.echo(f"{where}: {'the chain is broken' if broken else 'the chain holds'}", err=True)
    return FINDINGS if broken else DONE
