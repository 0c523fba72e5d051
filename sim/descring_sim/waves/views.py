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

import functools
import math
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from descring_model import contract

from descring_sim.support import files, paths
from descring_sim.support.errors import SimulationError
from descring_sim.waves import wave_file
from descring_sim.waves.wave_file import Signal, WaveFile

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

_MAX_STATE_BITS = 64
"""Of a register that has a table; a wider one is of another design, or of a damaged file."""

_FRAMES = 2
"""GTKWave's zoom counts in frames of 200 pixels; so many show all the waves in a small window."""


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
        FileError: the file cannot be read, or a view cannot be written; none is then.
        SimulationError: the file is no whole FST file, or has the name of a view.
    """
    gtkwave, surfer = _views_of(wave)
    found = wave_file.read(wave)
    view = groups(found.signals)
    states = state_names((rtl_dir or paths.rtl_dir()).resolve())
    texts = _gtkwave(gtkwave, wave, found, view, states) | {surfer: _surfer(view)}
    if wave.resolve() in {path.resolve() for path in texts}:
        raise SimulationError(
            f"{wave}: expected a wave file, got the name of a view of it; rename it to end in .fst"
        )
    # The path of the wave is in them, which may be any bytes.
    files.write_files({path: os.fsencode(text) for path, text in texts.items()})
    return gtkwave, surfer


def _views_of(wave: Path) -> tuple[Path, Path]:
    if not wave.name:
        raise SimulationError(f"{wave}: expected the name of a wave file (FST), got a directory")
    return wave.with_suffix(".gtkw"), wave.with_suffix(".sucl")


def commands(wave: Path) -> tuple[str, str]:
    """What opens ``wave`` with the views beside it: Surfer's command, and GTKWave's."""
    gtkwave, surfer = _views_of(wave)
    words = ["surfer", "-c", surfer, wave], ["gtkwave", wave, gtkwave]
    return shlex.join(map(str, words[0])), shlex.join(map(str, words[1]))


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


def _gtkwave(
    file: Path,
    wave: Path,
    found: WaveFile,
    view: dict[str, list[Signal]],
    states: dict[str, tuple[str, ...]],
) -> dict[Path, str]:
    """GTKWave's save file, and the tables beside it that name opcodes and states, by their paths.

    The paths in a save file are absolute.
    """
    tables: dict[Path, str] = {}
    zoom = math.log2(max(found.end - found.start, 1) / _FRAMES)
    lines = ["[*] descring", f'[dumpfile] "{wave.resolve()}"', f"[timestart] {found.start}"]
    lines.append(f"*{-zoom:.6f} -1")
    for name, items in _filled(view):
        lines += [f"@{_COMMENT_FLAG:x}", f"-{name}"]
        scope = ""
        for item in items:
            if item.scope != scope and name != "ports":
                scope = item.scope
                lines += [f"@{_COMMENT_FLAG:x}", f"-{_heading(scope)}"]
            if name == "fields":
                lines += _field_flags(tables, wave, item.name)
            elif name == "states":
                lines += _state_flags(tables, wave, item, states)
            else:
                lines.append(f"@{_HEX:x}")
            lines.append(f"{item.path}{item.span}")
    for item in view["ports"]:
        if item.bits == 8 * contract.DESC_BYTES:
            lines += [f"@{_COMMENT_FLAG:x}", f"-{item.name}", *_decoded(tables, wave, item)]
    return {**tables, file: "\n".join([*lines, ""])}


def _decoded(tables: dict[Path, str], wave: Path, line: Signal) -> Iterator[str]:
    """GTKWave's traces of the fields of a vector, each put together from its bits."""
    for field in contract.FIELDS:
        yield from _field_flags(tables, wave, field.name)
        first = line.bits - 8 * field.offset - field.bits  # bits are counted from the left
        bits = (f"({bit}){line.path}{line.span}" for bit in range(first, first + field.bits))
        yield f"#{{{field.name}}} {' '.join(bits)}"


def _field_flags(tables: dict[Path, str], wave: Path, name: str) -> list[str]:
    """How GTKWave shows a field: opcodes by their names."""
    if name != "opcode":
        return [f"@{_HEX:x}"]
    table = wave.with_name("opcodes")
    tables[table] = "".join(f"{value:04x} {opcode}\n" for opcode, value in contract.OPCODE.items())
    return [f"@{_OPCODE:x}", f"^1 {table.resolve()}"]


def _state_flags(
    tables: dict[Path, str], wave: Path, item: Signal, states: dict[str, tuple[str, ...]]
) -> list[str]:
    """How GTKWave shows a machine: its states by the names in the module that the scope ends in."""
    instance = item.scope.rpartition(".")[2].removeprefix("u_")
    # A worker is an instance u_worker of rollout_worker_fsm; most carry their module's name.
    module = next((name for name in states if instance in name), None)
    if module is None or item.bits > _MAX_STATE_BITS:
        return [f"@{_HEX:x}"]
    table = wave.with_name(f"{module}.states")
    tables[table] = "".join(
        f"{number:0{item.bits}b} {state}\n" for number, state in enumerate(states[module])
    )
    return [f"@{_STATE:x}", f"^1 {table.resolve()}"]
