# SPDX-License-Identifier: Apache-2.0
"""The command ``descring``.

Exit codes: 0 all well, 1 a mismatch or nothing compared, 2 an error in what was asked for or in
carrying it out. An error is one line on stderr, and leaves no output file.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

from descring_sim.cli.bundle import check, record
from descring_sim.cli.campaign import campaign
from descring_sim.cli.compare import compare
from descring_sim.cli.conform import conform
from descring_sim.cli.gen import gen, gen_check, lint_rtl, requirements
from descring_sim.cli.replay import replay
from descring_sim.cli.serve import clean, serve
from descring_sim.cli.shell import shell
from descring_sim.cli.stream import stream
from descring_sim.cli.waves import waves
from descring_sim.replay.backend import ReplayError
from descring_sim.replay.stream_file import StreamError
from descring_sim.support.errors import SimulationError

ERROR = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="descring")
def cli() -> None:
    """RTL-first co-simulation of 64-byte descriptor rings."""


COMMANDS = (
    *(stream, replay, compare, record, check),
    *(conform, campaign, shell, waves),
    *(gen, gen_check, requirements, lint_rtl),
    *(serve, clean),
)
for command in COMMANDS:
    cli.add_command(command)


def _terminated(number: int, _frame: FrameType | None) -> None:
    """Leave by an exception, so that temporary files and simulators are cleaned up."""
    sys.exit(128 + number)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command with ``arguments`` (default: the process's) and return its exit code."""
    try:
        code = cli.main(args=arguments, prog_name="descring", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ERROR
    except click.ClickException as error:
        return _say(error.format_message())
    except click.Abort:
        return _say("interrupted")
    except (ReplayError, SimulationError, StreamError) as error:
        return _say(str(error))
    return code if isinstance(code, int) else 0


def _say(text: str) -> int:
    click.echo(f"descring: error: {text}", err=True)
    return ERROR


def main() -> None:
    """The console script."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(run())
