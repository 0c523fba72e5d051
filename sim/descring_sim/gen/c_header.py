# SPDX-License-Identifier: Apache-2.0
"""Writes ``host/include/hw_desc.h`` for C11, C++ and CUDA C++, including NVRTC."""

from __future__ import annotations

from descring_model import contract

from descring_sim.gen.constants import C_PREFIX, Constant, c_groups

_HEADER = """\
// SPDX-License-Identifier: Apache-2.0
//
// Generated from pymodel/descring_model/contract.py; do not edit, run `make gen`.
//
// Names, numbers and layouts of the hardware contract, for C11, C++11 and CUDA C++. NVRTC has no
// standard headers, so the fixed-width types are this header's own there. All is little-endian.
#ifndef HW_DESC_H
#define HW_DESC_H

#if defined(__CUDACC_RTC__)
typedef unsigned short hw_u16;
typedef unsigned int hw_u32;
typedef unsigned long long hw_u64;
#else
#include <stdint.h>
typedef uint16_t hw_u16;
typedef uint32_t hw_u32;
typedef uint64_t hw_u64;
#endif

#if defined(__cplusplus)
#define HW_STATIC_ASSERT(condition, message) static_assert(condition, message)
#define HW_ALIGNED(bytes) alignas(bytes)
#else
#define HW_STATIC_ASSERT(condition, message) _Static_assert(condition, message)
#define HW_ALIGNED(bytes) _Alignas(bytes)
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "hw_desc.h: a line in memory is little-endian; this target is not"
#endif
"""

_RING = """
// Head and tail of a ring in shared memory, each on a cache line of its own; the slots follow at
// HW_RING_SLOTS_OFFSET [RING-004]. Both are to be accessed atomically: the producer stores tail
// with release order, the consumer loads it with acquire order.
typedef struct hw_ring {
  HW_ALIGNED(HW_CACHE_LINE_BYTES) hw_u32 head;
  HW_ALIGNED(HW_CACHE_LINE_BYTES) hw_u32 tail;
} hw_ring_t;

HW_STATIC_ASSERT(sizeof(hw_ring_t) == HW_RING_SLOTS_OFFSET, "the slots follow head and tail");
"""

_FIELDS = """
// A bit field of a register, by its mask: HW_FIELD_GET(HW_RING_LOG2_DONE_MASK, word) takes its
// value out of a word, HW_FIELD_PREP(HW_RING_LOG2_DONE_MASK, value) puts one in place.
#define HW_FIELD_GET(mask, word) (((hw_u32)(word) & (mask)) / ((mask) & (~(mask) + 1u)))
#define HW_FIELD_PREP(mask, value) (((hw_u32)(value) * ((mask) & (~(mask) + 1u))) & (mask))
"""

_FOOTER = """
#endif  // HW_DESC_H
"""


def _define(item: Constant) -> str:
    if item.bits is None:
        literal = str(item.value)
    elif item.hexadecimal:
        literal = f"0x{item.value:0{(item.bits + 3) // 4}X}u"
    else:
        literal = f"{item.value}u"
    return f"#define {C_PREFIX}{item.name} {literal}  // {item.comment}\n"


def _struct() -> str:
    lines = ["\n// The descriptor, and its completion [DESC-014].\n", "typedef struct hw_desc {\n"]
    for item in sorted(contract.FIELDS, key=lambda item: item.offset):
        align = "HW_ALIGNED(HW_CACHE_LINE_BYTES) " if item.offset == 0 else ""
        lines.append(
            f"  {align}hw_u{item.bits} {item.name};  // byte {item.offset} [{item.rule}]\n"
        )
    lines.append("} hw_desc_t;\n\n")
    lines.append('HW_STATIC_ASSERT(sizeof(hw_desc_t) == HW_DESC_BYTES, "a line is 64 bytes");\n')
    return "".join(lines)


def render() -> str:
    """The text of the header."""
    parts = [_HEADER]
    for group in c_groups():
        parts.append(f"\n// {group.title}.\n")
        parts.extend(_define(item) for item in group.constants)
    parts.extend([_FIELDS, _struct(), _RING, _FOOTER])
    return "".join(parts)
