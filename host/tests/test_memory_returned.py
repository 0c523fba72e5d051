# SPDX-License-Identifier: Apache-2.0
"""Memory of the native core is given back, also by a call that finds that there is none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).resolve().parents[1] / "native"
WRAPPED = (
    *("malloc", "calloc", "realloc", "aligned_alloc", "free"),
    *("pthread_create", "pthread_join"),
)
OBJECTS = {
    *("slab", "arena and tree", "policy", "run", "log"),
    *("device and queue", "refused queue", "role"),
}


@pytest.mark.slow
def test_each_block_is_given_back_whichever_allocation_fails(tmp_path: Path) -> None:
    """[PIPE-013] [LIFE-001]: every object, opened with each allocation failing in turn."""
    sources = [
        *NATIVE.glob("*.c"),
        *NATIVE.glob("rollouts/*.c"),
        NATIVE / "check" / "allocations.c",
    ]
    flags = ["-std=c11", "-g", "-O0", "-fno-strict-aliasing", "-pthread"]
    flags += [f"-Wl,--wrap={name}" for name in WRAPPED]
    flags += [f"-I{NATIVE}", f"-I{NATIVE.parent / 'include'}", "-o", str(tmp_path / "allocations")]
    subprocess.run(["cc", *flags, *map(str, sources)], check=True, timeout=120)
    result = subprocess.run(
        [str(tmp_path / "allocations")], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert {line.split(":")[0] for line in result.stdout.splitlines()} == OBJECTS
