"""A group of commands of which none is imported before it is asked for, so that `--help` and completion stay quick."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from proxy.cli.exits import EnvironmentFailure


class LazyGroup(click.Group):
    """``nouns``: name -> (module, help). Listed, not discovered: a stray file never becomes a command. The module
    exports ``command``."""

    def __init__(self, *args: Any, nouns: Mapping[str, tuple[str, str]], **more: Any) -> None:
        super().__init__(*args, **more)
        self._nouns = nouns

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._nouns)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._nouns:
            return None
        try:
            command = import_module(self._nouns[cmd_name][0]).command
        except ModuleNotFoundError as missing:
            raise EnvironmentFailure(
                f"{ctx.command_path} {cmd_name} needs the Python module {missing.name}"
            ) from missing
        if not isinstance(command, click.Command):
            raise TypeError(f"{self._nouns[cmd_name][0]}.command is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._nouns.items()])
