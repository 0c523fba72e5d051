# SPDX-License-Identifier: Apache-2.0
"""Elaborates SystemVerilog with pyslang, which is imported late: it takes long to load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from descring_sim.hdl import filelist
from descring_sim.support.errors import SimulationError

if TYPE_CHECKING:
    import pyslang
    from pyslang import ast


class ElaborationError(SimulationError):
    """The sources do not elaborate, so that they cannot be checked."""


def elaborate(files: Sequence[Path]) -> tuple[ast.Compilation, pyslang.SourceManager]:
    """The design in ``files``, all of them together, and where its parts stand.

    Raises:
        ElaborationError: slang finds an error.
        SimulationError: pyslang is not installed.
    """
    try:
        import pyslang
        from pyslang import ast, syntax
    except ImportError as error:
        raise SimulationError("pyslang is missing; run: pip install 'descring[dev]'") from error

    manager = pyslang.SourceManager()
    for folder in {file.parent for file in files}:
        manager.addUserDirectories(str(folder))
    compilation = ast.Compilation()
    for file in files:
        compilation.addSyntaxTree(syntax.SyntaxTree.fromFile(str(file), manager))
    engine = pyslang.DiagnosticEngine(manager)
    errors = [item for item in compilation.getAllDiagnostics() if item.isError()]
    if errors:
        first = errors[0]
        raise ElaborationError(
            f"{manager.getFileName(first.location)}:{manager.getLineNumber(first.location)}: "
            f"error: {engine.formatMessage(first)} (first of {len(errors)} errors); the source "
            "must elaborate before it can be checked"
        )
    return compilation, manager


def module(rtl: Path, name: str) -> ast.InstanceSymbol:
    """A module of ``rtl`` with its default parameters, elaborated as a top."""
    compilation, _ = elaborate(filelist.collect(rtl, name).sources)
    top: ast.InstanceSymbol
    (top,) = [item for item in compilation.getRoot().topInstances if item.name == name]
    return top


def parameters(top: ast.InstanceSymbol) -> dict[str, str]:
    """The parameters of a module's header, and their values as numbers in SystemVerilog."""
    return {
        item.name: str(item.value.convertToInt())
        for item in top.body.parameters
        if not item.isLocalParam
    }
