# SPDX-License-Identifier: Apache-2.0
"""Testbench of the checks on a line: what stands at the pins, compared with the golden model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cocotb.handle import HierarchyObject
from cocotb.types import LogicArray
from descring_model import contract, describe, seal, streams
from descring_model.completion import execute
from descring_model.lines import DESC_DTYPE, Lines, index_range, line_bytes
from descring_vip.handles import read_bytes, read_int, signal
from descring_vip.scoreboard import ValueChecker
from descring_vip.stream.lines import join, split
from descring_vip.testbench import CombinationalTestbench

Indices = npt.NDArray[np.uint32]


class LineCheckTestbench(CombinationalTestbench):
    """Line, index and mode in; error code and STOP out; compared when the case ends.

    Attributes:
        verdicts: how often each error code was expected; a case asserts that it met those it is
            about.
    """

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut)
        self._data = signal(dut, "data_i")
        self._index = signal(dut, "index_i")
        self._require = signal(dut, "require_checked_i")
        self._error_code = signal(dut, "error_code_o")
        self._stop = signal(dut, "stop_o")
        self._checker = ValueChecker("verdict", self.context)
        self.checkers.append(self._checker)
        self._inputs: list[tuple[bytes, int, bool]] = []
        self._outputs: list[tuple[int, int]] = []
        self.verdicts: dict[int, int] = {}

    # Stimulus.

    def sealed_lines(self, count: int, opcode: str | None = None) -> tuple[Lines, Indices]:
        """``(count,)`` CHECKED lines of random bytes with intact tag and checksum, and indices.

        Args:
            count: how many.
            opcode: of all; drawn from the legal ones when None.
        """
        lines: Lines = np.frombuffer(
            self.rng.bytes(count * contract.DESC_BYTES), dtype=DESC_DTYPE
        ).copy()
        legal = list(contract.OPCODE.values())
        lines["opcode"] = (
            self.rng.choice(legal, count) if opcode is None else contract.OPCODE[opcode]
        )
        indices = self.rng.integers(0, 1 << 32, count, dtype=np.uint32)
        return seal(lines, indices, set_flag=True), indices

    def flipped(self, lines: Lines, bits: npt.NDArray[np.intp]) -> Lines:
        """A copy of ``(n,)`` lines with the bits numbered in ``(n, k)`` flipped in each."""
        copy = lines.copy()
        data = line_bytes(copy)
        rows = np.arange(len(copy))
        for column in bits.T:
            data[rows, column // 8] ^= (1 << column % 8).astype(np.uint8)
        return copy

    async def apply_stream(self, profile: str, count: int, *, require_checked: bool) -> None:
        """Put a stream of the model through, each line with the index it was written for."""
        first_index = int(self.rng.integers(1 << 32))
        lines = streams.generate(
            count, seed=int(self.rng.integers(1 << 32)), profile=profile, first_index=first_index
        )
        await self.apply(lines, index_range(first_index, count), require_checked=require_checked)

    async def apply(self, lines: Lines, indices: Indices, *, require_checked: bool = False) -> None:
        """Put ``(n,)`` lines with ``(n,)`` indices through, and note what the pins show."""
        self._require.value = int(require_checked)
        for line, index in zip(split(lines), indices.tolist(), strict=True):
            self._data.value = LogicArray.from_bytes(line, byteorder="little")
            self._index.value = index
            await self.settle()
            self._inputs.append(
                (read_bytes(self._data), read_int(self._index), bool(read_int(self._require)))
            )
            self._outputs.append((read_int(self._error_code), read_int(self._stop)))

    # Judgement.

    def finish(self) -> None:
        """Compare every vector with the model, then report."""
        self._compare()
        super().finish()

    def finish_having_met(self, *names: str) -> None:
        """Finish, and fail unless the model has answered with each of these error codes.

        ``ACCEPTED`` stands for no error.
        """
        self._compare()
        for name in names:
            code = 0 if name == "ACCEPTED" else contract.ERROR_CODE[name]
            if not self.verdicts.get(code):
                raise self._checker.fail(f"the case has met no {name}, which it is about")
        super().finish()

    def _compare(self) -> None:
        inputs = self._inputs
        lines = join([line for line, _, _ in inputs])
        indices = np.array([index for _, index, _ in inputs], dtype=np.uint32)
        required = np.array([mode for _, _, mode in inputs])
        flags = np.where(
            required,
            execute(lines, indices, require_checked=True)["flags"],
            execute(lines, indices, require_checked=False)["flags"],
        )
        codes = (flags >> contract.ERROR_CODE_SHIFT).tolist()
        stops = (flags & contract.FLAG["STOPPED"] != 0).tolist()
        for number, (code, stop) in enumerate(self._outputs):
            self._checker.check(
                f"vector {number}, index {indices[number]}, {describe(lines[number])}, "
                "{stop_o, error_code_o}",
                expected=stops[number] << 8 | codes[number],
                actual=stop << 8 | code,
                digits=3,
            )
            self.verdicts[codes[number]] = self.verdicts.get(codes[number], 0) + 1
