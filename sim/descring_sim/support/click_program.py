# SPDX-License-Identifier: Apache-2.0
"""Commands of click as programs of the project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import click
from descring_model.program import ERROR, run_program, say


def run_click(name: str, command: click.Command, arguments: Sequence[str] | None = None) -> object:
    """Run ``command`` and return its exit code, 2 for what click itself refuses."""
    try:
        return command.main(args=arguments, prog_name=name, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ERROR
    except click.ClickException as error:
        return say(name, error.format_message())
    except click.Abort:
        return say(name, "interrupted")


def run_module(module: str, command: click.Command) -> NoReturn:
    """Run ``command`` as ``python -m module`` and end the process."""
    name = f"python -m {module}"
    run_program(name, lambda: run_click(name, command))
