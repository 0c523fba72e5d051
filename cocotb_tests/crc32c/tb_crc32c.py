# SPDX-License-Identifier: Apache-2.0
"""Testbench of the checksum: what stands at the pins, compared with the golden model's CRC."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.types import LogicArray
from descring_model import contract, crc32c
from descring_vip.handles import read_bytes, read_int, signal
from descring_vip.scoreboard import ValueChecker
from descring_vip.testbench import CombinationalTestbench


def _shift(state: int, bits: int) -> int:
    """The register of the checksum after ``bits`` steps with data of 0 [DESC-020]."""
    for _ in range(bits):
        state = state >> 1 ^ (contract.CRC32C_POLY_REFLECTED if state & 1 else 0)
    return state


def _unshift(state: int, bits: int) -> int:
    """The inverse of :func:`_shift`: the polynomial's top bit tells which way a step went."""
    for _ in range(bits):
        state = (state ^ contract.CRC32C_POLY_REFLECTED) << 1 | 1 if state >> 31 else state << 1
    return state


def message_with_check_value() -> bytes:
    """60 bytes whose checksum is that of ``123456789``, which it ends with.

    The four bytes before it bring the register back to its initial value, whatever came earlier:
    a byte string enters by XOR at the low end, so data equal to register XOR wanted, seen 32 steps
    before, leave the wanted value.
    """
    tail = b"123456789"
    zeros = bytes(contract.CRC_BYTES - len(tail) - 4)
    register = _shift(contract.CRC32C_INIT, 8 * len(zeros))
    bridge = register ^ _unshift(contract.CRC32C_INIT, 32)
    return zeros + bridge.to_bytes(4, "little") + tail


class CrcTestbench(CombinationalTestbench):
    """Data in, checksum out, one vector at a time; compared when the case ends."""

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut)
        self._data = signal(dut, "data_i")
        self._crc = signal(dut, "crc_o")
        self._checker = ValueChecker("crc_o", self.context)
        self.checkers.append(self._checker)
        self._inputs: list[bytes] = []
        self._outputs: list[int] = []

    async def apply(self, messages: Iterable[bytes]) -> None:
        """Put messages of 60 bytes through, and note what the pins show."""
        for message in messages:
            self._data.value = LogicArray.from_bytes(message, byteorder="little")
            await self.settle()
            self._inputs.append(read_bytes(self._data))
            self._outputs.append(read_int(self._crc))

    async def apply_check_value(self) -> None:
        """Put the standard's own check value through [DESC-020]."""
        await self.apply([message_with_check_value()])
        self._checker.check("check value", expected=contract.CRC32C_CHECK, actual=self._outputs[-1])

    def finish(self) -> None:
        """Compare every vector with the model, then report."""
        data = np.frombuffer(b"".join(self._inputs), dtype=np.uint8)
        expected = crc32c(data.reshape(-1, contract.CRC_BYTES)).tolist()
        for number, (wanted, crc) in enumerate(zip(expected, self._outputs, strict=True)):
            self._checker.check(
                f"vector {number}, data {self._inputs[number].hex(' ', 8)},",
                expected=wanted,
                actual=crc,
            )
        super().finish()
