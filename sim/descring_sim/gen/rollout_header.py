# SPDX-License-Identifier: Apache-2.0
"""Writes ``host/include/hw_rollouts.h``: numbers and records of the rollout runtime."""

from __future__ import annotations

from descring_model.contract import Bits, Value
from descring_model.rollouts import contract, seeing

_HEADER = """\
// SPDX-License-Identifier: Apache-2.0
//
// Generated from pymodel/descring_model/rollouts/contract.py; do not edit, run `make gen`.
//
// Numbers and records of the rollout runtime, for C11, C++11 and CUDA C++. All is little-endian;
// records have no padding.
#ifndef HW_ROLLOUTS_H
#define HW_ROLLOUTS_H

#include "hw_desc.h"
"""

_FOOTER = """
#endif  // HW_ROLLOUTS_H
"""

_TYPES = {"<u2": "hw_u16", "<u4": "hw_u32", "<u8": "hw_u64", "<i8": "long long", "<f4": "float"}

_NUMBERS = (
    "NONE",
    "SLOTS_MAX",
    "WINDOW_MAX",
    "DEPTH_MAX",
    "REQUESTS_MAX",
    "BLOCK_TOKENS",
    "TOKEN_BYTES",
    "BLOCK_BYTES",
    "VALUE_PLANE",
    "SCORER_OP_010",
    "SCORER_TOKEN_RULE",
    "SCORER_ADVANTAGE",
    "SCORER_CUSTOM",
    "VOCABULARY",
    "TOKEN_DIVISOR",
    "LOG_VERSION",
    "LOG_HEADER_BYTES",
    "LOG_RECORD_BYTES",
)


def value_lines(prefix: str, items: tuple[Value, ...]) -> str:
    """A ``#define`` for each of ``items``, its name behind ``prefix``."""
    return "".join(
        f"#define {prefix}_{item.name.upper()} {item.value}u  // [{item.rule}]\n" for item in items
    )


def _positions(prefix: str, items: tuple[Bits, ...]) -> str:
    return "".join(
        f"#define HWR_{prefix}_{item.name}_LSB {item.lsb}  // {item.width} wide [{item.rule}]\n"
        for item in items
    )


def record_struct(prefix: str, name: str, members: tuple[contract.Member, ...]) -> str:
    """A struct ``PREFIX_NAME_t`` with ``members`` in order, and a check of its size."""
    lines = []
    for item in members:
        if item.code.startswith("S"):
            lines.append(f"  char {item.name}[{item.size}];\n")
        else:
            lines.append(f"  {_TYPES[item.code]} {item.name};\n")
    size = sum(item.size for item in members)
    kind = f"{prefix}_{name}"
    return (
        f"\ntypedef struct {kind} {{\n{''.join(lines)}}} {kind}_t;\n\n"
        f'HW_STATIC_ASSERT(sizeof({kind}_t) == {size}, "{kind}_t has no padding");\n'
    )


def _live() -> str:
    places = {
        "COUNTER_WORDS": seeing.COUNTER_WORDS,
        "GAUGE_WORDS": seeing.GAUGE_WORDS,
        "LIVE_BYTES": seeing.LIVE_BYTES,
        "LIVE_SEQUENCE_AT": seeing.SEQUENCE_AT,
        "LIVE_GAUGES_AT": seeing.GAUGES_AT,
        "LIVE_COUNTERS_AT": seeing.COUNTERS_AT,
    }
    return "".join(f"#define HWR_{name} {value}u  // [MET-005]\n" for name, value in places.items())


def render() -> str:
    """The text of the header."""
    numbers = "".join(f"#define HWR_{name} {getattr(contract, name)}u\n" for name in _NUMBERS)
    state = contract.STATE
    edges = ", ".join(f"{{{state[start]}, {state[end]}}}" for start, end in contract.EDGES)
    return "".join(
        [
            _HEADER,
            f"\n{numbers}",
            f"#define HWR_PROMPT_TAG 0x{contract.PROMPT_TAG:016X}ull  // [KV-007]\n",
            f'#define HWR_LOG_MAGIC "{contract.LOG_MAGIC.decode()}"  // [LOG-001]\n',
            f"\n{value_lines('HWR_STATE', contract.STATES)}",
            f"#define HWR_EDGES {{{edges}}}  // [ROLL-003]\n",
            f"\n{value_lines('HWR_ERROR', contract.ERRORS)}",
            f"\n{value_lines('HWR_QUEUE', contract.QUEUES)}",
            f"\n{value_lines('HWR_POLICY', contract.POLICIES)}",
            f"\n{value_lines('HWR_OPTION', contract.OPTIONS)}",
            f"\n{value_lines('HWR_EVENT', contract.EVENTS)}",
            f"\n{value_lines('HWR_COUNTER', seeing.COUNTERS)}",
            f"\n{value_lines('HWR_GAUGE', seeing.GAUGES)}",
            f"\n{_live()}",
            f"\n{value_lines('HWR_TRACE', seeing.TRACE_EVENTS)}",
            f"\n{value_lines('HWR_CLOCK', seeing.TRACE_CLOCKS)}",
            f"\n{_positions('WORD', contract.SLOT_WORD)}",
            f"\n{_positions('USER_DATA', contract.USER_DATA)}",
            record_struct("hwr", "config", contract.CONFIG),
            record_struct("hwr", "request", contract.REQUEST),
            record_struct("hwr", "record", contract.RECORD),
            record_struct("hwr", "header", contract.HEADER),
            record_struct("hwr", "trace", seeing.TRACE),
            record_struct("hwr", "trace_head", seeing.TRACE_HEAD),
            _FOOTER,
        ]
    )
