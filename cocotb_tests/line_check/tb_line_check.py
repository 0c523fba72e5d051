# SPDX-License-Identifier: Apache-2.0
"""Testbench of the checks on a line: verdicts, compared with the golden model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from cocotb.handle import HierarchyObject
from cocotb.types import LogicArray
from descring_model import contract, describe, seal, streams
from descring_model.completion import execute
from descring_model.lines import DESC_DTYPE, Lines, index_range, line_bytes
from descring_vip.handles import is_high, read_bytes, read_int, signal
from descring_vip.models.worker import CHANGED_FIELDS, crc_without, limit_comparisons
from descring_vip.scoreboard import ValueChecker
from descring_vip.stream.lines import join, split
from descring_vip.testbench import Testbench

Indices = npt.NDArray[np.uint32]

_RESULTS = ("error_code_o", "stop_o", "kept_crc_o", "below_limit_o", "at_limit_o")


class _Checked(NamedTuple):
    """A line as the pins had it, with its index and mode."""

    line: bytes
    slot: int
    required: bool


class LineCheckTestbench(Testbench):
    """Lines with index and mode in; error code, STOP and kept shares of the checksum out.

    A verdict is due two cycles after its line, and in no other. Values are compared when the case
    ends.

    Attributes:
        verdicts: how often each error code was expected; a case asserts that it met those it is
            about.
    """

    def __init__(self, dut: HierarchyObject, *, gaps: bool = False) -> None:
        """With ``gaps`` random cycles without a line lie between the lines."""
        super().__init__(dut, outputs=("valid_o", *_RESULTS))
        self._gaps = gaps
        self._valid_i = signal(dut, "valid_i")
        self._data = signal(dut, "data_i")
        self._index = signal(dut, "index_i")
        self._require = signal(dut, "require_checked_i")
        self._valid_o = signal(dut, "valid_o")
        self._results = [signal(dut, name) for name in _RESULTS]
        self._checker = self.add_checker(ValueChecker("verdict", self.time.context))
        # The lines of the two stages, the older one first.
        self._stages: list[_Checked | None] = [None, None]
        self._seen: list[tuple[_Checked, tuple[int, ...]]] = []
        self._started = False
        self.verdicts: dict[int, int] = {}
        for pin in (self._valid_i, self._data, self._index, self._require):
            pin.value = 0

    async def start(self) -> None:
        """Start everything."""
        self._started = True
        self.add_task(self._watch())
        await super().start()

    async def _watch(self) -> None:
        """Note each line and its verdict; fail on a verdict too many or too few."""
        while True:
            await self.time.edge()
            if not is_high(self.time.reset_n):
                self._stages = [None, None]
                continue
            delivered = is_high(self._valid_o)
            due = self._stages.pop(0)
            if delivered != (due is not None):
                raise self._checker.fail(
                    "a verdict without a line" if delivered else "no verdict for a line"
                )
            if due is not None:
                self._seen.append((due, tuple(read_int(pin) for pin in self._results)))
            taken = None
            if is_high(self._valid_i):
                line, index = read_bytes(self._data), read_int(self._index)
                taken = _Checked(line, index, is_high(self._require))
            self._stages.append(taken)

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
        """Put ``(n,)`` lines with ``(n,)`` indices through; the mode is that of all of them."""
        if not self._started:
            await self.start()
        self._require.value = int(require_checked)
        await self._drive(lines, indices)
        await self.time.cycles(3)

    async def reset_after(self, lines: Lines, indices: Indices, cycles: int) -> None:
        """Put ``(n,)`` lines through, and reset ``cycles`` cycles after the last."""
        await self._drive(lines, indices)
        await self.time.cycles(cycles)
        await self.reset()

    async def _drive(self, lines: Lines, indices: Indices) -> None:
        for line, index in zip(split(lines), indices.tolist(), strict=True):
            while self._gaps and self.rng.random() < 0.5:
                self._valid_i.value = 0
                await self.time.edge()
            self._valid_i.value = 1
            self._data.value = LogicArray.from_bytes(line, byteorder="little")
            self._index.value = index
            await self.time.edge()
        self._valid_i.value = 0

    # Judgement.

    async def finish(self) -> None:
        """Compare every verdict with the model, then report."""
        self._compare()
        await super().finish()

    async def finish_having_met(self, *names: str) -> None:
        """Finish, and fail unless the model has answered with each of these error codes.

        ``ACCEPTED`` stands for no error.
        """
        self._compare()
        for name in names:
            code = 0 if name == "ACCEPTED" else contract.ERROR_CODE[name]
            if not self.verdicts.get(code):
                raise self._checker.fail(f"the case has met no {name}, which it is about")
        await super().finish()

    def _compare(self) -> None:
        lines = join([given.line for given, _ in self._seen])
        indices = np.array([given.slot for given, _ in self._seen], dtype=np.uint32)
        required = np.array([given.required for given, _ in self._seen])
        flags = np.where(
            required,
            execute(lines, indices, require_checked=True)["flags"],
            execute(lines, indices, require_checked=False)["flags"],
        )
        codes = (flags >> contract.ERROR_CODE_SHIFT).tolist()
        stops = (flags & contract.FLAG["STOPPED"] != 0).tolist()
        kept = crc_without(lines, *CHANGED_FIELDS)
        comparisons = np.transpose(limit_comparisons(lines)).tolist()
        for number, (_, (code, stop, crc, *limits)) in enumerate(self._seen):
            name = f"vector {number}, index {indices[number]}, {describe(lines[number])}, "
            self._checker.check(
                name + "{stop_o, error_code_o}",
                expected=stops[number] << 8 | codes[number],
                actual=stop << 8 | code,
                digits=3,
            )
            self._checker.check(name + "kept_crc_o", expected=kept[number], actual=crc)
            for pin, expected, actual in zip(
                _RESULTS[3:], comparisons[number], limits, strict=True
            ):
                self._checker.check(name + pin, expected=int(expected), actual=actual)
            self.verdicts[codes[number]] = self.verdicts.get(codes[number], 0) + 1
        self._seen.clear()
