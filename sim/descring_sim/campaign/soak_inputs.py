# SPDX-License-Identifier: Apache-2.0
"""A digest of everything that the outcome of a suite depends on.

RTL in reach of the top, parameters, simulator, and the Python files that the cases import. A
result is kept for as long as its digest stays the same, so a fix reruns the suites that it touches
and no others.
"""

from __future__ import annotations

import ast
import importlib.metadata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from descring_sim.cosim.block import Suite
from descring_sim.cosim.simulators import Simulator
from descring_sim.hdl import filelist
from descring_sim.support import build_cache, paths

_LIBRARIES = ("cocotb", "cocotb-bus", "cocotbext-axi", "numpy")


def _roots(tests_dir: Path) -> tuple[Path, ...]:
    root = paths.checkout_root()
    if root is None:
        return (tests_dir, Path(__file__).resolve().parents[1])
    return (tests_dir, *(root / name for name in ("pymodel", "host", "sim", "cuda")))


def _files_of(module: str, roots: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that an import of ``module`` executes, as far as they lie below ``roots``."""
    parts = module.split(".")
    for root in roots:
        if not (root / parts[0]).is_dir():
            continue
        for end in range(1, len(parts) + 1):
            at = root.joinpath(*parts[:end])
            for file in (at / "__init__.py", at.with_suffix(".py")):
                if file.is_file():
                    yield file


@cache
def _imports(file: Path, modified_ns: int) -> frozenset[str]:
    """Return the names of all modules that ``file`` may import, and some that are none."""
    del modified_ns  # of the key: a file that is edited is read again
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def python_files(module: str, tests_dir: Path) -> list[Path]:
    """Return the project's files that an import of the cases ``module`` may reach, sorted."""
    roots = _roots(tests_dir)
    found: set[Path] = set()
    pending = [module]
    seen = {module}
    while pending:
        for file in _files_of(pending.pop(), roots):
            if file not in found:
                found.add(file)
                new = _imports(file, file.stat().st_mtime_ns) - seen
                seen |= new
                pending += new
    return sorted(found)


def digest(suite: Suite, simulator: Simulator, tests_dir: Path, rtl_dir: Path) -> str:
    """Return the digest of all inputs of ``suite`` on ``simulator``."""
    rtl = filelist.collect(suite.of.rtl_dir or rtl_dir, suite.of.top)
    versions = [importlib.metadata.version(name) for name in _LIBRARIES]
    identity = [simulator.name, simulator.version, suite.of.top, suite.name]
    options = [sorted(suite.parameters.items()), sorted(suite.of.extra_env.items())]
    files = (*rtl.files, *python_files(suite.cases, tests_dir))
    return build_cache.key([*identity, *options, versions], files)
