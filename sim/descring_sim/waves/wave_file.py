# SPDX-License-Identifier: Apache-2.0
"""The signals and times of a wave file (FST)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descring_sim.support import environment, files
from descring_sim.support.errors import SimulationError
from descring_sim.waves import child

TIMEOUT_S = 120.0
"""For a file whose reader waits instead of working; what works has a limit of its own."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal of a wave file: its path, its bit range as in the file, and its width."""

    path: str
    span: str
    bits: int

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def scope(self) -> str:
        """The path without the last part."""
        return self.path.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class WaveFile:
    """What is in an FST file: its first and last time, in its own unit, and every signal."""

    start: int
    end: int
    signals: tuple[Signal, ...]


def read(wave: Path) -> WaveFile:
    """Read the FST file ``wave``, in a child process that it may crash.

    Raises:
        FileError: it cannot be read, or is no regular file.
        SimulationError: it is no FST file, was cut off, or is damaged.
    """
    with files.opened(wave), tempfile.TemporaryDirectory(prefix="descring-waves-") as name:
        # The library writes what it unpacks beside the file, and leaves it there when it crashes.
        # Its writer keeps the names of the signals in a second file until it closes the first.
        for suffix in ("", ".hier"):
            source = wave.resolve().with_name(f"{wave.resolve().name}{suffix}")
            if source.is_file():
                Path(name, f"waves.fst{suffix}").symlink_to(source)
        result = _in_child(wave, Path(name))
    try:
        start, end = result["times"]
        found = tuple(Signal(path, span, bits) for path, span, bits in result["signals"])
    except (KeyError, TypeError, ValueError) as error:
        raise _refused(wave, f"reading it gave {error}") from error
    return WaveFile(int(start), int(end), found)


def command(file: Path) -> list[str]:
    """What reads ``file``."""
    return [sys.executable, "-P", "-m", child.__name__, str(file)]


def _in_child(wave: Path, folder: Path) -> dict[str, Any]:
    output = folder / "signals.json"
    try:
        with output.open("wb") as file:
            ended = subprocess.run(
                command(folder / "waves.fst"),
                env=environment.tools(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.PIPE,
                timeout=TIMEOUT_S,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise _refused(wave, f"reading it had no end after {TIMEOUT_S:.0f} s") from None
    if ended.returncode < 0:
        by = signal.Signals(-ended.returncode).name
        raise _refused(wave, f"reading it ended by {by}")
    said = ended.stderr.decode(errors="replace").strip().splitlines()
    if ended.returncode == child.REFUSED and said:
        raise _refused(wave, said[-1])
    if ended.returncode or output.stat().st_size > 2 * child.MAX_RESULT:
        last = said[-1] if said else f"exit code {ended.returncode}"
        raise _refused(wave, f"its reader failed: {last}")
    result = json.loads(output.read_bytes())
    assert isinstance(result, dict)
    return result


def _refused(wave: Path, why: str) -> SimulationError:
    return SimulationError(
        f"{wave}: expected a whole wave file (FST), but {why}; record it again, to its end"
    )
