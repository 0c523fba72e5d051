# SPDX-License-Identifier: Apache-2.0
"""Refusing work that does not fit into memory, before the system kills someone for it."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

from descring_model.program import DescringError

_CGROUP = Path("/sys/fs/cgroup")
GIB = 1 << 30


class MemoryNeededError(DescringError):
    """Something asks for more memory than there is."""


def available() -> int:
    """Bytes that this process can still get, by the machine, its control group and its limits."""
    limits = [_machine(), _control_group()]
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        limits.append(most)
    return min(limit for limit in limits if limit is not None)


def _machine() -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 1 << 62


def _control_group() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        most = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        return most - int((_CGROUP / "memory.current").read_text(encoding="ascii"))
    return None


def require(size: int, what: str, advice: str) -> None:
    """Refuse ``what``, which needs ``size`` bytes, if there is less.

    Raises:
        MemoryNeededError: with both figures, and the advice.
    """
    free = available()
    if size > free:
        raise MemoryNeededError(
            f"{what} needs about {size / GIB:.1f} GiB of memory, but {free / GIB:.1f} GiB are "
            f"available; {advice}"
        )
