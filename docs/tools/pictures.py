# SPDX-License-Identifier: Apache-2.0
"""Which picture is drawn from which files, and whether it is still drawn from them.

Each SVG names the digest of its sources, so that a stale one is found without drawing it again.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

FOLDER = "docs/pictures"
COMMON = f"{FOLDER}/common.d2"
CHARTS = {
    "chart-rings-in-memory": "docs/results/shell-throughput.json",
    "chart-host-latency": "docs/results/host.json",
    "chart-verilated": "docs/results/verilated.json",
    "chart-engine-tokens": "docs/results/engine-cuda.json",
    "chart-engine-staging": "docs/results/engine-staging.json",
    "chart-engine-latency": "docs/results/engine-host-load.json",
    "chart-engine-host-load": "docs/results/engine-host-load.json",
}
"""The charts, each with the results that it shows."""
DRAWN_BY_CHARTS = "docs/tools/charts.py"

_DIGEST = re.compile(r"<!-- drawn from ([0-9a-f]{64}) -->")


def sources(root: Path) -> dict[str, tuple[str, ...]]:
    """Return the files that each SVG of the folder is drawn from, as paths from ``root``."""
    found: dict[str, tuple[str, ...]] = {
        f"{FOLDER}/{chart}.svg": (data, DRAWN_BY_CHARTS) for chart, data in CHARTS.items()
    }
    for diagram in sorted((root / FOLDER).glob("*.d2")):
        if f"{FOLDER}/{diagram.name}" != COMMON:
            found[f"{FOLDER}/{diagram.stem}.svg"] = (f"{FOLDER}/{diagram.name}", COMMON)
    return found


def digest(root: Path, files: tuple[str, ...]) -> str:
    """Return the SHA-256 of the files' contents, one behind the other."""
    whole = hashlib.sha256()
    for name in files:
        whole.update((root / name).read_bytes())
    return whole.hexdigest()


def stamped(svg: str, value: str) -> str:
    """Return ``svg`` with the digest of its sources at its end."""
    return f"{svg.rstrip()}\n<!-- drawn from {value} -->\n"


def stale(root: Path) -> list[str]:
    """Return the pictures that are missing, or drawn from sources that have changed since."""
    found = []
    for name, files in sources(root).items():
        path = root / name
        stamp = _DIGEST.search(path.read_text("utf-8")) if path.exists() else None
        if stamp is None or stamp[1] != digest(root, files):
            found.append(name)
    return found
