# SPDX-License-Identifier: Apache-2.0
"""Equality of XOR networks over GF(2), for all inputs at once.

A network of XOR and NOT gates computes, at every wire, a constant plus the sum modulo 2 of some of
the inputs. So does a look-up in a table of constants that is affine itself, which all its entries
are read for. This affine form is unique: two such functions are equal for all inputs iff their
forms are. So the form of every wire is computed from the gates, as one integer (bit 0 the constant,
bit ``i + 1`` input ``i``); an output is 0 for all inputs iff its form is 0. Solvers that search
assignments do not get through parities of hundreds of bits; here each gate costs one XOR.

A cell of any other kind is refused: then the network is not affine by its structure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from descring_sim.support.errors import SimulationError


class NotLinearError(SimulationError):
    """A network has a cell that is not affine."""


_CONSTANTS: dict[str, int] = {"0": 0, "1": 1}


def _netlist(path: Path) -> Mapping[str, Any]:
    modules: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["modules"]
    if len(modules) != 1:
        raise SimulationError(f"{path}: expected one flat module, found {', '.join(modules)}")
    module: Mapping[str, Any] = next(iter(modules.values()))
    return module


def _lookup(cell: Mapping[str, Any], name: str) -> list[tuple[int, list[Any], int]]:
    """Each output bit of a look-up in a table of constants: its wire, its sources, its constant.

    Raises:
        NotLinearError: the table is not affine.
        SimulationError: it is not constant, or does not cover every index.
    """
    table, index, outputs = (cell["connections"][pin] for pin in "ABY")
    signed = int(cell["parameters"]["B_SIGNED"], 2) and index[-1] != "0"
    wires = [(place, wire) for place, wire in enumerate(index) if wire != "0"]
    # An index is a sum of these, of at most that many bits.
    greatest = sum(1 << place for place, _ in wires) + len(outputs)
    if signed or len(wires) > 16 or greatest > len(table) or not set(table) <= set(_CONSTANTS):
        raise SimulationError(f"{name} is no look-up in a table of constants")
    found = []
    for bit, output in enumerate(outputs):
        first = table[bit]
        used = [wire for place, wire in wires if table[bit + (1 << place)] != first]
        for number in range(1 << len(wires)):
            chosen = [item for at, item in enumerate(wires) if number >> at & 1]
            entry = table[bit + sum(1 << place for place, _ in chosen)]
            if (entry != first) != sum(wire in used for _, wire in chosen) % 2:
                raise NotLinearError(f"{name} is a look-up in a table that is not linear")
        found.append((output, used, _CONSTANTS[first]))
    return found


def forms(path: Path) -> dict[str, list[int]]:
    """The affine form of every bit of every output of the netlist (JSON of Yosys) at ``path``.

    Raises:
        NotLinearError: a cell is neither XOR nor NOT nor a look-up in an affine table.
        SimulationError: the netlist has several inputs or a loop.
    """
    module = _netlist(path)
    ports = module["ports"]
    inputs = [
        bit for port in ports.values() if port["direction"] == "input" for bit in port["bits"]
    ]
    known: dict[int, int] = {bit: 2 << position for position, bit in enumerate(inputs)}
    driver: dict[int, list[Any]] = {}
    inverts: dict[int, int] = {}
    for name, cell in module["cells"].items():
        if cell["type"] == "$shiftx":
            for output, sources, inverted in _lookup(cell, f"{path}: cell {name}"):
                driver[output] = sources
                inverts[output] = inverted
            continue
        wires = {pin: bits[0] for pin, bits in cell["connections"].items()}
        if cell["type"] not in ("$_XOR_", "$_XNOR_", "$_NOT_"):
            raise NotLinearError(f"{path}: cell {name} is {cell['type']}, which is not linear")
        output = wires.pop("Y")
        driver[output] = list(wires.values())
        inverts[output] = int(cell["type"] != "$_XOR_")

    def form(wire: Any) -> int:
        if isinstance(wire, str):
            if wire not in _CONSTANTS:
                raise SimulationError(f"{path}: a wire is {wire}, expected 0, 1 or a driver")
            return _CONSTANTS[wire]
        pending = [wire]
        while pending:
            top = pending[-1]
            if top in known:
                pending.pop()
                continue
            if top not in driver:
                raise SimulationError(f"{path}: wire {top} has no driver")
            missing = [w for w in driver[top] if isinstance(w, int) and w not in known]
            if missing:
                if len(pending) > len(driver) + 1:
                    raise SimulationError(f"{path}: a combinational loop through wire {top}")
                pending += missing
                continue
            value = inverts[top]
            for source in driver[top]:
                value ^= form(source) if isinstance(source, str) else known[source]
            known[top] = value
        return known[wire]

    return {
        name: [form(bit) for bit in port["bits"]]
        for name, port in ports.items()
        if port["direction"] == "output"
    }


def counterexample(form: int) -> int | None:
    """An input for which a bit of this form is 1, None if there is none."""
    if form == 0:
        return None
    if form & 1:
        return 0
    return (form & -form) >> 1
