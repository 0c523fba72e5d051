# SPDX-License-Identifier: Apache-2.0
"""A group of click commands that are imported when they run."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import click
from descring_model.program import importing

_EXTRA = "descring[dev]"


class LazyGroup(click.Group):
    """The commands of a table, imported one by one.

    All commands together take the better part of a second to import; a list of them needs none.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **options: Any) -> None:
        """Make the group.

        Args:
            args: of ``click.Group``.
            table: for each name, ``module:attribute`` below ``descring_sim``, and the line for the
                list of commands. The attribute is a command, or a function that takes the list of
                arguments and returns the exit code.
            options: of ``click.Group``.
        """
        super().__init__(*args, **options)
        self._table = table

    @property
    def lines(self) -> Mapping[str, str]:
        """The line of each command in the list of commands."""
        return {name: text for name, (_, text) in self._table.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None if there is none of that name.

        Raises:
            click.ClickException: the command needs a package that is not installed.
        """
        if cmd_name not in self._table:
            return None
        module, _, name = self._table[cmd_name][0].partition(":")
        try:
            with importing():
                found = getattr(importlib.import_module(f"descring_sim.{module}"), name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("descring"):
                raise
            raise click.ClickException(
                f"{cmd_name}: expected the package of {error.name}, which is not installed; "
                f"install it with: pip install '{_EXTRA}'"
            ) from error
        return found if isinstance(found, click.Command) else _passed_on(cmd_name, found)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._table.items()])


def _passed_on(name: str, function: Callable[[list[str]], int]) -> click.Command:
    """A command that passes all its arguments to a function with a parser of its own."""

    @click.command(
        name,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: tuple[str, ...]) -> int:
        return function(list(arguments))

    return command
