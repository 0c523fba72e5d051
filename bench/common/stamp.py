# SPDX-License-Identifier: Apache-2.0
"""When, on what, and from which commit a result was measured."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from descring_model import contract

ROOT = Path(__file__).resolve().parents[2]


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def stamp(*folders: str) -> dict[str, Any]:
    """Date, commit, whether one of these folders differs from it, contract, machine and load."""
    changed = _git("status", "--porcelain", "--", *folders, ":!*.json")
    processors = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "commit": _git("rev-parse", "--short", "HEAD") + (" and changes" if changed else ""),
        "contract": f"{contract.CONTRACT_HASH:08x}",
        "processor": processors[0] if processors else "unknown",
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }
