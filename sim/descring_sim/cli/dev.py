# SPDX-License-Identifier: Apache-2.0
"""``descring dev``: the commands of those who change descring itself, on a checkout."""

from __future__ import annotations

import click

from descring_sim.support import paths
from descring_sim.support.lazy_group import LazyGroup

COMMANDS = {
    "bench": ("bench.main:main", "List, run, compare and draw benchmarks."),
    "words": ("signoff.words:main", "Check the wording against sim/words.toml."),
    "elaborate": ("signoff.lint:main", "Elaborate each RTL module alone, without a warning."),
    "lint-others": ("signoff.more_lint:main", "slang -Weverything and verible over the RTL."),
    "synth": ("signoff.synth:main", "Synthesise RTL modules: cells, flip-flops, logic depth."),
    "pnr": ("signoff.pnr:main", "Place and route RTL modules: clock and critical path by seed."),
    "coverage": ("signoff.coverage:main", "Coverage of the RTL by its testbenches."),
    "formal": ("formal.__main__:main", "Prove the properties in formal/."),
    "formal-axi": ("signoff.formal_axi:main", "Prove the AXI ports by properties of others."),
    "peers": ("signoff.peers:main", "Run the device's testbench between AXI cores of others."),
    "mutants": ("mutation.rtl:main", "Mutate the RTL; the testbenches must kill each mutant."),
    "mutants-formal": ("mutation.formal:main", "Mutate the RTL; the proofs must kill each mutant."),
    "mutants-host": ("mutation.host:main", "Mutate the host runtime; its suite must kill each."),
    "mutants-model": (
        "mutation.model:main",
        "Mutate the rollouts' golden model; its suite must kill each.",
    ),
    "mutants-cuda": (
        "mutation.cuda:main",
        "Mutate the CUDA kernels; runs on the CPU must kill each.",
    ),
    "mutation": (
        "mutation.sampled.command:main",
        "Draw mutants by a seed; suites and proofs must kill each.",
    ),
    "conform-proof": (
        "conform.proof.__main__:main",
        "Try wrong implementations on the conformance kit.",
    ),
    "faults": ("faults.__main__:main", "Inject faults between host and device."),
    "soak": ("campaign.soak:main", "Run the testbenches over many seeds."),
    "reference": (
        "cli.reference:reference",
        "Write the pages of docs/reference, and descring.core.",
    ),
    "timing-diagram": ("gen.timing_diagram:main", "Draw the timing diagram of a descriptor."),
}
"""Where each command is, and its line in the list of commands."""


@click.group(
    cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
def dev() -> None:
    """Commands for changing descring itself; they need a checkout and the extra dev."""
    if paths.checkout_root() is None:
        raise click.ClickException(
            "expected a checkout of the repository, got an installed package; clone the "
            "repository and run .venv/bin/descring dev there"
        )
