# SPDX-License-Identifier: Apache-2.0
"""Finds hand-written part-selects of a descriptor in the RTL.

A descriptor is taken apart through the generated struct ``hw_desc_t`` alone: an offset typed by
hand would continue reading the old place after the contract has moved a field. The design is
elaborated, so that a signal counts by its width and not by its name: selecting from a value made of
whole lines must yield whole lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from descring_model import contract

from descring_sim.hdl.slang import elaborate
from descring_sim.support.errors import SimulationError

EXEMPT = frozenset({"hw_desc_pkg.sv", "crc32c.sv"})
"""The generated package, and the checksum, which is defined on the bits of a line as such."""


@dataclass(frozen=True, order=True)
class Finding:
    """One part-select, where it stands and its text."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}:{self.column}: part-select of a descriptor: {self.text}; "
            "assign the line to an hw_desc_t and use its field"
        )


@dataclass(frozen=True)
class Result:
    """What was found, and in how many files it was looked for."""

    findings: tuple[Finding, ...]
    files: int


def _sources(paths: Iterable[Path]) -> list[Path]:
    files: set[Path] = set()
    for path in paths:
        files.update(path.glob("*.sv") if path.is_dir() else [path])
    if all(file.name in EXEMPT for file in files):
        raise SimulationError("expected hand-written SystemVerilog (*.sv) to lint, found none")
    return sorted(files)


def lint_rtl_selects(paths: Sequence[Path]) -> Result:
    """Look through ``paths``, files or folders of ``*.sv``, which must elaborate together.

    Raises:
        SimulationError: there is nothing to examine, pyslang is missing, or the sources do not
            elaborate, so that they could not be checked.
    """
    files = _sources(paths)
    compilation, manager = elaborate(files)
    from pyslang import ast

    found: set[Finding] = set()

    def visit(node: object) -> ast.VisitAction:
        if isinstance(node, ast.RangeSelectExpression | ast.ElementSelectExpression):
            value, selected = node.value.type, node.type
            if (
                value.isIntegral
                and value.bitWidth % contract.DESC_BITS == 0
                and selected.bitWidth % contract.DESC_BITS != 0
            ):
                start = manager.getFullyExpandedLoc(node.sourceRange.start)
                name = manager.getFileName(start)
                if Path(name).name not in EXEMPT:
                    found.add(
                        Finding(
                            name,
                            manager.getLineNumber(start),
                            manager.getColumnNumber(start),
                            " ".join(str(node.syntax).split()),
                        )
                    )
        return ast.VisitAction.Advance

    compilation.getRoot().visit(visit)
    return Result(tuple(sorted(found)), len([file for file in files if file.name not in EXEMPT]))
