# SPDX-License-Identifier: Apache-2.0
"""Breaks the host runtime in many small ways and checks that its suite kills every one of them.

``descring dev mutants-host`` applies each mutant of ``sim/mutants/host`` to a copy of
``host/``, builds the native core there if it is C that was changed, and runs the test files that
the mutant names until a test fails. A run ``host@queue_take/stop`` is the file
``host/tests/test_queue_take.py`` with pytest's ``-k stop``; it counts only if it passes on the
unchanged sources. What does not build is no mutant. A test that does not end is a failing one: the
suite's own waits are bounded.

Exit codes: 0 all killed, 1 a survivor or an invalid mutant, 2 an error in what was asked for.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from descring_sim.mutation import session
from descring_sim.mutation.session import CopyRunner, Finding, Once, nothing_found
from descring_sim.mutation.suite_run import Failure, first_failure
from descring_sim.support import environment as tool_environment
from descring_sim.support import paths
from descring_sim.support.click_program import run_module
from descring_sim.support.mutant import Mutant, MutantError, Run

FEWEST = 60
"""Fewer mutants than this prove little about the suite."""


def host_dir() -> Path:
    """``host/`` of the checkout.

    Raises:
        MutantError: this is no checkout.
    """
    root = paths.checkout_root()
    if root is None:
        raise MutantError("the host runtime's mutants belong to a checkout, not to a wheel")
    return root / "host"


@dataclass
class HostMutantRunner(CopyRunner):
    """Apply mutants to copies of ``host/``.

    Attributes:
        source: the folder to break a copy of, with the suite in ``tests``.
        root: where the copies go.
        suite: what the runs of its mutants begin with.
        marks: pytest's ``-m``, empty for all tests.
    """

    source: Path = field(default_factory=host_dir)
    root: Path = field(default_factory=lambda: paths.build_dir() / "mutants" / "host")
    suite: str = "host"
    marks: str = ""
    _broken: Once[tuple[str, str | None], bool] = field(default_factory=Once)

    def sources(self) -> dict[str, Path]:
        """Return the folder, which becomes the copy."""
        return {".": self.source}

    def judge(self, mutant: Mutant, home: Path, source: Path) -> Finding:
        """Run the mutant's test files until a test fails."""
        self.prepare(home, source)
        for run in mutant.runs:
            killer = self.killer(home, run)
            if killer is not None:
                return Finding("killed", killer)
        return nothing_found(mutant)

    def prepare(self, home: Path, source: Path) -> None:
        """Build what depends on the changed file ``source`` of the copy ``home``.

        Raises:
            MutantError: it does not build.
        """
        if source.suffix in (".c", ".h"):
            self._build(home)

    def killer(self, home: Path, run: Run) -> str | None:
        """Return which test of ``run`` fails in the copy ``home`` alone, None where none does.

        Raises:
            MutantError: it fails on the unchanged sources too, or there is no such test.
        """
        failure = self._first_failure(home, run)
        if failure is None:
            return None
        if self._fails_anyway(run, failure):
            raise MutantError(f"fails on the unchanged sources too: {failure}")
        return str(failure)

    @staticmethod
    def _build(home: Path) -> None:
        command = [sys.executable, str(home / "native" / "build.py")]
        built = subprocess.run(
            command, env=tool_environment.tools(), capture_output=True, text=True, check=False
        )
        if built.returncode:
            raise MutantError(f"the native core does not build: {built.stderr.strip()[-200:]}")

    def _fails_anyway(self, run: Run, failure: Failure) -> bool:
        """Whether what failed fails on the unchanged sources too."""

        def find() -> bool:
            home = self.copy(f"unchanged-{threading.get_ident()}")
            try:
                return self._first_failure(home, run, failure.test) is not None
            finally:
                self.clean(home)

        return self._broken.get((failure.file, failure.test), find)

    def _first_failure(self, home: Path, run: Run, test: str | None = None) -> Failure | None:
        """The first test of ``run``, or this ``test``, that fails in ``home``; None if none does.

        Raises:
            MutantError: there is no such file, or no test in it matches.
        """
        file = home / "tests" / f"test_{run.config}.py"
        if run.block != self.suite or not file.is_file():
            raise MutantError(
                f"{run}: expected {self.suite}@name with a file {file.name} in "
                f"{self.source.name}/tests"
            )
        arguments = [f"{file}::{test}" if test else str(file)]
        arguments += ["-k", run.case] if run.case and not test else []
        arguments += ["-m", self.marks] if self.marks else []
        return first_failure(home, arguments, file.stem)


main = session.command(
    "Break the host runtime in many small ways; its suite must kill every break.",
    "host",
    HostMutantRunner,
    session.Page(
        "mutants-host.md",
        "# Mutants of the host runtime",
        "`make mutants-host`",
        "Each is a small fault injected in a copy of the host runtime, its native core or "
        "its Python. It counts as killed when a test fails that passes on the sources as "
        "they are.",
        ("host", "pymodel", "sim"),
    ),
    FEWEST,
)


if __name__ == "__main__":
    run_module("descring_sim.mutation.host", main)
