# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``axil_slave``: a master before it, and a register file of Python behind it."""

from __future__ import annotations

import itertools
import logging
from collections import deque

from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
from cocotbext.axi import (  # type: ignore[import-untyped]
    AxiLiteMasterRead,
    AxiLiteMasterWrite,
    AxiLiteReadBus,
    AxiLiteWriteBus,
)
from descring_vip.axi.lite import AxilHost
from descring_vip.axi.monitor import AxiMonitor
from descring_vip.handles import bit, is_high, read_int, signal
from descring_vip.scoreboard import ValueChecker
from descring_vip.stream.patterns import Idle, Ready, idle_pattern, ready_pattern
from descring_vip.testbench import Testbench

_S_AXIL = ("awready", "wready", "bresp", "bvalid", "arready", "rdata", "rresp", "rvalid")
_REG = ("valid", "write", "addr", "wdata")
_WHOLE = 0xF
_REST = 2
"""Cycles after a write in which the register file takes no access."""


class AxilSlaveTestbench(Testbench):
    """What the master asks for must come out as one access each, and every answer be its own.

    Attributes:
        host: the master.
    """

    def __init__(
        self, dut: HierarchyObject, *, idle: Idle = Idle.NONE, ready: Ready = Ready.ALWAYS
    ) -> None:
        outputs = [*(f"s_axil_{name}" for name in _S_AXIL), *(f"reg_{name}_o" for name in _REG)]
        super().__init__(dut, outputs=outputs)
        self.host = AxilHost(dut, self.time)
        kind = Ready.RANDOM if ready in (Ready.AFTER_VALID, Ready.LATE) else ready
        self.host.pause(**{name: idle_pattern(idle, self.rng) for name in ("aw", "w", "ar")})
        self.host.pause(**{name: ready_pattern(kind, self.rng) for name in ("b", "r")})
        self.accesses = self.add_checker(ValueChecker("accesses", self.time.context))
        self._protocol = self.add_checker(AxiMonitor(dut, self.time, "s_axil", lite=True))
        self._writes: deque[tuple[int, int]] = deque()
        self._reads: deque[int] = deque()
        self._answers: deque[int] = deque()
        self._reg = {name: signal(dut, f"reg_{name}_o") for name in _REG}
        self._rvalid = bit(dut, "reg_rvalid_i")
        self._rdata = signal(dut, "reg_rdata_i")
        self._rvalid.value = self._rdata.value = 0
        self.add_task(self._serve())

    def stop(self) -> None:
        """Stop every task."""
        super().stop()
        self._protocol.stop()

    def progress(self) -> tuple[int, ...]:
        """Handshakes."""
        return (self._protocol.seen,)

    async def write(self, address: int, value: int, strobes: int = _WHOLE) -> None:
        """Write; the access must have come out by the time of the response."""
        if strobes == _WHOLE:
            self._writes.append((address, value))
        await self.host.write(address, value, strobes)
        self.accesses.check("writes not made", expected=0, actual=len(self._writes))

    async def read(self, address: int) -> None:
        """Read; the answer must be what the register file gave."""
        self._reads.append(address)
        answer = await self.host.read(address)
        self.accesses.check("answer", expected=self._answers.popleft(), actual=answer)

    async def read_ahead(self, addresses: list[int], *, paused: bool) -> None:
        """Ask for all at once, through cocotbext-axi's master; ``paused``: R, at random."""
        bus = AxiLiteReadBus.from_prefix(self.dut, "s_axil")
        master = AxiLiteMasterRead(bus, self.time.clock, self.time.reset_n, False)
        master.log.setLevel(logging.WARNING)
        if paused:
            pauses = itertools.cycle((self.rng.random(97) < 0.6).tolist())
            master.r_channel.set_pause_generator(pauses)
        self._reads.extend(addresses)
        reads = [master.init_read(address, 4) for address in addresses]
        for read in reads:
            await self.within(read.wait(), 2_000, "an answer")
            answer = int.from_bytes(bytes(read.data.data), "little")
            self.accesses.check("answer", expected=self._answers.popleft(), actual=answer)

    async def read_among_writes(self, writes: int, address: int) -> None:
        """Ask for all ``writes`` at once, and for a read: it must not wait for the last of them."""
        bus = AxiLiteWriteBus.from_prefix(self.dut, "s_axil")
        master = AxiLiteMasterWrite(bus, self.time.clock, self.time.reset_n, False)
        master.log.setLevel(logging.WARNING)
        self._writes.extend((4 * number, number) for number in range(writes))
        asked = [
            master.init_write(4 * number, number.to_bytes(4, "little")) for number in range(writes)
        ]
        await self.until(lambda: len(self._writes) < writes, 100, "the first write")
        await self.within(self.read(address), 100, "the read")
        self.accesses.check("whether writes waited", expected=1, actual=int(bool(self._writes)))
        for write in asked:
            await self.within(write.wait(), 2_000, "a write")

    async def _serve(self) -> None:
        """The register file: answers a read in the next cycle, and rests after a write."""
        edge = RisingEdge(self.time.clock)
        written = -_REST - 1
        while True:
            await edge
            if is_high(self._reg["valid"]) and self.time.cycle - written <= _REST:
                raise self.accesses.fail(
                    f"an access {self.time.cycle - written} cycles after a write"
                )
            if is_high(self._reg["valid"]) and is_high(self._reg["write"]):
                written = self.time.cycle
            self._rvalid.value = 0
            self._rdata.value = 0
            if not is_high(self.time.reset_n) or not is_high(self._reg["valid"]):
                continue
            address = read_int(self._reg["addr"])
            if is_high(self._reg["write"]):
                self._made(address, read_int(self._reg["wdata"]))
            else:
                expected = self._reads.popleft() if self._reads else -1
                self.accesses.check("address read", expected=expected, actual=address)
                self._answers.append(int(self.rng.integers(1 << 32)))
                self._rvalid.value = 1
                self._rdata.value = self._answers[-1]

    def _made(self, address: int, value: int) -> None:
        if not self._writes:
            raise self.accesses.fail(f"a write of 0x{value:x} to 0x{address:x} that nobody made")
        expected = self._writes.popleft()
        self.accesses.check("address written", expected=expected[0], actual=address)
        self.accesses.check("value written", expected=expected[1], actual=value)
