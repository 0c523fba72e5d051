# SPDX-License-Identifier: Apache-2.0
"""The contract's numbers as one flat list of named constants, for every generated language.

This is the only place where the data of :mod:`descring_model.contract` gets the names that RTL
and C know it by. SystemVerilog uses the names as they are, C puts ``HW_`` before them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from descring_model import contract

C_PREFIX = "HW_"
REGISTER_ADDRESS_BITS = 12
ERROR_CODE_BITS = 8
STATUS_BITS = 8
WORD_BITS = 32


@dataclass(frozen=True)
class Constant:
    """One number. ``bits`` is its width in RTL; ``None`` makes it a plain signed integer.

    Widths follow the signal that the constant is compared with; sizes, offsets and bit positions
    serve as parameters and subscripts, and are integers.
    """

    name: str
    value: int
    bits: int | None
    comment: str
    hexadecimal: bool = False


@dataclass(frozen=True)
class Group:
    """Constants that belong under one heading."""

    title: str
    constants: tuple[Constant, ...]


def _identity() -> Iterator[Constant]:
    yield Constant("CONTRACT_VERSION", contract.VERSION, WORD_BITS, "REG VERSION [REG-004]")
    yield Constant("CONTRACT_HASH", contract.CONTRACT_HASH, WORD_BITS, "[REG-07C] [HASH-001]", True)
    yield Constant("DEVICE_ID", contract.DEVICE_ID, WORD_BITS, "REG ID [REG-000]", True)


def _geometry() -> Iterator[Constant]:
    yield Constant("DESC_BYTES", contract.DESC_BYTES, None, "bytes of a line")
    yield Constant("DESC_BITS", contract.DESC_BITS, None, "bits of a line [DESC-015]")
    yield Constant("CACHE_LINE_BYTES", contract.CACHE_LINE_BYTES, None, "alignment of a line")
    yield Constant(
        "REWARD_INTERVAL",
        contract.REWARD_INTERVAL,
        WORD_BITS,
        "tokens to a boundary [DEC-002]",
    )
    yield Constant("RING_LOG2_MIN", contract.RING_LOG2_MIN, 8, "smallest ring [RING-001]")
    yield Constant("RING_LOG2_MAX", contract.RING_LOG2_MAX, 8, "greatest ring [RING-001]")
    yield Constant("RING_HEAD_OFFSET", contract.RING_HEAD_OFFSET, None, "bytes [RING-004]")
    yield Constant("RING_TAIL_OFFSET", contract.RING_TAIL_OFFSET, None, "bytes [RING-004]")
    yield Constant("RING_SLOTS_OFFSET", contract.RING_SLOTS_OFFSET, None, "bytes [RING-004]")


def _checksum() -> Iterator[Constant]:
    for name in ("CRC32C_POLY_REFLECTED", "CRC32C_INIT", "CRC32C_XOR_OUT", "CRC32C_CHECK"):
        comment = "CRC-32C of `123456789` [DESC-020]" if name.endswith("CHECK") else "[DESC-020]"
        yield Constant(name, getattr(contract, name), WORD_BITS, comment, True)
    yield Constant("CRC_BYTES", contract.CRC_BYTES, None, "bytes covered, from 0 [DESC-020]")
    yield Constant("CRC_BITS", 8 * contract.CRC_BYTES, None, "bits covered, from 0 [DESC-020]")
    yield Constant("TAG_OFFSET", contract.TAG_OFFSET, None, "byte of the tag [DESC-022]")
    yield Constant("CRC_OFFSET", contract.CRC_OFFSET, None, "byte of the checksum [DESC-020]")
    yield Constant("TAG_LSB", 8 * contract.TAG_OFFSET, None, "bit of the tag in a line [DESC-022]")
    yield Constant("CRC_LSB", 8 * contract.CRC_OFFSET, None, "bit of the checksum [DESC-020]")


def _opcodes() -> Iterator[Constant]:
    width = contract.FIELD["opcode"].bits
    for item in contract.OPCODES:
        yield Constant(f"OPCODE_{item.name}", item.value, width, f"[{item.rule}]")


def _position(prefix: str, item: contract.Bits, rule: str) -> Iterator[Constant]:
    """Where a bit field lies: ``_BIT`` of a single bit, ``_LSB`` and ``_WIDTH`` of more."""
    note = f"[{rule}]"
    if item.width == 1:
        yield Constant(f"{prefix}_{item.name}_BIT", item.lsb, None, note)
    else:
        yield Constant(f"{prefix}_{item.name}_LSB", item.lsb, None, note)
        yield Constant(f"{prefix}_{item.name}_WIDTH", item.width, None, note)


def _flags() -> Iterator[Constant]:
    width = contract.FIELD["flags"].bits
    for item in contract.FLAGS:
        note = f"{item.owner}-owned [{item.rule}]"
        yield Constant(f"FLAG_{item.name}", item.mask, width, note, True)
    for item in contract.FLAGS:
        yield from _position("FLAG", item, item.rule)
    yield Constant(
        "DEVICE_OWNED_FLAGS", contract.DEVICE_OWNED_FLAGS, width, "cleared first [FLAG-010]", True
    )


def _codes() -> Iterator[Constant]:
    for item in contract.ERROR_CODES:
        yield Constant(f"ERROR_CODE_{item.name}", item.value, ERROR_CODE_BITS, f"[{item.rule}]")
    yield Constant("ERROR_CODE_SHIFT", contract.ERROR_CODE_SHIFT, None, "[FLAG-008]")


def _statuses() -> Iterator[Constant]:
    for item in contract.STATUSES:
        yield Constant(f"STATUS_{item.name}", item.value, STATUS_BITS, f"[{item.rule}]", True)


def _addresses() -> Iterator[Constant]:
    for item in contract.REGISTERS:
        note = f"{item.access} [{item.rule}]"
        yield Constant(f"REG_{item.name}", item.offset, REGISTER_ADDRESS_BITS, note, True)


def _register_bits() -> Iterator[Constant]:
    for register in contract.REGISTERS:
        for item in register.bits:
            yield from _position(register.name, item, register.rule)


def _register_masks() -> Iterator[Constant]:
    for register in contract.REGISTERS:
        for item in register.bits:
            name = f"{register.name}_{item.name}_MASK"
            yield Constant(name, item.mask, WORD_BITS, f"[{register.rule}]", True)


def _field_positions() -> Iterator[Constant]:
    for item in sorted(contract.FIELDS, key=lambda item: item.offset):
        yield Constant(f"DESC_{item.name.upper()}_LSB", 8 * item.offset, None, f"[{item.rule}]")


def groups() -> tuple[Group, ...]:
    """Every constant of the contract under its heading; ``ValueError`` if two share a name."""
    return _checked(
        Group("Identity", tuple(_identity())),
        Group("Line and rings", tuple(_geometry())),
        Group("Checksum and tag", tuple(_checksum())),
        Group("Opcodes", tuple(_opcodes())),
        Group("Flags: masks, then positions", tuple(_flags())),
        Group("Error codes", tuple(_codes())),
        Group("Statuses, a view over the flags", tuple(_statuses())),
        Group("Byte addresses of the registers", tuple(_addresses())),
        Group("Bit positions in the registers", tuple(_register_bits())),
    )


def rtl_groups() -> tuple[Group, ...]:
    """:func:`groups`, and what RTL has besides: positions of fields, where C has ``offsetof``."""
    positions = Group("Lowest bits of the fields of a line", tuple(_field_positions()))
    return _checked(*groups(), positions)


def c_groups() -> tuple[Group, ...]:
    """:func:`groups`, and what C has besides: masks, where RTL selects bits by their position."""
    masks = Group("Masks of the bit fields of the registers, in place", tuple(_register_masks()))
    return _checked(*groups(), masks)


def _checked(*result: Group) -> tuple[Group, ...]:
    seen: set[str] = set()
    for group in result:
        for constant in group.constants:
            if constant.name in seen:
                raise ValueError(f"two constants of the contract are called {constant.name}")
            seen.add(constant.name)
            if constant.bits is not None and not 0 <= constant.value < 1 << constant.bits:
                raise ValueError(
                    f"{constant.name} = {constant.value} does not fit in {constant.bits} bits"
                )
    return result


def by_name() -> dict[str, Constant]:
    """Every constant by its name in RTL."""
    return _by_name(rtl_groups())


def c_by_name() -> dict[str, Constant]:
    """Every constant by its name in C, without the prefix."""
    return _by_name(c_groups())


def _by_name(listed: tuple[Group, ...]) -> dict[str, Constant]:
    return {item.name: item for group in listed for item in group.constants}
