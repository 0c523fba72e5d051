# SPDX-License-Identifier: Apache-2.0
"""No file that people write is longer than a reader keeps in mind; the exceptions have a reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from descring_sim.support import paths

LIMIT = 400
FOLDERS = (
    "bench", "cocotb_tests", "cuda", "docs", "examples", "formal", "host", "pymodel", "rtl", "sim",
)  # fmt: skip
WRITTEN = {
    ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".md", ".pml", ".py", ".sby", ".sh", ".sv", ".svh",
    ".toml", ".ys",
}  # fmt: skip
GENERATED = ("Generated; do not edit", "do not edit, run `make gen`")
"""In the first lines of what ``make gen`` writes."""
MEASURED = Path("docs/results")
"""What runs write: as long as the table that they fill."""
LONGER = {
    "formal/comp_writer_props.sv": (431, "ties the writer's bursts, rings, words and rules"),
}
"""What is longer: by how much at most, and why it is not split."""


def written() -> Iterator[tuple[str, int]]:
    """Files that people write, by their place in the tree, with their numbers of lines."""
    root = paths.checkout_root()
    assert root is not None
    for path in (file for folder in FOLDERS for file in (root / folder).rglob("*")):
        place = path.relative_to(root)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in place.parts)
        if hidden or path.suffix not in WRITTEN or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        head = "\n".join(text.splitlines()[:4])
        if not place.is_relative_to(MEASURED) and not any(mark in head for mark in GENERATED):
            yield place.as_posix(), len(text.splitlines())


def test_no_file_is_longer_than_the_limit() -> None:
    """A file above it is split along its subjects, or has a reason in ``LONGER``."""
    lengths = dict(written())
    assert len(lengths) > 500, "the walk has lost most of the tree"
    found = {
        place: lines
        for place, lines in lengths.items()
        if lines > (LONGER[place][0] if place in LONGER else LIMIT)
    }
    assert not found, f"expected at most {LIMIT} lines, or those of LONGER, got {found}"
