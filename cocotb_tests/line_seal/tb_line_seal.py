# SPDX-License-Identifier: Apache-2.0
"""Testbench of the seal: what stands at the pins, compared with the golden model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cocotb.handle import HierarchyObject
from cocotb.types import LogicArray
from descring_model.completion import seal_checked
from descring_model.lines import Lines
from descring_vip.handles import read_bytes, read_int, signal
from descring_vip.models.worker import crc_without
from descring_vip.scoreboard import ModelChecker
from descring_vip.stream.lines import join, random_lines, split
from descring_vip.testbench import CombinationalTestbench

Indices = npt.NDArray[np.uint32]


class LineSealTestbench(CombinationalTestbench):
    """Completion, its checksum without the tag and index in, the line as it is posted out."""

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut)
        self._data_i = signal(dut, "data_i")
        self._crc = signal(dut, "crc_i")
        self._index = signal(dut, "index_i")
        self._data_o = signal(dut, "data_o")
        self._indices: list[int] = []
        self._checker = ModelChecker("posted line", self.context, self._model)
        self.checkers.append(self._checker)

    def random_lines(self, count: int) -> Lines:
        """``(count,)`` lines of random bytes: half of them carry CHECKED."""
        return join(random_lines(self.rng, count)).copy()

    async def apply(self, lines: Lines, indices: Indices) -> None:
        """Put ``(n,)`` lines with ``(n,)`` indices through, and note what the pins show."""
        crcs = crc_without(lines, "checksum_or_cookie")
        for line, crc, index in zip(split(lines), crcs, indices.tolist(), strict=True):
            self._data_i.value = LogicArray.from_bytes(line, byteorder="little")
            self._crc.value = crc
            self._index.value = index
            await self.settle()
            self._indices.append(read_int(self._index))
            self._checker.submit(read_bytes(self._data_i))
            self._checker.observe(read_bytes(self._data_o), self.steps)

    def _model(self, lines: Lines, first: int) -> Lines:
        sealed = lines.copy()
        indices = self._indices[first : first + len(lines)]
        seal_checked(sealed, np.array(indices, dtype=np.uint32))
        return sealed
