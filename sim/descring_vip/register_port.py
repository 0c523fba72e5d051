# SPDX-License-Identifier: Apache-2.0
"""Master and monitor of the register port: one access a cycle, always taken; reads respond a cycle
later. Accesses can follow each other every cycle, so a read's response can meet the next access.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge

from descring_vip.handles import bit, is_high, read_int, signal
from descring_vip.timebase import Timebase


class Access(NamedTuple):
    """One register access: a write of ``value``, or a read when it is None."""

    address: int
    value: int | None = None


class _Port:
    """The signals of the port."""

    def __init__(self, dut: HierarchyObject, timebase: Timebase) -> None:
        self._valid = bit(dut, "reg_valid_i")
        self._write = bit(dut, "reg_write_i")
        self._address = signal(dut, "reg_addr_i")
        self._wdata = signal(dut, "reg_wdata_i")
        self._rvalid = bit(dut, "reg_rvalid_o")
        self._rdata = signal(dut, "reg_rdata_o")
        self._timebase = timebase


class RegisterMaster(_Port):
    """Drives the ports ``reg_valid_i reg_write_i reg_addr_i reg_wdata_i``; one user at a time.

    cocotb-bus has no master for this port: its bus drivers know one transaction at a time, and here
    a read's response and the next access share a cycle.
    """

    def __init__(self, dut: HierarchyObject, timebase: Timebase, *, rest: int = 0) -> None:
        """``rest``: cycles without an access that the design wants after each write."""
        super().__init__(dut, timebase)
        self._edge = RisingEdge(timebase.clock)
        self._rest = rest
        self._busy = False
        self._release()

    async def write(self, address: int, value: int) -> None:
        """Write one register; returns at the edge that takes the access."""
        await self.run([Access(address, value)])

    async def read(self, address: int) -> int:
        """Read one register; returns at the edge at which the response is there."""
        return (await self.run([Access(address)]))[0]

    async def run(self, accesses: Iterable[Access]) -> list[int]:
        """Make ``accesses`` in consecutive cycles, with a rest after each write if the design wants
        one; the responses of the reads, in order.

        Raises:
            AssertionError: a read gets no response in the cycle after it.
            RuntimeError: another call is in progress.
        """
        if self._busy:
            raise RuntimeError("the register port already makes an access for another task")
        self._busy = True
        answers: list[int] = []
        reading: Access | None = None
        try:
            for access in accesses:
                self._valid.value = 1
                self._write.value = int(access.value is not None)
                self._address.value = access.address
                self._wdata.value = access.value or 0
                await self._edge
                if reading is not None:
                    answers.append(self._answer(reading))
                reading = access if access.value is None else None
                if access.value is not None and self._rest:
                    self._release()
                    for _ in range(self._rest):
                        await self._edge
            self._release()
            if reading is not None:
                await self._edge
                answers.append(self._answer(reading))
        finally:
            self._busy = False
        return answers

    def abort(self) -> None:
        """Release the port; for a reset in the middle, after the task that used it was ended."""
        self._busy = False
        self._release()

    def _answer(self, access: Access) -> int:
        if not is_high(self._rvalid):
            raise AssertionError(
                f"the read of 0x{access.address:03x} got no response in the cycle after it "
                f"({self._timebase.context()})"
            )
        return read_int(self._rdata)

    def _release(self) -> None:
        # Not zeros: an access without valid must not be taken for a write of register 0.
        self._valid.value = 0
        self._write.value = 1
        self._address.value = 0x10
        self._wdata.value = 0xFFFFFFFF


class RegisterEvent(NamedTuple):
    """An access as the pins showed it, with the response if it was a read."""

    access: Access
    answer: int | None
    cycle: int


class RegisterMonitor(_Port):
    """Sees the accesses at the pins, and hands them on.

    ``on_access(access, cycle)`` is called in the cycle of the access, before the design's state has
    changed by it; ``on_answer(event)`` in the next, for reads only, with the response. A stray
    response, a missing one, and data without ``reg_rvalid_o`` are failures.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        timebase: Timebase,
        *,
        on_access: Callable[[Access, int], None] | None = None,
        on_answer: Callable[[RegisterEvent], None] | None = None,
    ) -> None:
        super().__init__(dut, timebase)
        self._on_access = on_access
        self._on_answer = on_answer
        self._task = cocotb.start_soon(self._watch())

    def stop(self) -> None:
        """Stop watching."""
        self._task.cancel()

    async def _watch(self) -> None:
        edge = RisingEdge(self._timebase.clock)
        access_begins = RisingEdge(self._valid)
        reading: deque[Access] = deque()
        while True:
            if not reading and not is_high(self._valid):
                await access_begins
            await edge
            if not is_high(self._timebase.reset_n):
                reading.clear()
                continue
            cycle = self._timebase.cycle
            self._check_answer(reading.popleft() if reading else None, cycle)
            if is_high(self._valid):
                write = is_high(self._write)
                access = Access(read_int(self._address), read_int(self._wdata) if write else None)
                if not write:
                    reading.append(access)
                if self._on_access is not None:
                    self._on_access(access, cycle)

    def _check_answer(self, access: Access | None, cycle: int) -> None:
        answered = is_high(self._rvalid)
        data = read_int(self._rdata)
        if access is None:
            if answered or data:
                raise AssertionError(
                    f"reg_rvalid_o={int(answered)} reg_rdata_o=0x{data:08x} without a read in the "
                    f"cycle before ({self._timebase.context()})"
                )
            return
        if not answered:
            raise AssertionError(
                f"the read of 0x{access.address:03x} got no response in the cycle after it "
                f"({self._timebase.context()})"
            )
        if self._on_answer is not None:
            self._on_answer(RegisterEvent(access, data, cycle))
