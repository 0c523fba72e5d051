# SPDX-License-Identifier: Apache-2.0
"""Draws the pictures of the pages: diagrams by D2, charts by matplotlib.

draw.py           draws those whose sources have changed
draw.py --all     draws all
draw.py --check   draws all, and fails if a picture in docs/pictures differs
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import charts
import pictures

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = (
    "--layout=elk",
    "--omit-version",
    "--elk-nodeNodeBetweenLayers=40",
    "--elk-edgeNodeBetweenLayers=25",
    "--elk-padding=[top=42,left=26,bottom=26,right=26]",
)


def _draw(name: str, files: tuple[str, ...]) -> str:
    source = ROOT / files[0]
    if source.suffix == ".json":
        svg = charts.draw(Path(name).stem, source)
    else:
        with tempfile.TemporaryDirectory() as folder:
            drawn = Path(folder) / "drawn.svg"
            done = subprocess.run(
                [Path(sys.executable).with_name("d2"), *OPTIONS, source, drawn],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if done.returncode != 0:
                raise SystemExit(f"{source}: d2 failed\n{done.stdout}")
            svg = drawn.read_text("utf-8")
    return pictures.stamped(svg, pictures.digest(ROOT, files))


def main(arguments: list[str]) -> int:
    """Draw, or compare; return the exit code."""
    if arguments not in ([], ["--all"], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = pictures.stale(ROOT)
    different = 0
    for name, files in pictures.sources(ROOT).items():
        if not arguments and name not in stale:
            continue
        svg = _draw(name, files)
        path = ROOT / name
        if path.exists() and path.read_text("utf-8") == svg:
            continue
        different += 1
        if arguments == ["--check"]:
            print(f"{name} is stale; `make pictures` draws it", file=sys.stderr)
        else:
            path.write_text(svg, "utf-8")
            print(f"drew {name}")
    return 1 if different and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
