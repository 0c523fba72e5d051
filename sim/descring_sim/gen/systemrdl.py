# SPDX-License-Identifier: Apache-2.0
"""Writes ``rtl/descring_regs.rdl``: the registers in SystemRDL 2.0, for PeakRDL and others."""

from __future__ import annotations

from collections.abc import Iterator

from descring_model import contract

from descring_sim.gen.constants import WORD_BITS

WHOLE = "VALUE"
"""The field of a register that has no bit fields: SystemRDL wants at least one."""

_HEADER = """\
// SPDX-License-Identifier: Apache-2.0
//
// Generated from pymodel/descring_model/contract.py; do not edit, run `make gen`.
//
// The registers of the device in SystemRDL 2.0 [REG-000..REG-07C]. What no property can express
// is in the contract (docs/contract.md): what ENABLE locks, legal doorbells, side effects.

property rule {
  component = reg;
  type = string;
};
"""

_OPENING = """\

addrmap descring_regs {{
  name = "descring";
  desc = "Registers of the device, contract version {version}, hash 0x{hash:08X}. The other
    addresses of the {bytes} bytes read 0 and ignore writes (DB-004).";
  littleendian;
  lsb0;
  addressing = regalign;
  default regwidth = {width};
  default accesswidth = {width};
"""

_CLOSING = """\

  // An event reaches the interrupt through its bit of IRQ_MASK [IRQ-001].
{enables}}};
"""

_PROPERTIES = {
    "ro": "sw = r; hw = w;",
    "rw": "sw = rw; hw = r;",
    "wo": "sw = w; hw = r; swmod;",
    # An event at the same moment wins over the clearing [IRQ-001].
    "w1c": "sw = rw; onwrite = woclr; hw = w; hwset; precedence = hw;",
    "self-clearing": "sw = w; hw = r; singlepulse;",
}
_INTERRUPT = "sw = rw; onwrite = woclr; hw = w; intr; precedence = hw;"
_CONSTANT = "sw = r; hw = na;"
_CONSTANTS = ("ID", "VERSION", "CONTRACT_HASH")


def _text(words: str) -> str:
    return words.replace("\\", "\\\\").replace('"', '\\"').replace("`", "")


def _properties(register: contract.Register, item: contract.Bits) -> str:
    if register.name in _CONSTANTS:
        return _CONSTANT
    if register.name == "IRQ_STATUS":
        return _INTERRUPT
    return _PROPERTIES[register.access_of(item)]


def _field(register: contract.Register, item: contract.Bits) -> str:
    value = contract.reset_value(register) >> item.lsb & ((1 << item.width) - 1)
    return (
        "    field {\n"
        f'      desc = "{_text(item.meaning)}";\n'
        f"      {_properties(register, item)}\n"
        f"    }} {item.name}[{item.msb}:{item.lsb}] = {item.width}'h{value:X};\n"
    )


def _register(register: contract.Register) -> Iterator[str]:
    whole = contract.Bits(register.rule, WORD_BITS - 1, 0, WHOLE, register.access, register.meaning)
    yield "\n  reg {\n"
    yield f'    rule = "{register.rule}";\n'
    yield f'    desc = "{_text(register.meaning)}";\n'
    for item in register.bits or (whole,):
        yield _field(register, item)
    yield f"  }} {register.name} @ 0x{register.offset:02X};\n"


def render() -> str:
    """The text of the description."""
    interrupts = contract.REGISTER["IRQ_STATUS"].bits
    enables = "".join(
        f"  IRQ_STATUS.{item.name}->enable = IRQ_MASK.{item.name};\n" for item in interrupts
    )
    parts = [
        _HEADER,
        _OPENING.format(
            version=contract.VERSION,
            hash=contract.CONTRACT_HASH,
            bytes=1 << 12,
            width=WORD_BITS,
        ),
    ]
    for register in contract.REGISTERS:
        parts.extend(_register(register))
    parts.append(_CLOSING.format(enables=enables))
    return "".join(parts)
