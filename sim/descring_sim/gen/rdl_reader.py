# SPDX-License-Identifier: Apache-2.0
"""The reader of the register description: systemrdl-compiler, the front end of PeakRDL.

As in :mod:`descring_sim.gen.readers`, what an independent front end reads is compared with the
contract's data, and not with what the generator meant to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from descring_model import contract

from descring_sim.gen.readers import compare
from descring_sim.support.errors import SimulationError

if TYPE_CHECKING:
    from systemrdl.compiler import RDLCompiler
    from systemrdl.node import FieldNode, RegNode


@dataclass(frozen=True)
class Field:
    """A field as the compiler elaborates it: place, value after reset, access by software."""

    msb: int
    lsb: int
    reset: int
    access: str


@dataclass(frozen=True)
class Register:
    """A register: address, width, rule and fields; of an interrupt register, what enables it."""

    address: int
    bits: int
    access_bits: int
    rule: str
    fields: Mapping[str, Field]
    enables: Mapping[str, str]


def _expected() -> dict[str, Register]:
    registers = {}
    for item in contract.REGISTERS:
        reset = contract.reset_value(item)
        fields = {
            bits.name: Field(
                bits.msb, bits.lsb, (reset & bits.mask) >> bits.lsb, item.access_of(bits)
            )
            for bits in item.bits
        }
        if not fields:
            fields = {"VALUE": Field(31, 0, reset, item.access)}
        interrupts = item.bits if item.name == "IRQ_STATUS" else ()
        enables = {bits.name: f"IRQ_MASK.{bits.name}" for bits in interrupts}
        registers[item.name] = Register(item.offset, 32, 32, item.rule, fields, enables)
    return registers


def _access(field: FieldNode) -> str:
    """The contract's word for how software accesses a field; else its properties in words."""
    from systemrdl.rdltypes.builtin_enums import OnWriteType

    readable, writable = field.is_sw_readable, field.is_sw_writable
    on_write, on_read = field.get_property("onwrite"), field.get_property("onread")
    pulse = bool(field.get_property("singlepulse"))
    known = {
        (True, False, None, False): "ro",
        (True, True, None, False): "rw",
        (False, True, None, False): "wo",
        (True, True, OnWriteType.woclr, False): "w1c",
        (False, True, None, True): "self-clearing",
    }
    word = known.get((readable, writable, on_write, pulse))
    if word is None or on_read is not None:
        return f"read {readable}, write {writable}, {on_write}, {on_read}, pulse {pulse}"
    return word


def _field(node: FieldNode) -> Field:
    reset = node.get_property("reset")
    return Field(node.msb, node.lsb, reset if isinstance(reset, int) else -1, _access(node))


def _register(node: RegNode) -> Register:
    fields = {field.inst_name: _field(field) for field in node.fields()}
    enables = {}
    for field in node.fields():
        enable = field.get_property("enable")
        if enable is not None:
            enables[field.inst_name] = enable.get_rel_path(node.parent)
    return Register(
        node.absolute_address,
        node.get_property("regwidth"),
        node.get_property("accesswidth"),
        node.get_property("rule"),
        fields,
        enables,
    )


def _compiler(messages: list[str]) -> RDLCompiler:
    try:
        from systemrdl.compiler import RDLCompiler
        from systemrdl.messages import MessagePrinter, Severity
        from systemrdl.source_ref import SourceRefBase
    except ImportError as error:
        raise SimulationError(
            "systemrdl-compiler is missing; run: pip install 'descring[dev]'"
        ) from error

    class Keeper(MessagePrinter):
        """Keeps each message instead of printing it."""

        def print_message(
            self, severity: Severity, text: str, src_ref: SourceRefBase | None
        ) -> None:
            messages.append(f"{severity.name.lower()}: {text}")

    return RDLCompiler(message_printer=Keeper(), warning_flags=~0)


def problems(description: Path) -> list[str]:
    """How the registers that the compiler elaborates differ from the contract, a line each.

    Its warnings count.

    Raises:
        SimulationError: systemrdl-compiler is missing.
    """
    found: list[str] = []
    compiler = _compiler(found)
    from systemrdl.messages import RDLCompileError
    from systemrdl.node import RegNode

    try:
        compiler.compile_file(str(description))
        top = compiler.elaborate().top
    except RDLCompileError as error:
        return found or [str(error)]
    actual = {
        node.inst_name: _register(node)
        for node in top.descendants(unroll=True)
        if isinstance(node, RegNode)
    }
    return [*found, *compare("register", _expected(), actual)]
