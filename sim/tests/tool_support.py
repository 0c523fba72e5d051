# SPDX-License-Identifier: Apache-2.0
"""Running a simulator or a compiler by hand."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from descring_sim.cosim import simulators


def run_tool(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``command`` in ``folder``, where the simulators are found; what became of it."""
    return subprocess.run(
        command,
        cwd=folder,
        env=simulators.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
