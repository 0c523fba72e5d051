# SPDX-License-Identifier: Apache-2.0
"""Writes ``docs/engine-contract.md``: the rules of the engine, the data as tables."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import numpy as np
from descring_model.crc import crc32c
from descring_model.engine import contract, rules

from descring_sim.gen.contract_doc import sections
from descring_sim.gen.rollout_doc import record_table, value_table
from descring_sim.support.markdown import GENERATED, table

_INTRODUCTION = """\
# The contract of the engine

How a token is made, to the bit, so that independent implementations on any processor give the same
tokens, keys, values and states. Lines are those of [contract.md](contract.md), rollouts, blocks and
prefixes those of [rollout-contract.md](rollout-contract.md); neither depends on this page. Numbers
come from `pymodel/descring_model/engine/contract.py`, prose from `rules.py` and
`sampling_rules.py` beside it; `host/include/hw_engine_data.h` has them for C and CUDA, and
[engine-vectors.json](engine-vectors.json) has known results.
"""


def _float(bits: int) -> str:
    (value,) = struct.unpack("<f", struct.pack("<I", bits))
    return f"{value:.9g}"


def _numbers() -> str:
    rows = (
        (item.name, f"0x{item.bits:08X}", _float(item.bits), item.meaning, item.rule)
        for item in contract.FLOATS
    )
    return "Constants, by their bits:\n\n" + table(
        ("name", "bits", "about", "meaning", "rule"), rows
    )


def _weights() -> str:
    planes = (
        (str(item.number), item.name, str(item.bits), str(item.scale), item.meaning, item.rule)
        for item in contract.PLANES
    )
    ramps = (
        (item.name, *map(str, (item.row, item.column, item.modulus, item.middle, item.divisor)))
        for item in contract.RAMPS
    )
    return (
        "Planes of hashed values:\n\n"
        + table(("plane", "name", "bits", "scale", "element", "rule"), planes)
        + "Weights by remainder [STATE-003]:\n\n"
        + table(("name", "row", "column", "modulus", "middle", "divisor"), ramps)
    )


def _power_row(name: str, entries: Sequence[int]) -> tuple[str, ...]:
    packed = np.array(entries, dtype="<u4").view(np.uint8)[np.newaxis]
    shown = [f"0x{entries[place]:08X}" for place in (0, 1, 2, 128, 255)]
    return (name, *shown, f"0x{int(crc32c(packed)[0]):08X}")


def _sampling() -> str:
    return (
        "Tables of SAMP-003, with the CRC-32C of their entries as little-endian u32 "
        "(`hw_engine_data.h` has them all):\n\n"
        + table(
            ("table", "[0]", "[1]", "[2]", "[128]", "[255]", "CRC-32C"),
            (
                _power_row("COARSE", contract.EXP2_COARSE),
                _power_row("FINE", contract.EXP2_FINE),
            ),
        )
    )


def _record() -> str:
    return record_table("Rollout record", contract.ROLLOUT_RECORD) + value_table(
        "Statuses", contract.STATUSES
    )


_DATA: dict[int, Callable[[], str]] = {
    1: _numbers,
    2: _weights,
    4: _sampling,
    5: _record,
}


def render() -> str:
    """The text of the page."""
    found = sections(rules.SECTIONS, rules.all_rules(), _DATA)
    return "".join([GENERATED, _INTRODUCTION, *found])
