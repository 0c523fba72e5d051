# SPDX-License-Identifier: Apache-2.0
"""The console script ``descring``: signals first, then the imports."""

from descring_model.startup import end_at_once

from descring_sim.cli import NAME


def main() -> None:
    """Run the command with the arguments of the process and end the process."""
    end_at_once(NAME)
    from descring_sim.cli.main import main as run

    run()
