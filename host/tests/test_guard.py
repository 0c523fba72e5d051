# SPDX-License-Identifier: Apache-2.0
"""The guard of the native loops: it finds nothing in them, and what is planted it names."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

PLAIN = Path(__file__).parents[1] / "native" / "check" / "plain.sh"


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="system calls are trapped on x86-64")
def test_the_loops_neither_allocate_nor_call_nor_fault() -> None:
    """[MET-004] ``make guard`` has 10^8 lines, and a control of each kind in each region."""
    found = subprocess.run([PLAIN, "guard", "200000"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    rows = found.stdout.splitlines()
    # Each region reports when it ends, the worker's beside the other two.
    assert {row[:23].strip() for row in rows[:3]} == {
        "region submit and poll",
        "region rollouts",
        "region worker",
    }
    assert all(row.endswith(" 0 allocations, 0 system calls, 0 page faults") for row in rows[:3])
