# SPDX-License-Identifier: Apache-2.0
"""One run of pytest over a copy of a package: what fails in it first."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from descring_sim.support import environment as tool_environment
from descring_sim.support import processes
from descring_sim.support.mutant import MutantError

TIMEOUT_S = 300.0
PATIENCE_S = 15.0
"""How long the suite's waits last here; on the unchanged sources they end at once."""

_FAILED = re.compile(
    r"^(?:FAILED|ERROR) (?:\S*/)?(test_\w+)\.py::([^\s\[]+(?:\[[^\]]*\])?)(?: - (.*))?$", re.M
)
_WHY = re.compile(r"^(?:E  |ERROR ).*$", re.M)
_NOTHING_RAN = re.compile(r"^ERROR: (?:not found|file or directory not found): .*$", re.M)


@dataclass(frozen=True)
class Failure:
    """A test that failed, and why; no test where the whole run ended in another way."""

    file: str
    test: str | None
    why: str

    @property
    def node(self) -> str:
        """File and function of the test, as pytest takes them; the file where there is no test."""
        file = f"tests/{self.file}.py"
        return f"{file}::{self.test.partition('[')[0]}" if self.test else file

    def __str__(self) -> str:
        return f"{self.file}.{self.test or 'all'}: {self.why}"[:200]


_TEXT = re.compile(r"(test_\w+)\.((?:\w+::)*test_\w+)")


def node_of(text: str) -> str | None:
    """Return file and function of the test that the text of a :class:`Failure` names, if any."""
    match = _TEXT.match(text)
    return f"tests/{match[1]}.py::{match[2]}" if match else None


def command(home: Path, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command and environment of pytest over the package ``home``."""
    pytest = [sys.executable, "-m", "pytest", "--import-mode=importlib", "-q"]
    pytest += ["-p", "no:cacheprovider", "--tb=line", *arguments]
    path = [str(home), *filter(None, [os.environ.get("PYTHONPATH")])]
    return pytest, {
        **tool_environment.tools(),
        "PYTHONPATH": os.pathsep.join(path),
        "DESCRING_PATIENCE_S": str(PATIENCE_S),
        "DESCRING_SHRINK": "0",
        "COLUMNS": "200",
        # Looking for plugins that are not needed takes as long as most tests.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


def first_failure(
    home: Path,
    arguments: Sequence[str],
    what: str,
    *,
    seconds: float = TIMEOUT_S,
    variables: Mapping[str, str] | None = None,
    memory_kib: int | None = None,
) -> Failure | None:
    """Run pytest with ``arguments`` in ``home``; return the first failure, None for none.

    A run without an end within ``seconds`` is a failure, and so is one that cannot import what it
    tests; ``what`` names the run where no test can be named. ``memory_kib`` bounds the address
    space of each process, for a loop that a mutant made endless may fill a list; None for no bound,
    which programs under a sanitizer need.

    Raises:
        MutantError: no test has run.
    """
    pytest, environment = command(home, ["-x", *arguments])
    bound = "unlimited" if memory_kib is None else memory_kib
    limited = ["sh", "-c", f'ulimit -v {bound}; exec "$@"', "sh", *pytest]
    with processes.start_group(limited, cwd=home, env=environment | dict(variables or {})) as run:
        try:
            output = run.communicate(timeout=seconds)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            return Failure(what, None, f"no end in {seconds:.0f} s")
        finally:
            processes.end_group(run)  # what the tests have started ends with them
    if run.returncode == 0:
        return None
    found = _FAILED.search(output)
    if found is not None:
        return Failure(found.group(1), found.group(2), found.group(3) or "failed")
    if run.returncode < 0:
        return Failure(what, None, f"ended by signal {-run.returncode}")
    if run.returncode == 5 or _NOTHING_RAN.search(output):
        raise MutantError(f"{what}: {output.strip()[-200:]}")
    why = _WHY.findall(output) or [output.strip()[-160:]]
    return Failure(what, None, f"no test runs: {' '.join(why[-1].split())}")
