# SPDX-License-Identifier: Apache-2.0
"""Writes ``rtl/hw_desc_pkg.sv``, in the subset of SystemVerilog that Icarus 11 accepts."""

from __future__ import annotations

from descring_model import contract

from descring_sim.gen.constants import Constant, rtl_groups

_HEADER = """\
// SPDX-License-Identifier: Apache-2.0
//
// Generated from pymodel/descring_model/contract.py; do not edit, run `make gen`.
//
// Names, numbers and layouts of the hardware contract. Byte k of a line in memory is bits
// [8k+7:8k] of the packed struct, so its members are in reverse C order [DESC-015]. A flag
// without suffix is a mask; a position ends in _BIT, or in _LSB and _WIDTH for several bits.
`default_nettype none

// A package states the whole contract; no design uses every number of it.
/* verilator lint_off UNUSEDPARAM */
package hw_desc_pkg;
"""

_FOOTER = """\
endpackage
/* verilator lint_on UNUSEDPARAM */

`default_nettype wire
"""


def _literal(item: Constant) -> str:
    if item.bits is None:
        return str(item.value)
    if item.hexadecimal:
        return f"{item.bits}'h{item.value:0{(item.bits + 3) // 4}X}"
    return f"{item.bits}'d{item.value}"


def _declaration(item: Constant) -> str:
    kind = "int" if item.bits is None else f"logic [{item.bits - 1}:0]"
    return f"  localparam {kind} {item.name} = {_literal(item)};  // {item.comment}\n"


def _struct() -> str:
    """The packed struct: members from the last byte of the line to the first."""
    members = [
        f"    logic [{item.bits - 1}:0] {item.name};"
        f"  // {8 * item.offset + item.bits - 1}:{8 * item.offset} [{item.rule}]\n"
        for item in sorted(contract.FIELDS, key=lambda item: item.offset, reverse=True)
    ]
    return "".join(["  typedef struct packed {\n", *members, "  } hw_desc_t;\n"])


def render() -> str:
    """The text of the package."""
    parts = [_HEADER]
    for group in rtl_groups():
        parts.append(f"\n  // {group.title}.\n")
        parts.extend(_declaration(item) for item in group.constants)
    parts.append("\n  // The descriptor.\n")
    parts.append(_struct())
    parts.append("\n" + _FOOTER)
    return "".join(parts)
