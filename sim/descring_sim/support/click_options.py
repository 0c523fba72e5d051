# SPDX-License-Identifier: Apache-2.0
"""The options that ``descring conform`` and ``descring campaign`` share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

DEFAULT_TIMEOUT_S = 120.0
SUITE = ("only", "smoke", "timeout_s", "output")
"""The parameters that :func:`suite_options` declares."""
_Command = TypeVar("_Command", bound=Callable[..., Any])


def suite_options(when: str = "") -> Callable[[_Command], _Command]:
    """Declare what is run of the suite, and where its report goes; help begins with ``when``."""

    def say(text: str) -> str:
        return f"{when}{text}" if when else text[0].upper() + text[1:]

    options = (
        click.option(
            "--only",
            multiple=True,
            metavar="RULE|TEST",
            help=say("these tests alone; may be repeated; RING-* too."),
        ),
        click.option("--smoke", is_flag=True, help=say("the quick tests alone.")),
        click.option(
            "--timeout",
            "timeout_s",
            type=click.FloatRange(0.1, 86400),
            default=DEFAULT_TIMEOUT_S,
            show_default=True,
            help=say("seconds that a test may take; then it is killed and has hung."),
        ),
        click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path, file_okay=False),
            metavar="DIR",
            help=say("write report.html, verdict.json, junit.xml and badge.svg there."),
        ),
    )

    def declare(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return declare


def jobs_option(what: str) -> Callable[[_Command], _Command]:
    """Declare how many of ``what`` run at a time."""
    return click.option(
        "-j",
        "--jobs",
        type=click.IntRange(1, 4096),
        default=os.cpu_count() or 1,
        show_default="the cores",
        help=f"{what} at a time.",
    )


MISMATCH = 1
"""Exit code of a comparison that does not hold."""


INDEX = click.IntRange(0, 2**32 - 1)
"""The range of a ring index."""
