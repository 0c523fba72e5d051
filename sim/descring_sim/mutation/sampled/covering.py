# SPDX-License-Identifier: Apache-2.0
"""Which tests execute a line: pytest-cov over the unchanged sources, one data file a test file.

Processes that the tests start are measured too; their lines name the test file alone, as do those
that run when a module is imported. A measurement is kept as long as the sources, the helpers of the
suite and its test file are the same.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import click
from coverage import CoverageData

from descring_sim.mutation import suite_run
from descring_sim.mutation.sampled.suites import Area, SuiteJudge
from descring_sim.mutation.session import CopyRunner, Once
from descring_sim.support import build_cache
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import write_files

MEASURE_S = 1200.0
"""Longest measurement of a test file."""

_CONFIG = "[run]\npatch = subprocess\nsigterm = true\ndisable_warnings = no-data-collected\n"
_DURATION = re.compile(
    r"^ *([\d.]+)s (?:call|setup|teardown) +\S*?(test_\w+)\.py::([^\s\[]+)", re.M
)
_MEASURED = (0, 1)
"""Exit codes of pytest that measured: a test that fails has executed its lines as well."""


@dataclass
class Covering:
    """The measurements of the suite of ``area``.

    Attributes:
        area: sources and tests.
        runner: makes the copy that is measured.
        folder: where measurements are kept.
        names: of the test files, by their stem without ``test_``, in the order to run them.
    """

    area: Area
    runner: CopyRunner
    folder: Path
    names: Sequence[str]
    _data: dict[str, CoverageData] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)

    def _key(self, name: str) -> str:
        """Names all that the measurement of a test file depends on."""
        tests = self.area.folder / "tests"
        helpers = [p for p in tests.glob("*.py") if not p.name.startswith("test_")]
        sources = [self.area.folder / file for file in self.area.files]
        files = [*sorted(helpers), *sources, tests / f"test_{name}.py"]
        return build_cache.key(["durations", *self.area.options, *map(str, files)], files)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.coverage"

    def measure(self, jobs: int) -> None:
        """Measure what is not known yet, ``jobs`` test files at a time.

        Raises:
            SimulationError: a test file cannot be run.
        """
        left = []
        for name in self.names:
            note = self._file(name).with_suffix(".json")
            known = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
            if known.get("key") == self._key(name) and self._file(name).is_file():
                self._know(name, float(known["seconds"]), known["tests"])
            else:
                left.append(name)
        if not left:
            return
        home = self.runner.copy("measured")
        try:
            with ThreadPoolExecutor(jobs) as pool:
                tries = [pool.submit(self._measure, home, name) for name in left]
                try:
                    for number, done in enumerate(as_completed(tries), start=1):
                        click.echo(f"[{number}/{len(left)}] measured {done.result()}", err=True)
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
        finally:
            self.runner.clean(home)

    def _measure(self, home: Path, name: str) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        data, config = self._file(name), self.folder / "coverage.ini"
        write_files({config: _CONFIG})
        data.unlink(missing_ok=True)
        arguments = ["-p", "pytest_cov.plugin", "--cov-context=test", "--cov-report="]
        arguments += [f"--cov-config={config}", "--durations=0", *self.area.options]
        packages = {file.partition("/")[0] for file in self.area.files}
        arguments += [f"--cov={home / package}" for package in sorted(packages)]
        command, environment = suite_run.command(
            home, [*arguments, str(home / "tests" / f"test_{name}.py")]
        )
        environment |= {"COVERAGE_FILE": str(data)}
        started = time.monotonic()
        done = subprocess.run(
            command,
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
            timeout=MEASURE_S,
            check=False,
        )
        seconds = time.monotonic() - started
        last = (done.stdout + done.stderr).strip()[-300:]
        # No test of the file may be left by the options.
        if done.returncode == 5:
            CoverageData(str(data)).touch_file("nothing")
        elif done.returncode not in _MEASURED:
            raise SimulationError(f"test_{name}.py cannot be measured: {last}")
        of_tests: defaultdict[str, float] = defaultdict(float)
        for took, _, test in _DURATION.findall(done.stdout):
            of_tests[test] += round(float(took), 2)
        self._know(name, seconds, of_tests)
        note = {"key": self._key(name), "seconds": round(seconds, 1), "tests": of_tests}
        write_files({data.with_suffix(".json"): json.dumps(note) + "\n"})
        return f"test_{name}.py: {last.splitlines()[-1]}"

    def _know(self, name: str, seconds: float, of_tests: Mapping[str, float]) -> None:
        self._data[name] = data = CoverageData(str(self._file(name)))
        data.read()
        file = f"tests/test_{name}.py"
        self._seconds[file] = seconds
        self._seconds |= {f"{file}::{test}": took for test, took in of_tests.items()}

    def tests_of(self, file: str, lines: Iterable[int]) -> list[str]:
        """Return the tests that execute one of ``lines`` of ``file``, as nodes of pytest.

        The quickest first: test functions, where they execute it themselves; else the test files
        whose processes do, or import the file.
        """
        nodes, files = self._executing(file, lines)
        return sorted(nodes or files, key=self.seconds_of)

    def files_of(self, file: str, lines: Iterable[int]) -> list[str]:
        """Return the test files of which no function executes one of ``lines``, but something.

        A line that runs when the file is imported is a test function's own only where that imports
        it again; all others depend on what it did.
        """
        return sorted(self._executing(file, lines)[1], key=self.seconds_of)

    def importing(self, file: str) -> list[str]:
        """Return the test files that execute anything of ``file``, the quickest first."""
        measured = self._measured(file)
        return sorted(
            (
                f"tests/test_{name}.py"
                for name in self.names
                if measured in self._data[name].measured_files()
            ),
            key=self.seconds_of,
        )

    def _measured(self, file: str) -> str:
        return str(self.runner.root / "measured" / self.area.folder.name / file)

    def _executing(self, file: str, lines: Iterable[int]) -> tuple[list[str], list[str]]:
        """The test functions that execute one of ``lines``, and files of which only others do."""
        wanted = set(lines)
        measured = self._measured(file)
        nodes: list[str] = []
        files: list[str] = []
        for name in self.names:
            by_line = self._data[name].contexts_by_lineno(measured)
            contexts = {c for line in wanted & set(by_line) for c in by_line[line]}
            own = {c.partition("|")[0].partition("::")[2].partition("[")[0] for c in contexts if c}
            if own:
                nodes += sorted(f"tests/test_{name}.py::{test}" for test in own)
            elif contexts:
                files.append(f"tests/test_{name}.py")
        return nodes, files

    def seconds_of(self, node: str) -> float:
        """Return the seconds that ``node`` took on the unchanged sources."""
        return self._seconds.get(node, 0.0)


_Measured = TypeVar("_Measured", bound=Covering)


@dataclass
class CoveringJudge(SuiteJudge, Generic[_Measured]):
    """Judges changes by the tests that execute them, which are measured at the first change.

    Attributes:
        jobs: how many test files are measured at a time.
    """

    jobs: int = 2
    _covering: Once[Path, _Measured] = field(default_factory=Once)

    def _covering_of(self, area: Area, folder: Path) -> _Measured:
        """Return the measurements of ``area``, kept in ``folder``, before any is made."""
        raise NotImplementedError

    def _soonest(self, covering: _Measured, nodes: Iterable[str]) -> list[str]:
        """``nodes`` by how many mutants each has killed for the time that it takes."""

        def rank(node: str) -> tuple[float, float]:
            seconds = covering.seconds_of(node)
            return -self._kills[covering.area.folder, node] / (1.0 + seconds), seconds

        return sorted(nodes, key=rank)

    def _measured(self, area: Area) -> _Measured:
        def find() -> _Measured:
            covering = self._covering_of(area, self.out / "measured" / area.folder.name)
            covering.measure(self.jobs)
            return covering

        return self._covering.get(area.folder, find)
