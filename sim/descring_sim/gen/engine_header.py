# SPDX-License-Identifier: Apache-2.0
"""Writes ``host/include/hw_engine_data.h``: the engine's constants, tables and record."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from descring_model.engine import contract

from descring_sim.gen.rollout_header import record_struct, value_lines

_HEADER = """\
// SPDX-License-Identifier: Apache-2.0
//
// Generated from pymodel/descring_model/engine/contract.py; do not edit, run `make gen`.
//
// Constants, tables and the record of the engine, for C11, C++11 and CUDA C++. A float is given by
// its bits; a table is a braced list, for an array of the includer's own kind of memory.
#ifndef HW_ENGINE_DATA_H
#define HW_ENGINE_DATA_H

#include "hw_desc.h"
"""

_FOOTER = """
#endif  // HW_ENGINE_DATA_H
"""

_NUMBERS = (
    "DIMS",
    "DOT_CHUNK",
    "BLOCK_TOKENS",
    "BLOCK_BYTES",
    "VOCABULARY",
    "VOCABULARY_MAX",
    "LENGTH_MAX",
    "VALUE_LIMIT_LOG2",
    "MASS_BITS",
    "MASS_CUT",
    "TABLE_BITS",
    "TABLE_ENTRIES",
    "TABLE_FRACTION",
    "PHILOX_ROUNDS",
    "STREAM_SAMPLING",
    "XOSHIRO_S2_ROTATION",
    "RECORD_BYTES",
    "RECORD_ALIGNMENT",
    "STATE_BYTES",
    "BIAS_OFFSET",
    "BIAS_FACTOR",
    "BIAS_MODULUS",
    "BIAS_MIDDLE",
    "BIAS_DIVISOR",
)

_WORDS = {
    "NONE": contract.NONE,
    "HASH_M1": contract.HASH_MULTIPLIERS[0],
    "HASH_M2": contract.HASH_MULTIPLIERS[1],
    "GOLDEN_32": contract.GOLDEN_32,
    "SLOT_STEP": contract.SLOT_STEP,
    "LN2_FRACTION": contract.LN2_FRACTION,
    "PHILOX_M0": contract.PHILOX_MULTIPLIERS[0],
    "PHILOX_M1": contract.PHILOX_MULTIPLIERS[1],
    "PHILOX_W0": contract.PHILOX_WEYL[0],
    "PHILOX_W1": contract.PHILOX_WEYL[1],
}

_LONG_WORDS = {"XOSHIRO_S1": contract.XOSHIRO_S1, "XOSHIRO_S2": contract.XOSHIRO_S2}


def _define(name: str, value: str, comment: str = "") -> str:
    return f"#define HWE_{name} {value}" + (f"  // {comment}" if comment else "") + "\n"


def _floats() -> str:
    return "".join(
        _define(f"{item.name}_BITS", f"0x{item.bits:08X}u", f"{item.meaning} [{item.rule}]".strip())
        for item in contract.FLOATS
    )


def _weights() -> str:
    planes = "".join(
        _define(f"{item.name}_PLANE", f"{item.number}u", f"{item.meaning} [{item.rule}]")
        + _define(f"{item.name}_BITS", f"{item.bits}u")
        + _define(f"{item.name}_SCALE", f"{item.scale}u")
        for item in contract.PLANES
    )
    ramps = "".join(
        _define(f"{item.name}_{part.upper()}", f"{getattr(item, part)}u", f"[{item.rule}]")
        for item in contract.RAMPS
        for part in ("row", "column", "modulus", "middle", "divisor")
    )
    return planes + ramps


def _table(name: str, entries: Sequence[int]) -> str:
    listed = ", ".join(f"0x{entry:08X}u" for entry in entries)
    lines = textwrap.wrap(f"{{{listed}}}", 92)
    return f"#define HWE_{name} \\\n  " + " \\\n  ".join(lines) + "\n"


def render() -> str:
    """The text of the header."""
    return "".join(
        [
            _HEADER,
            "\n",
            *(_define(name, f"{getattr(contract, name)}u") for name in _NUMBERS),
            *(_define(name, f"0x{value:08X}u") for name, value in _WORDS.items()),
            *(_define(name, f"0x{value:016X}ull") for name, value in _LONG_WORDS.items()),
            "\n",
            _floats(),
            "\n",
            _weights(),
            "\n",
            value_lines("HWE_STATUS", contract.STATUSES),
            "\n// round(2^(i/256) 2^31) and round(2^(i/65536) 2^31) [SAMP-003]\n",
            _table("EXP2_COARSE", contract.EXP2_COARSE),
            _table("EXP2_FINE", contract.EXP2_FINE),
            record_struct("hwe", "rollout", contract.ROLLOUT_RECORD),
            _FOOTER,
        ]
    )
