# SPDX-License-Identifier: Apache-2.0
"""Views for wave files: what Surfer and GTKWave show when they open one.

A view is made for each wave file, beside it, from the names that are in it, so that it fits to any
testbench, any number of workers and either simulator. It has four groups:

ports    what goes in and out of the top module
rings    heads, tails, indices and occupancy of every ring and FIFO
states   every state machine, by the names of its states
fields   every line that the RTL reads, decoded (Verilator alone records the parts of a struct)

GTKWave can take a vector apart, so its view decodes the lines on the ports too, in every file.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pylibfst  # type: ignore[import-untyped]
from descring_model import contract

from descring_sim.support import paths
from descring_sim.support.errors import SimulationError

GROUPS = ("ports", "rings", "states", "fields")

_RING = re.compile(r"((\w*_)?(head|tail|index|turn|count|occupancy)(_q)?|in_flight_q)$", re.ASCII)
_ENUM = re.compile(r"typedef\s+enum\s+logic\s*(?:\[[^\]]*\])?\s*\{([^}]*)\}\s*(\w+)\s*;")
_MODULE = re.compile(r"^\s*module\s+(\w+)", re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*")
_FIELDS = frozenset(field.name for field in contract.FIELDS)
_HEX, _OPCODE, _STATE, _COMMENT_FLAG = 0x22, 0x2022, 0x1_0000_2028, 0x200
"""GTKWave's display flags: right-justified hexadecimal; the same through a table; right-justified
binary, through the file's enumeration if it has one (Verilator's have), else through a table; a
heading."""

_FRAMES = 2
"""GTKWave's zoom counts in frames of 200 pixels; so many show all the waves in a small window."""


@dataclass(frozen=True)
class Signal:
    """A signal of a wave file: its path, its bit range as in the file, and its width."""

    path: str
    span: str
    bits: int

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def scope(self) -> str:
        """The path without the last part."""
        return self.path.rpartition(".")[0]


@contextlib.contextmanager
def _reader(wave: Path) -> Iterator[Any]:
    reader = pylibfst.lib.fstReaderOpen(str(wave).encode())
    if reader == pylibfst.ffi.NULL:
        raise SimulationError(f"{wave}: expected a wave file (FST) that was closed in order")
    try:
        yield reader
    finally:
        pylibfst.lib.fstReaderClose(reader)


def signals(wave: Path) -> list[Signal]:
    """Every signal of an FST file, in the file's order.

    Raises:
        SimulationError: it is none, or was cut off.
    """
    with _reader(wave) as reader:
        _, found = pylibfst.get_scopes_signals2(reader)
        result = []
        for name, signal in found.by_name.items():
            path, _, span = name.partition(" ")
            result.append(Signal(path, span, int(signal.length)))
        return result


def times(wave: Path) -> tuple[int, int]:
    """The first and the last time of an FST file, in its own unit.

    Raises:
        SimulationError: it is none, or was cut off.
    """
    with _reader(wave) as reader:
        lib = pylibfst.lib
        return int(lib.fstReaderGetStartTime(reader)), int(lib.fstReaderGetEndTime(reader))


@functools.cache
def state_names(rtl_dir: Path) -> dict[str, tuple[str, ...]]:
    """The states of each module's machine, from the type ``state_e`` in its source."""
    names = {}
    for file in sorted(rtl_dir.glob("*.sv")):
        text = _COMMENT.sub("", file.read_text(encoding="utf-8", errors="replace"))
        module = _MODULE.search(text)
        for body, kind in _ENUM.findall(text):
            if module and kind == "state_e":
                states = [entry.partition("=")[0].strip() for entry in body.split(",")]
                names[module[1]] = tuple(states)
    return names


def groups(found: Iterable[Signal]) -> dict[str, list[Signal]]:
    """The signals of a view, by group."""
    view: dict[str, list[Signal]] = {name: [] for name in GROUPS}
    # Verilator has the ports of the top module in a scope of their own.
    signals_found = [item for item in found if ".hw_desc_pkg." not in f".{item.path}"]
    if not signals_found:
        return view
    top = signals_found[0].scope
    for item in signals_found:
        if item.name in _FIELDS and item.scope.rpartition(".")[2] not in ("", top):
            view["fields"].append(item)
        elif item.name == "state_q":
            view["states"].append(item)
        elif item.scope == top and re.fullmatch(r"clk_i|rst_ni|\w+_[io]|[sm]_axil?_\w+", item.name):
            view["ports"].append(item)
        elif item.bits <= 32 and _RING.match(item.name):
            view["rings"].append(item)
    return view


def save(wave: Path, rtl_dir: Path | None = None) -> tuple[Path, Path]:
    """Write the views of ``wave`` beside it: for GTKWave (.gtkw) and for Surfer (.sucl).

    Raises:
        SimulationError: the file is no whole FST file.
    """
    view = groups(signals(wave))
    states = state_names((rtl_dir or paths.rtl_dir()).resolve())
    gtkwave, surfer = wave.with_suffix(".gtkw"), wave.with_suffix(".sucl")
    gtkwave.write_text(_gtkwave(wave, view, states), encoding="utf-8")
    surfer.write_text(_surfer(view), encoding="utf-8")
    return gtkwave, surfer


def commands(wave: Path) -> tuple[str, str]:
    """What opens ``wave`` with the views beside it: Surfer's command, and GTKWave's."""
    surfer, gtkwave = wave.with_suffix(".sucl"), wave.with_suffix(".gtkw")
    return f"surfer -c {surfer} {wave}", f"gtkwave {wave} {gtkwave}"


def _filled(view: dict[str, list[Signal]]) -> Iterable[tuple[str, list[Signal]]]:
    return ((name, items) for name, items in view.items() if items)


def _heading(scope: str) -> str:
    """The end of a scope: whole ones push the waves out of the window."""
    return ".".join(scope.split(".")[-3:])


def _surfer(view: dict[str, list[Signal]]) -> str:
    """Surfer's commands; it takes the names of states and the kinds of structs from the file."""
    lines = []
    for name, items in _filled(view):
        lines.append(f"divider_add {name}")
        scope = ""
        for item in items:
            if item.scope != scope and name != "ports":
                scope = item.scope
                lines.append(f"divider_add {_heading(scope)}")
            lines.append(f"variable_add {item.path}")
    return "\n".join([*lines, "zoom_fit", ""])


def _gtkwave(wave: Path, view: dict[str, list[Signal]], states: dict[str, tuple[str, ...]]) -> str:
    """GTKWave's save file; a table for each machine, beside ``wave``, names its states."""
    start, end = times(wave)
    zoom = math.log2(max(end - start, 1) / _FRAMES)
    lines = ["[*] descring", f'[dumpfile] "{wave.resolve()}"', f"[timestart] {start}"]
    lines.append(f"*{-zoom:.6f} -1")
    for name, items in _filled(view):
        lines += [f"@{_COMMENT_FLAG:x}", f"-{name}"]
        scope = ""
        for item in items:
            if item.scope != scope and name != "ports":
                scope = item.scope
                lines += [f"@{_COMMENT_FLAG:x}", f"-{_heading(scope)}"]
            table = _table(wave, item, states) if name == "states" else None
            if name == "fields":
                lines += _field_flags(wave, item.name)
            else:
                lines += [f"@{_HEX:x}"] if table is None else [f"@{_STATE:x}", f"^1 {table}"]
            lines.append(f"{item.path}{item.span}")
    for item in view["ports"]:
        if item.bits == 8 * contract.DESC_BYTES:
            lines += [f"@{_COMMENT_FLAG:x}", f"-{item.name}", *_decoded(wave, item)]
    return "\n".join([*lines, ""])


def _decoded(wave: Path, line: Signal) -> Iterator[str]:
    """GTKWave's traces of the fields of a vector, each put together from its bits."""
    for field in contract.FIELDS:
        yield from _field_flags(wave, field.name)
        first = line.bits - 8 * field.offset - field.bits  # bits are counted from the left
        bits = (f"({bit}){line.path}{line.span}" for bit in range(first, first + field.bits))
        yield f"#{{{field.name}}} {' '.join(bits)}"


def _field_flags(wave: Path, name: str) -> list[str]:
    """How GTKWave shows a field: opcodes by their names."""
    if name != "opcode":
        return [f"@{_HEX:x}"]
    table = wave.with_name("opcodes")
    text = "".join(f"{value:04x} {opcode}\n" for opcode, value in contract.OPCODE.items())
    table.write_text(text, encoding="utf-8")
    return [f"@{_OPCODE:x}", f"^1 {table.resolve()}"]


def _table(wave: Path, item: Signal, states: dict[str, tuple[str, ...]]) -> Path | None:
    """The file that names the states of one machine: the one whose module the scope ends in."""
    instance = item.scope.rpartition(".")[2].removeprefix("u_")
    # A worker is an instance u_worker of rollout_worker_fsm; most carry their module's name.
    module = next((name for name in states if instance in name), None)
    if module is None:
        return None
    table = wave.with_name(f"{module}.states")
    text = "".join(
        f"{number:0{item.bits}b} {state}\n" for number, state in enumerate(states[module])
    )
    table.write_text(text, encoding="utf-8")
    return table.resolve()
