# SPDX-License-Identifier: Apache-2.0
"""The one progress display of all commands: a bar at a terminal, nothing elsewhere."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def progress_bar() -> Progress:
    """A bar on standard error that counts items and vanishes at its end."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def say(text: str) -> None:
    """Tell a person at a terminal what takes long; a script hears nothing."""
    if sys.stderr.isatty():
        print(f"descring: {text}", file=sys.stderr)
