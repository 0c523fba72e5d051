# SPDX-License-Identifier: Apache-2.0
"""The command ``descring``.

Exit codes: 0 all well, 1 a mismatch or nothing compared, 2 an error in what was asked for or in
carrying it out. An error is one line on stderr, and leaves no output file.
:mod:`descring_model.program` has the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import click
from descring_model.program import guarded, run_program

from descring_sim.cli import NAME
from descring_sim.support.click_program import run_click
from descring_sim.support.lazy_group import LazyGroup

COMMANDS = {
    "stream": ("cli.stream:stream", "Write a stream of descriptors."),
    "replay": ("cli.replay:replay", "Run the descriptor stream IN and write the completions."),
    "compare": ("cli.compare:compare", "Compare two streams; the exit code is 1 when they differ."),
    "record": ("cli.bundle:record", "Keep the results of several backends in one file."),
    "check": ("cli.bundle:check", "Compare a backend with every recorded result."),
    "conform": ("cli.conform:conform", "Judge implementations of the contract, rule by rule."),
    "conform-engine": (
        "cli.conform_engine:conform_engine",
        "Judge an engine that makes tokens, rule by rule.",
    ),
    "campaign": ("cli.campaign:campaign", "Compare an implementation with the model at length."),
    "rollouts": ("cli.rollouts:rollouts", "Run rollouts on any backend, in logical time."),
    "top": ("cli.top:top", "Watch a running session of rollouts."),
    "trace": ("cli.trace:trace", "Read and compare event logs of rollouts."),
    "shell": ("cli.shell:shell", "A prompt on any backend: submit, ring, poll, step, wave."),
    "waves": ("cli.waves:waves", "Write views of a wave file, and print what opens them."),
    "gen": ("cli.gen:gen", "Write the files that are generated from the contract."),
    "gen-check": ("cli.gen:gen_check", "Fail if a generated file is stale."),
    "requirements": ("cli.gen:requirements", "Show which rules each suite tests."),
    "lint-rtl": ("cli.gen:lint_rtl", "Find hand-written part-selects of a descriptor."),
    "serve": ("cli.serve:serve", "Be the worker process of a device in shared memory."),
    "clean": ("cli.serve:clean", "Remove shared memory that dead processes left behind."),
    "dev": ("cli.dev:dev", "Commands for changing descring itself."),
}
"""Where each command is, and its line in the list of commands."""


@click.group(
    cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="descring")
def cli() -> None:
    """RTL-first co-simulation of 64-byte descriptor rings."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command with ``arguments`` (default: the process's) and return its exit code."""
    return guarded(NAME, lambda: run_click(NAME, cli, arguments))


def main() -> NoReturn:
    """Run the command with the arguments of the process and end the process."""
    run_program(NAME, lambda: run_click(NAME, cli))
