# SPDX-License-Identifier: Apache-2.0
"""Writes ``docs/contract.md``: the rules as prose, the data as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from descring_model import contract, rules

from descring_sim.support.markdown import GENERATED, table

_INTRODUCTION = """\
# The hardware contract, version {version}

Everything that carries a descriptor obeys this page and is checked against it byte by byte. Every
rule has an id, and code and tests cite it, as in `[DESC-020]`; [requirements.md](requirements.md)
shows which test covers which rule. Numbers come from `pymodel/descring_model/contract.py`, prose
from `pymodel/descring_model/rules.py`.

SHA-256 of the canonical data: `{sha256}`. Register CONTRACT_HASH reads `0x{hash:08X}`.

Version 2 added opcode ROLLOUT (OP-004, DEC-006, DEC-007); the lines of version 1 keep their bytes.
Version 1 had the hash `0x{version_1:08X}`.
"""


def _bit_range(item: contract.Bits) -> str:
    return str(item.lsb) if item.width == 1 else f"{item.msb}:{item.lsb}"


def _fields() -> str:
    return table(
        ("id", "byte offset", "bytes", "bits", "field", "meaning"),
        (
            (
                item.rule,
                str(item.offset),
                str(item.size),
                f"{8 * item.offset + item.bits - 1}:{8 * item.offset}",
                f"`{item.name}`",
                item.meaning,
            )
            for item in contract.FIELDS
        ),
    )


def _values(values: tuple[contract.Value, ...], *, digits: int) -> str:
    """A table of named numbers; with ``digits`` not 0 in hexadecimal of that many digits."""

    def shown(value: int) -> str:
        return f"0x{value:0{digits}X}" if digits else str(value)

    return table(
        ("id", "value", "name", "meaning"),
        ((item.rule, shown(item.value), item.name, item.meaning) for item in values),
    )


def _opcodes() -> str:
    return _values(contract.OPCODES, digits=0)


def _flags() -> str:
    flags = table(
        ("id", "bits", "mask", "name", "owner", "meaning"),
        (
            (
                item.rule,
                _bit_range(item),
                f"0x{item.mask:04X}",
                item.name,
                item.owner,
                item.meaning,
            )
            for item in contract.FLAGS
        ),
    )
    return (
        f"{flags}The device-owned bits together are 0x{contract.DEVICE_OWNED_FLAGS:04X}.\n\n"
        f"Error codes:\n\n{_values(contract.ERROR_CODES, digits=0)}"
        f"Statuses:\n\n{_values(contract.STATUSES, digits=2)}"
    )


def _decode() -> str:
    return f"The reward interval is {contract.REWARD_INTERVAL} tokens.\n\n"


def _rings() -> str:
    return table(
        ("quantity", "value"),
        (
            (
                "log2 of the slots of a ring",
                f"{contract.RING_LOG2_MIN} to {contract.RING_LOG2_MAX}",
            ),
            ("head, byte offset in shared memory", str(contract.RING_HEAD_OFFSET)),
            ("tail, byte offset in shared memory", str(contract.RING_TAIL_OFFSET)),
            ("slot 0, byte offset in shared memory", str(contract.RING_SLOTS_OFFSET)),
        ),
    )


def _registers() -> str:
    parts = [
        table(
            ("id", "address", "name", "access", "after reset", "meaning"),
            (
                (
                    item.rule,
                    f"0x{item.offset:02X}",
                    item.name,
                    item.access,
                    f"0x{contract.reset_value(item):X}",
                    item.meaning,
                )
                for item in contract.REGISTERS
            ),
        )
    ]
    for register in contract.REGISTERS:
        if register.bits:
            parts.append(f"Bits of {register.name} ({register.rule}):\n\n")
            parts.append(
                table(
                    ("bits", "name", "access", "meaning"),
                    (
                        (_bit_range(item), item.name, register.access_of(item), item.meaning)
                        for item in register.bits
                    ),
                )
            )
    return "".join(parts)


_DATA: dict[int, Callable[[], str]] = {
    1: _fields,
    2: _opcodes,
    3: _flags,
    4: _decode,
    5: _rings,
    7: _registers,
}


def render() -> str:
    """The text of the page."""
    parts = [
        GENERATED,
        _INTRODUCTION.format(
            version=contract.VERSION,
            sha256=contract.CONTRACT_SHA256,
            hash=contract.CONTRACT_HASH,
            version_1=contract.EARLIER_HASHES[1],
        ),
    ]
    return "".join([*parts, *sections(rules.SECTIONS, rules.RULES, _DATA)])


def sections(
    titles: Mapping[int, tuple[str, str]],
    listed: Sequence[rules.Rule],
    data: Mapping[int, Callable[[], str]],
) -> Iterator[str]:
    """Yield the sections of a contract's page: heading, introduction, tables of data, rules."""
    for number, (title, introduction) in titles.items():
        yield f"\n## {number}. {title}\n\n"
        if introduction:
            yield f"{introduction}\n\n"
        if number in data:
            yield data[number]()
        yield from (f"- **{rule.rule}** {rule.text}\n" for rule in listed if rule.section == number)
