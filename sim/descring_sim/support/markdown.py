# SPDX-License-Identifier: Apache-2.0
"""The little Markdown that the generated pages need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

GENERATED = "<!-- Generated; do not edit. Run `make gen`. -->\n"


def cell(text: str) -> str:
    """``text`` as one cell of a table: a bar in it must not end the cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a closing empty line; ``ValueError`` if a row has another number of cells."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"a row of {len(row)} cells in a table of {len(head)}: {row}")
        lines.append("| " + " | ".join(cell(item) for item in row) + " |")
    return "\n".join(lines) + "\n\n"
