# SPDX-License-Identifier: Apache-2.0
"""Mutants of the CUDA kernels: short runs of kernels compiled for the CPU must kill each.

``descring dev mutants-cuda`` applies each mutant of ``sim/mutants/cuda`` to a copy of
``cuda/kernels``. A run ``cuda@latency``, ``cuda@throughput``, ``cuda@resident`` or ``cuda@engine``
is ``cuda/mutants/probe.py`` over that shape or the engine's kernels, ``cuda@trace`` the one over
trace events, ``cuda@mailbox`` the check of the mailbox under ThreadSanitizer; it counts only if it
passes on the kernels as they are. What does not build is no mutant. A run that does not end is
killed by its own alarm, and so is the mutant.

Exit codes: 0 all killed, 1 a survivor or an invalid mutant, 2 an error in what was asked for.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from descring_cuda.kernels import folders

from descring_sim.mutation import session
from descring_sim.mutation.session import CopyRunner, Finding, Once, nothing_found
from descring_sim.support import environment, paths
from descring_sim.support.click_program import run_module
from descring_sim.support.mutant import Mutant, MutantError, Run

FEWEST = 20
"""Fewer mutants than this prove little about the tests."""

NO_BUILD = 3
"""Exit code of the probe where the kernels do not compile."""


@dataclass
class KernelMutantRunner(CopyRunner):
    """Applies mutants to copies of the kernels.

    Attributes:
        root: where the copies go.
    """

    root: Path = field(default_factory=lambda: paths.build_dir() / "mutants" / "cuda")
    _sound: Once[Run, str | None] = field(default_factory=Once)

    def sources(self) -> dict[str, Path]:
        """Return the kernels."""
        return {"kernels": folders()[0]}

    def judge(self, mutant: Mutant, home: Path, source: Path) -> Finding:
        """Run the mutant's probes until one fails."""
        del source
        for run in mutant.runs:
            problem = probe(home / "kernels", run)
            if problem is not None:
                before = self._sound.get(run, lambda run=run: probe(folders()[0], run))  # type: ignore[misc]
                if before is not None:
                    raise MutantError(f"{run} fails on the unchanged kernels too: {before}")
                return Finding("killed", f"{run.config}: {problem}")
        return nothing_found(mutant)


def probe(kernels: Path, run: Run) -> str | None:
    """Return what the probe has against ``kernels``, None for nothing.

    Raises:
        MutantError: they do not compile.
    """
    root = paths.checkout_root()
    assert root is not None, "the session refuses a wheel"
    done = subprocess.run(
        [sys.executable, str(root / "cuda" / "mutants" / "probe.py"), str(kernels), run.config],
        env=environment.tools(),
        capture_output=True,
        text=True,
        check=False,
    )
    last = (done.stderr.strip().splitlines() or [""])[-1][:160]
    if done.returncode == NO_BUILD:
        raise MutantError(f"the kernels do not build: {last}")
    if done.returncode < 0:
        return f"ended by signal {-done.returncode}"
    return last or f"exit code {done.returncode}" if done.returncode else None


main = session.command(
    "Break the CUDA kernels in many small ways; runs on the CPU must kill every break.",
    "cuda",
    KernelMutantRunner,
    session.Page(
        "mutants-cuda.md",
        "# Mutants of the CUDA kernels",
        "`make mutants-cuda`",
        "Each is a small fault injected in a copy of the kernels, which are compiled for the "
        "CPU. It counts as killed when a run fails that passes on the kernels as they are.",
        ("cuda", "host", "pymodel"),
    ),
    FEWEST,
)


if __name__ == "__main__":
    run_module("descring_sim.mutation.cuda", main)
