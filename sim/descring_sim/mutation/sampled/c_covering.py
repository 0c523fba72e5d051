# SPDX-License-Identifier: Apache-2.0
"""Which tests execute a line of C: gcc's ``--coverage`` over the unchanged sources, read by gcov.

Processes that the tests start, and programs that they compile, are measured too. A process that is
killed leaves no counts, but a mark that it was there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from descring_sim.mutation import suite_run
from descring_sim.mutation.sampled import line_counts
from descring_sim.mutation.sampled.c_build import CountingRunner
from descring_sim.mutation.sampled.covering import MEASURE_S, Covering
from descring_sim.support import build_cache, processes
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import write_files

_SOURCES = (".c", ".h", ".py", ".sh", ".options")


@dataclass
class Lines:
    """What is known of the lines of a file.

    Attributes:
        code: those that the compiler has made code of.
        functions: first and last line of each function.
    """

    code: set[int] = field(default_factory=set)
    functions: set[tuple[int, int]] = field(default_factory=set)

    def around(self, lines: set[int]) -> set[int]:
        """Return the lines of the functions that ``lines`` are in, else all of the file."""
        around: set[int] = set()
        for first, last in self.functions:
            if any(first <= line <= last for line in lines):
                around |= self.code & set(range(first, last + 1))
        return around or self.code


@dataclass
class NativeCovering(Covering):
    """The measurements of the C sources of ``area``; ``runner`` makes the copy that counts."""

    runner: CountingRunner
    _lines: defaultdict[str, Lines] = field(default_factory=lambda: defaultdict(Lines))
    _executed: dict[str, dict[str, dict[str, set[int]]]] = field(default_factory=dict)
    """By test file, source and test function."""

    _uncounted: set[str] = field(default_factory=set)
    _keys: dict[str, str] = field(default_factory=dict)

    def _key(self, name: str) -> str:
        # What is measured is a copy, and the sources may change meanwhile.
        if name not in self._keys:
            self._keys[name] = self._key_now(name)
        return self._keys[name]

    def _key_now(self, name: str) -> str:
        home = self.area.folder
        tests = home / "tests"
        helpers = [p for p in tests.glob("*.py") if not p.name.startswith("test_")]
        # What runs of the C code is up to the Python around it.
        packages = [folder for folder in home.iterdir() if folder.name != "tests"]
        found = {path for folder in packages for path in folder.rglob("*")}
        sources = sorted(path for path in found if path.suffix in _SOURCES)
        files = [*sorted(helpers), *sources, tests / f"test_{name}.py"]
        names = [str(path.relative_to(home)) for path in files]
        return build_cache.key(["lines of C", *self.area.options, *names], files)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _measure(self, home: Path, name: str) -> str:
        test = home / "tests" / f"test_{name}.py"
        command, environment = suite_run.command(
            home, ["-p", line_counts.__name__, *self.area.options, str(test)]
        )
        with tempfile.TemporaryDirectory() as temporary:
            counts = Path(temporary) / "counts"
            environment |= self.runner.variables()
            environment |= {line_counts.COUNTS_VARIABLE: str(counts)}
            # Not among the output of programs, which tests read.
            environment |= {"GCOV_ERROR_FILE": str(Path(temporary) / "errors.txt")}
            started = time.monotonic()
            with processes.start_group(command, cwd=home, env=environment) as run:
                try:
                    output = run.communicate(timeout=MEASURE_S)[0].decode(errors="replace")
                except subprocess.TimeoutExpired:
                    raise SimulationError(f"{test.name}: no end in {MEASURE_S:.0f} s") from None
                finally:
                    processes.end_group(run)
            seconds = time.monotonic() - started
            noted = counts / line_counts.TESTS
            if not noted.is_file():
                raise SimulationError(f"{test.name} cannot be measured: {output.strip()[-300:]}")
            ran = json.loads(noted.read_text(encoding="utf-8"))
            found = self._read(home, counts, [*ran, line_counts.REST])
        took = {test: round(of["seconds"], 2) for test, of in ran.items() if of["ran"]}
        note = {"key": self._key(name), "seconds": round(seconds, 1), "tests": took, **found}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_files({self._file(name): json.dumps(note) + "\n"})
        self._know(name, seconds, took)
        failed = [test for test, of in ran.items() if of["failed"]]
        last = output.strip().splitlines()[-1]
        return f"test_{name}.py: {last}" + (f"; failed: {', '.join(failed)}" if failed else "")

    def _read(self, home: Path, counts: Path, tests: Sequence[str]) -> dict[str, Any]:
        """What gcov finds in the folders ``tests`` of ``counts``."""
        lines: defaultdict[str, Lines] = defaultdict(Lines)
        executed: defaultdict[str, dict[str, list[int]]] = defaultdict(dict)
        uncounted = []
        for test in tests:
            if any((counts / test).glob(f"{line_counts.UNCOUNTED}*")):
                uncounted.append(test)
            by_file: defaultdict[str, set[int]] = defaultdict(set)
            for entry in gcov(counts / test, self.runner.notes):
                path = os.path.relpath(entry["file"], home)
                if path not in self.area.files:
                    continue
                of_it = lines[path]
                of_it.code |= {line["line_number"] for line in entry["lines"]}
                of_it.functions |= {(f["start_line"], f["end_line"]) for f in entry["functions"]}
                by_file[path] |= {line["line_number"] for line in entry["lines"] if line["count"]}
            for path, found in by_file.items():
                if found:
                    executed[path][test] = sorted(found)
        known = {
            path: {"code": sorted(of_it.code), "functions": sorted(of_it.functions)}
            for path, of_it in lines.items()
        }
        return {"known": known, "executed": executed, "uncounted": uncounted}

    def _know(self, name: str, seconds: float, of_tests: Mapping[str, float]) -> None:
        noted = json.loads(self._file(name).read_text(encoding="utf-8"))
        for path, of_it in noted["known"].items():
            self._lines[path].code |= set(of_it["code"])
            self._lines[path].functions |= {(first, last) for first, last in of_it["functions"]}
        self._executed[name] = {
            path: {test: set(lines) for test, lines in by_test.items()}
            for path, by_test in noted["executed"].items()
        }
        file = f"tests/test_{name}.py"
        self._uncounted |= {f"{file}::{test}" for test in noted["uncounted"]}
        self._seconds[file] = seconds
        self._seconds |= {f"{file}::{test}": took for test, took in of_tests.items()}

    def tests_of(self, file: str, lines: Iterable[int], *, widely: bool = False) -> list[str]:
        """Return the tests that execute one of ``lines`` of ``file``, as nodes of pytest.

        The quickest first. Lines without code, as those of a table, stand for their function or
        file.

        Args:
            file: a source of the area.
            lines: of the statement that is changed.
            widely: take all lines of the function.
        """
        known = self._lines[file]
        wanted = set(lines)
        if widely or not wanted & known.code:
            wanted = known.around(wanted)
        nodes: list[str] = []
        files: list[str] = []
        for name in self.names:
            path = f"tests/test_{name}.py"
            of_file = self._executed[name].get(file, {})
            executing = {test for test, of_test in of_file.items() if of_test & wanted}
            own = [f"{path}::{test}" for test in executing]
            nodes += sorted(node for node in own if node in self._seconds)
            if line_counts.REST in executing and self.functions_of(name):
                files.append(path)
        return sorted(nodes or files[:1], key=self.seconds_of)

    def functions_of(self, name: str) -> list[str]:
        """Return the test functions of a test file that were measured, as nodes of pytest."""
        start = f"tests/test_{name}.py::"
        return [node for node in self._seconds if node.startswith(start)]

    def uncounted(self) -> list[str]:
        """Return the test functions of which a process was killed, with its counts."""
        return [node for node in self._seconds if node in self._uncounted]


def gcov(counts: Path, notes: Path) -> list[dict[str, Any]]:
    """Return what gcov reports of each source that the counts in a folder are of.

    Args:
        counts: the folder; the paths in it are those of the objects, from the root.
        notes: folder of the compiler's notes, with the same paths.

    Raises:
        SimulationError: there is no gcov, or it fails.
    """
    program = shutil.which("gcov")
    if program is None:
        raise SimulationError("no gcov found: apt-get install gcc")
    found = []
    for data in sorted(counts.rglob("*.gcda")):
        note = notes / data.relative_to(counts).with_suffix(".gcno")
        if note.is_file():
            data.with_suffix(".gcno").symlink_to(note)
            found.append(str(data))
    if not found:
        return []
    command = [program, "--json-format", "--stdout", *found]
    done = subprocess.run(command, cwd=counts, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SimulationError(f"gcov: {done.stderr.strip()[-200:]}")
    entries = []
    for line in done.stdout.splitlines():
        text = json.loads(line)
        folder = text["current_working_directory"]
        for entry in text["files"]:
            path = os.path.normpath(Path(folder, entry["file"]))
            entries.append({**entry, "file": path})
    return entries
