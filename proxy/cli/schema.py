"""`bulkhead schema`: what editors need to complete and check site files while they are typed."""

from __future__ import annotations

from pathlib import Path

import click

from proxy.cli.exits import EnvironmentFailure
from proxy.cli.site import protocols
from proxy.site.schema import schemas


@click.command()
@click.option("--write", type=click.Path(path_type=Path, file_okay=False), help="Write the files to this folder.")
@click.argument("name", required=False)
def command(write: Path | None, name: str | None) -> None:
    """Print the JSON Schema NAME (bulkhead, device, surface, role, shift, window or test), or write all of them.

    A site file names its schema in its first line: # yaml-language-server: $schema=docs/schema/bulkhead.schema.json
    """
    made = schemas(protocols())
    if write is None:
        _show(made, name)
        return
    try:
        write.mkdir(parents=True, exist_ok=True)
        for file, text in made.items():
            (write / file).write_text(text, "utf-8")
            click.echo(str(write / file))
    except OSError as fault:
        raise EnvironmentFailure(f"cannot write to {write}: {(fault.strerror or str(fault)).lower()}") from fault


def _show(made: dict[str, str], name: str | None) -> None:
    names = [file.removesuffix(".schema.json") for file in made]
    if name is None:
        raise click.UsageError(f"say which one ({', '.join(names)}), or write all of them: --write DIR")
    if name not in names:
        raise click.UsageError(f"there is no schema {name}; one of {', '.join(names)}")
    click.echo(made[f"{name}.schema.json"], nl=False)
