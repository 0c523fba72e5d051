# SPDX-License-Identifier: Apache-2.0
"""The order of simulator runs: the longest first, so that no processor waits for the last one.

What a run took is kept beside the builds. One that has never been run counts by the RTL that its
block brings along: whole devices take longest.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from descring_sim.hdl import filelist
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import FileError, write_files

_FILE = "durations.json"
_SECONDS_A_FILE = 1.5
"""What one more source file adds to the guess at an unknown run."""


def known(build_root: Path) -> dict[str, float]:
    """Return the seconds of each run by its name, empty where none are kept."""
    with contextlib.suppress(OSError, ValueError):
        data = json.loads((build_root / _FILE).read_text(encoding="utf-8"))
        if isinstance(data, dict) and all(isinstance(value, float) for value in data.values()):
            return data
    return {}


def keep(build_root: Path, seconds: Mapping[str, float]) -> None:
    """Add ``seconds`` to what is kept; a full disk or a read-only folder only costs the order."""
    with contextlib.suppress(OSError, FileError):
        build_root.mkdir(parents=True, exist_ok=True)
        text = json.dumps(known(build_root) | dict(seconds), indent=1, sort_keys=True)
        write_files({build_root / _FILE: text})


def weight(build_root: Path) -> Callable[[str, str], float]:
    """Return a function from the name of a run and its block to the seconds it will take."""
    seconds = known(build_root)

    def of(name: str, block: str) -> float:
        return seconds.get(name) or _SECONDS_A_FILE * _files_of(block)

    return of


@functools.cache
def _files_of(block: str) -> int:
    try:
        return len(filelist.collect(paths.rtl_dir(), block).sources)
    except (SimulationError, OSError):
        return 1  # a testbench with sources of its own, or a folder that is no block
