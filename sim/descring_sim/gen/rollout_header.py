# SPDX-License-Identifier: Apache-2.0
"""Writes ``host/include/hw_rollouts.h``: numbers and records of the rollout runtime for C11."""

from __future__ import annotations

from descring_model.contract import Bits, Value
from descring_model.rollouts import contract, seeing

_HEADER = """\
// SPDX-License-Identifier: Apache-2.0
//
// Generated from pymodel/descring_model/rollouts/contract.py; do not edit, run `make gen`.
//
// Numbers and records of the rollout runtime, for C11. All is little-endian; records have no
// padding.
#ifndef HW_ROLLOUTS_H
#define HW_ROLLOUTS_H

#include "hw_desc.h"
"""

_FOOTER = """
#endif  // HW_ROLLOUTS_H
"""

_TYPES = {"<u2": "hw_u16", "<u4": "hw_u32", "<u8": "hw_u64", "<i8": "int64_t"}

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


def _values(prefix: str, items: tuple[Value, ...]) -> str:
    return "".join(
        f"#define HWR_{prefix}_{item.name.upper()} {item.value}u  // [{item.rule}]\n"
        for item in items
    )


def _positions(prefix: str, items: tuple[Bits, ...]) -> str:
    return "".join(
        f"#define HWR_{prefix}_{item.name}_LSB {item.lsb}  // {item.width} wide [{item.rule}]\n"
        for item in items
    )


def _record(name: str, members: tuple[contract.Member, ...]) -> str:
    lines = []
    for item in members:
        if item.code.startswith("S"):
            lines.append(f"  char {item.name}[{item.size}];\n")
        else:
            lines.append(f"  {_TYPES[item.code]} {item.name};\n")
    size = sum(item.size for item in members)
    return (
        f"\ntypedef struct hwr_{name} {{\n{''.join(lines)}}} hwr_{name}_t;\n\n"
        f'HW_STATIC_ASSERT(sizeof(hwr_{name}_t) == {size}, "hwr_{name}_t has no padding");\n'
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
            f"\n{_values('STATE', contract.STATES)}",
            f"#define HWR_EDGES {{{edges}}}  // [ROLL-003]\n",
            f"\n{_values('ERROR', contract.ERRORS)}",
            f"\n{_values('QUEUE', contract.QUEUES)}",
            f"\n{_values('POLICY', contract.POLICIES)}",
            f"\n{_values('OPTION', contract.OPTIONS)}",
            f"\n{_values('EVENT', contract.EVENTS)}",
            f"\n{_values('COUNTER', seeing.COUNTERS)}",
            f"\n{_values('GAUGE', seeing.GAUGES)}",
            f"\n{_live()}",
            f"\n{_positions('WORD', contract.SLOT_WORD)}",
            f"\n{_positions('USER_DATA', contract.USER_DATA)}",
            _record("config", contract.CONFIG),
            _record("request", contract.REQUEST),
            _record("record", contract.RECORD),
            _record("header", contract.HEADER),
            _FOOTER,
        ]
    )
