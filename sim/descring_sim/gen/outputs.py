# SPDX-License-Identifier: Apache-2.0
"""The generated files: what each should hold, writing them, and finding those that are stale."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from descring_sim.gen import (
    c_header,
    contract_doc,
    dut_header,
    engine_doc,
    engine_header,
    engine_vectors,
    requirements,
    rollout_doc,
    rollout_header,
    systemrdl,
    systemverilog,
)
from descring_sim.gen.citations import scan
from descring_sim.support.files import write_files

PACKAGE = "rtl/hw_desc_pkg.sv"
REGISTERS = "rtl/descring_regs.rdl"
HEADER = "host/include/hw_desc.h"
DUT_HEADER = "host/include/descring_dut.h"
CONTRACT_PAGE = "docs/contract.md"
ROLLOUT_HEADER = "host/include/hw_rollouts.h"
ROLLOUT_PAGE = "docs/rollout-contract.md"
ENGINE_HEADER = "host/include/hw_engine_data.h"
ENGINE_PAGE = "docs/engine-contract.md"
ENGINE_VECTORS = "docs/engine-vectors.json"
REQUIREMENTS_PAGE = "docs/requirements.md"

DIFF_LINES = 20


@dataclass(frozen=True)
class Stale:
    """A generated file that does not hold what it should, and how it differs."""

    path: str
    diff: str


def render_all(root: Path) -> dict[str, str]:
    """The text that every generated file should have, by its path from ``root``.

    Raises:
        SimulationError: a test file, read for the requirements page, is no Python.
    """
    return {
        PACKAGE: systemverilog.render(),
        REGISTERS: systemrdl.render(),
        HEADER: c_header.render(),
        DUT_HEADER: dut_header.render(),
        CONTRACT_PAGE: contract_doc.render(),
        ROLLOUT_HEADER: rollout_header.render(),
        ROLLOUT_PAGE: rollout_doc.render(),
        ENGINE_HEADER: engine_header.render(),
        ENGINE_PAGE: engine_doc.render(),
        ENGINE_VECTORS: engine_vectors.render(),
        REQUIREMENTS_PAGE: requirements.render(scan(root)),
    }


def _present(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", errors="backslashreplace")
    except FileNotFoundError:
        return None


def write(root: Path, texts: Mapping[str, str]) -> list[str]:
    """Bring the files of ``texts`` up to date and return the paths of those that changed."""
    changed = [path for path, text in texts.items() if _present(root / path) != text]
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write_files({root / path: texts[path]})
    return changed


def stale(root: Path, texts: Mapping[str, str]) -> list[Stale]:
    """The files of ``texts`` that are missing or differ, each with the start of its diff."""
    found = []
    for path, text in texts.items():
        present = _present(root / path)
        if present == text:
            continue
        if present is None:
            found.append(Stale(path, "(the file is missing)"))
            continue
        lines = difflib.unified_diff(
            present.splitlines(), text.splitlines(), path, f"{path} (regenerated)", n=1, lineterm=""
        )
        shown = list(islice(lines, DIFF_LINES))
        more = sum(1 for _ in lines)
        if not shown:
            shown = ["(only the ends of lines differ)"]
        if more:
            shown.append(f"... {more} more lines of difference")
        found.append(Stale(path, "\n".join(shown)))
    return found
