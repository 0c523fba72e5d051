# SPDX-License-Identifier: Apache-2.0
"""Which SystemVerilog files a top module needs, in an order that a compiler accepts.

Only the files in reach of the top are built, so that a change to one module rebuilds the tops that
contain it and no others. Dependencies are found by name: a file depends on every other file whose
module or package it mentions outside comments. A mention that is no instance adds a file that is
compiled and not elaborated, which is harmless.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from descring_sim.support.errors import SimulationError

TOPS = ("rl_runtime_mmio", "rl_runtime_axi")
"""The two devices: what the others are parts of."""

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_DEFINITION = re.compile(r"\b(module|package)\s+(?:automatic\s+|static\s+)?([A-Za-z_]\w*)")
_INCLUDE = re.compile(r'`include\s+"([^"]+)"')
_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class SourceSet:
    """Files of one top module: sources in compile order, and the headers they include."""

    sources: tuple[Path, ...]
    headers: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (*self.sources, *self.headers)


@dataclass(frozen=True)
class _File:
    path: Path
    defined: Mapping[str, str]  # name -> "module" or "package"
    words: frozenset[str]
    includes: tuple[str, ...]


def _read(path: Path) -> _File:
    text = _COMMENT.sub(" ", path.read_text(encoding="utf-8", errors="replace"))
    return _File(
        path=path,
        defined={name: kind for kind, name in _DEFINITION.findall(text)},
        words=frozenset(_WORD.findall(text)),
        includes=tuple(_INCLUDE.findall(text)),
    )


def _files(rtl_dir: Path) -> list[_File]:
    files = [_read(path) for path in sorted(rtl_dir.glob("*.sv"))]
    if not files:
        raise SimulationError(f"expected SystemVerilog sources (*.sv) in {rtl_dir}, found none")
    return files


def modules(rtl_dir: Path) -> list[str]:
    """Return the names of all modules defined in ``rtl_dir``, sorted."""
    return sorted(
        name for file in _files(rtl_dir) for name, kind in file.defined.items() if kind == "module"
    )


def collect(rtl_dir: Path, top: str) -> SourceSet:
    """Return what ``top`` needs from ``rtl_dir``.

    Raises:
        SimulationError: no file defines ``top``, or an included header is missing.
    """
    files = _files(rtl_dir)
    owner: dict[str, _File] = {}
    for file in files:
        for name in file.defined:
            if name in owner:
                raise SimulationError(
                    f"{name} is defined in both {owner[name].path} and {file.path}; remove one"
                )
            owner[name] = file
    if owner.get(top) is None or owner[top].defined[top] != "module":
        raise SimulationError(
            f"no module {top!r} in {rtl_dir}; modules there: {', '.join(modules(rtl_dir))}"
        )

    ordered: list[_File] = []
    visited: set[Path] = set()

    def visit(file: _File) -> None:
        if file.path in visited:
            return
        visited.add(file.path)
        for word in sorted(file.words & owner.keys()):
            visit(owner[word])
        ordered.append(file)

    visit(owner[top])
    # A package must be compiled before its first importer; the walk above ensures it, except where
    # two files mention each other, so packages go first. The sort is stable.
    ordered.sort(key=lambda file: "package" not in file.defined.values())
    return SourceSet(tuple(file.path for file in ordered), _headers(rtl_dir, ordered))


def _headers(rtl_dir: Path, files: list[_File]) -> tuple[Path, ...]:
    found: dict[Path, None] = {}
    pending = [(file.path, name) for file in files for name in file.includes]
    while pending:
        includer, name = pending.pop()
        header = rtl_dir / name
        if not header.is_file():
            raise SimulationError(f"{includer} includes {name!r}, which is not in {rtl_dir}")
        if header not in found:
            found[header] = None
            pending += [(header, inner) for inner in _read(header).includes]
    return tuple(sorted(found))
