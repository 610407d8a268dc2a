"""`bulkhead policy fmt`: writes the site's files in one form. Comments stay, and so does what the files say."""

from __future__ import annotations

import difflib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from proxy.cli.exits import DONE, ENVIRONMENT, FINDINGS
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option, find_config
from proxy.telemetry.logs import printable

FOLDERS = ("policies/*/*.yaml", "fingerprints/*/*.yaml")


@dataclass(frozen=True, slots=True)
class Formatted:
    """One file. ``wrong`` says why it was left alone, ``code`` what that exits with."""

    path: Path
    before: str = ""
    after: str = ""
    wrong: str = ""
    code: int = DONE

    @property
    def changed(self) -> bool:
        return self.before != self.after


@click.command()
@config_option
@click.option("--check", is_flag=True, help="Write nothing; fail if a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
def command(config: Path | None, check: bool, diff: bool, output: str, files: tuple[Path, ...]) -> int:
    """Write site files in one form: order of keys, indents, quotes, at most 120 columns.

    FILES are files or folders; without any it is the whole site. A file with a fault in it is not touched.

    Exits with 0 if all is well, 1 if a file has a fault, or with --check if one would change, 3 if one cannot be read
    or written.
    """
    dry = check or diff
    done = [_format(path, dry) for path in _files(config, files)]
    if output == "json":
        click.echo(json.dumps(_data(done, dry), indent=2))
    else:
        for one in done:
            _tell(one, dry, diff)
    for one in done:
        if one.wrong:
            click.echo(printable(f"{one.path}:{one.wrong}"), err=True)
    if worst := max(one.code for one in done) if done else DONE:
        return worst
    return FINDINGS if check and any(one.changed for one in done) else DONE


def _files(config: Path | None, given: tuple[Path, ...]) -> list[Path]:
    if given:
        return [file for path in given for file in (sorted(path.rglob("*.yaml")) if path.is_dir() else [path])]
    home = find_config(config)
    return [home, *sorted(file for folder in FOLDERS for file in home.parent.glob(folder))]


def _format(path: Path, dry: bool) -> Formatted:
    from proxy.site.files import Unusable, read_text
    from proxy.site.fmt import Unfit, formatted
    from proxy.site.problem import Finding

    try:
        before = read_text(path)
        after = formatted(before)
    except Unusable as fault:
        code = ENVIRONMENT if fault.finding in (Finding.MISSING, Finding.UNREADABLE) else FINDINGS
        return Formatted(path, wrong=f"{fault.line}:1: not touched: the file {fault.wrong}; {fault.mend}", code=code)
    except Unfit as fault:
        line, column = fault.place
        return Formatted(path, wrong=f"{line}:{column}: not touched: {fault}", code=FINDINGS)
    if before != after and not dry:
        try:
            _write(path, after)
        except OSError as fault:
            wrong = f"1:1: cannot be written: {(fault.strerror or str(fault)).lower()}"
            return Formatted(path, wrong=wrong, code=ENVIRONMENT)
    return Formatted(path, before, after)


def _write(path: Path, text: str) -> None:
    """The whole file or nothing, with its mode. The name is hidden: a gateway that watches the folder reads no half."""
    path = path.resolve()
    handle, name = tempfile.mkstemp(prefix=".fmt-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            os.fchmod(file.fileno(), path.stat().st_mode & 0o7777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _tell(one: Formatted, dry: bool, diff: bool) -> None:
    if not one.changed:
        return
    if diff:
        lines = difflib.unified_diff(one.before.splitlines(), one.after.splitlines(), str(one.path), str(one.path))
        click.echo("\n".join(line.rstrip("\n") for line in lines))
    else:
        click.echo(printable(f"{one.path}: {'would change' if dry else 'formatted'}"))


def _data(done: list[Formatted], dry: bool) -> dict[str, object]:
    files = [
        {"file": str(one.path), "changed": one.changed, "written": one.changed and not dry, "wrong": one.wrong or None}
        for one in done
    ]
    return {"apiVersion": API_VERSION, "kind": "PolicyFmt", "files": files}
