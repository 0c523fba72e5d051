# SPDX-License-Identifier: Apache-2.0
"""A contract for import-linter: some modules may import the standard library and themselves only.

import-linter's own contract takes a list of forbidden packages; one that is missing from the list
would pass. ``pyproject.toml`` registers this contract and applies it.
"""

from __future__ import annotations

import sys
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class StandardLibraryOnly(Contract):
    """Every import from below ``package`` is of ``package`` itself or of the standard library."""

    package = fields.StringField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Check every import, those of functions and of TYPE_CHECKING as the graph has them."""
        package: Any = self.package
        own = {package, *graph.find_descendants(package)}
        foreign = [
            (importer, imported)
            for importer in sorted(own)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if imported not in own and imported.partition(".")[0] not in sys.stdlib_module_names
        ]
        return ContractCheck(kept=not foreign, metadata={"foreign": foreign})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each import that must not be."""
        for importer, imported in check.metadata["foreign"]:
            output.print_error(
                f"{importer} imports {imported}; expected the standard library only", bold=True
            )
