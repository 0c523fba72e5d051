# SPDX-License-Identifier: Apache-2.0
"""Writes ``docs/reference/ports.md``: parameters and ports of every RTL module.

Names, directions and widths are those that slang elaborates with the default parameters; the
meaning is the comment above the declaration, which holds for every line up to the next comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from descring_sim.hdl import filelist, slang
from descring_sim.support.errors import SimulationError
from descring_sim.support.markdown import GENERATED, table

if TYPE_CHECKING:
    from pyslang import ast

_INTRODUCTION = """\
# Modules and ports

Widths are those with the default parameters. All ports are synchronous to `clk_i`; `rst_ni` is a
synchronous active-low reset. AXI ports have the standard's signal names in lower case, with a
prefix and without a direction suffix, so that tools recognise them; all other ports end in `_i` or
`_o`.
[The architecture](../architecture.md#rtl) shows how the modules are connected.

"""
_NAME = re.compile(r"(\w+)(?:\s*=[^,]*)?,?\s*$")
_COMMENT = "//"


@dataclass(frozen=True)
class _Declared:
    """A line of a module's header: the name it declares, and the comment that it stands under."""

    name: str
    comment: str


def render(root: Path) -> str:
    """Return the page for the modules in ``rtl/`` of a checkout.

    Raises:
        SimulationError: a module does not elaborate, or a port is not declared on a line of its own
            below a comment.
    """
    rtl = root / "rtl"
    names = filelist.modules(rtl)
    # The devices first.
    ordered = [*filelist.TOPS, *(name for name in names if name not in filelist.TOPS)]
    links = ", ".join(f"[`{name}`](#{name})" for name in ordered)
    return GENERATED + _INTRODUCTION + links + "\n\n" + "".join(_module(rtl, n) for n in ordered)


def parameters(rtl: Path, name: str) -> dict[str, tuple[int, str]]:
    """Default and meaning of each parameter of a module in ``rtl``, in the order of its header.

    Raises:
        SimulationError: the module does not elaborate.
    """
    meanings = {item.name: item.comment for item in _header(rtl / f"{name}.sv", name)}
    return {
        parameter: (int(default), meanings.get(parameter, ""))
        for parameter, default in slang.parameters(slang.module(rtl, name)).items()
    }


def _module(rtl: Path, name: str) -> str:
    top = slang.module(rtl, name)
    path = rtl / f"{name}.sv"
    declared = _header(path, name)
    text = f"## `{name}`\n\n{_purpose(path)}\n\n"
    if found := slang.parameters(top):
        text += table(
            ("parameter", "default", "meaning"),
            _rows(
                path,
                declared,
                [(item, (f"`{item}`", f"{default}")) for item, default in found.items()],
            ),
        )
    return text + table(
        ("port", "direction", "bits", "meaning"),
        _rows(path, declared, [(port.name, _port(port)) for port in top.body.portList]),
    )


def _port(port: ast.PortSymbol) -> tuple[str, ...]:
    direction = {"In": "in", "Out": "out"}[port.direction.name]
    dimensions = re.findall(r"\[\d+:\d+\]", str(port.type))
    bits = dimensions[0].strip("[]") if dimensions else "1"
    return f"`{port.name}`", direction, bits


def _rows(
    path: Path, declared: Sequence[_Declared], cells: Sequence[tuple[str, tuple[str, ...]]]
) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each name with its comment, which only the first of a group repeats."""
    comments = {item.name: item.comment for item in declared}
    shown = ""
    for name, columns in cells:
        if not comments.get(name):
            raise SimulationError(
                f"{path}: expected {name} on a line of its own below a comment with its meaning, "
                "got none; write the comment, which the page of ports repeats"
            )
        yield (*columns, "" if comments[name] == shown else comments[name])
        shown = comments[name]


def _header(path: Path, name: str) -> list[_Declared]:
    """Return what the lines between ``module`` and the end of its port list declare."""
    found: list[_Declared] = []
    comment: list[str] = []
    ended = True
    lines = iter(path.read_text("utf-8").splitlines())
    for line in lines:
        if line.startswith(f"module {name}"):
            break
    for line in lines:
        words = line.strip()
        if words == ");":
            break
        if words.startswith(_COMMENT):
            if ended:
                comment = []
            comment.append(words.removeprefix(_COMMENT).strip())
            ended = False
        elif words == ") (":
            comment = []
        elif declaration := _NAME.search(words):
            found.append(_Declared(declaration[1], " ".join(comment)))
            ended = True
    return found


def _purpose(path: Path) -> str:
    """Return the first paragraph of the comment that a source begins with, behind its licence."""
    paragraph: list[str] = []
    for line in path.read_text("utf-8").splitlines()[1:]:
        words = line.removeprefix(_COMMENT).strip()
        if not line.startswith(_COMMENT) or (paragraph and not words):
            break
        if words:
            paragraph.append(words)
    if not paragraph:
        raise SimulationError(f"{path}: expected a comment with the module's purpose, got none")
    return " ".join(paragraph)
