# SPDX-License-Identifier: Apache-2.0
"""The host of a replay: feeds a stream of lines to ``rl_runtime_mmio`` as fast as it will go.

It compares no completion: ``descring compare`` does. It makes sure that the result is complete, by
the device's registers at rest, and reports the state of host and device when it is not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import DESC_DTYPE, contract, longest_decode
from descring_sim.protocol.stream import StreamFolder, Summary

from descring_vip.handles import read_int, signal
from descring_vip.scoreboard import ValueChecker
from descring_vip.servers.stream_host import StreamHost

HANG_CYCLES = 4096
"""Cycles without a completion after which the device counts as hung, besides the longest line's."""
HALT_READS = 16
"""Reads of STATUS within which HALTED follows the completion STOPPED."""
REST_CYCLES = 128
"""Cycles over which a device at rest must stay at rest."""
PROGRESS_LINES = 1024
U32 = 0xFFFF_FFFF

_ERROR_BITS = ("BAD_CONFIG", "BAD_DOORBELL", "BUS_ERROR")
_STATE = (
    "STATUS",
    "CMD_HEAD",
    "CMD_TAIL",
    "DONE_HEAD",
    "DONE_TAIL",
    "REWARD_HEAD",
    "REWARD_TAIL",
    "CNT_DESCRIPTORS",
    "CNT_BAD_DOORBELLS",
)


class ReplayTestbench(StreamHost):
    """Lines in through the line port, doorbells through the registers, completions out."""

    def __init__(self, dut: HierarchyObject, folder: Path) -> None:
        """The request lies in ``folder``."""
        self.job = StreamFolder.load(folder)
        self.request = self.job.request
        submissions = self.job.submissions.read_bytes()
        super().__init__(dut, submissions)
        self._hang_cycles = HANG_CYCLES + longest_decode(
            np.frombuffer(submissions, dtype=DESC_DTYPE)
        )
        if self.request.seed is not None:
            self.rng = np.random.default_rng(self.request.seed)
        self.registers = ValueChecker("registers at rest", self._where)
        self.checkers.append(self.registers)
        self.halted = False

        self._reg_valid = signal(dut, "reg_valid_i")
        self._reg_write = signal(dut, "reg_write_i")
        self._reg_addr = signal(dut, "reg_addr_i")
        self._reg_wdata = signal(dut, "reg_wdata_i")
        self._reg_rvalid = signal(dut, "reg_rvalid_o")
        self._reg_rdata = signal(dut, "reg_rdata_o")

        self._published = 0  # lines that a doorbell has covered
        self._batch = 1  # lines that the next doorbell waits for
        self._access = False  # a register access is pending

    async def start(self) -> None:
        """Clock, reset and ENABLE; refuses a device of another contract."""
        self.first_index.value = self.request.first_index
        self.quiet_ports()
        for port in (self._reg_valid, self._reg_write, self._reg_addr, self._reg_wdata):
            port.value = 0
        await self.time.start()
        await self.time.reset()
        await self.falling
        got = await self._read("CONTRACT_HASH")
        if got != contract.CONTRACT_HASH:
            raise AssertionError(
                f"expected a device of contract hash 0x{contract.CONTRACT_HASH:08x}, but got "
                f"0x{got:08x}; run `make gen` and replay again"
            )
        modes = [
            name
            for name, wanted in (
                ("REQUIRE_CHECKED", self.request.require_checked),
                ("SPLIT_REWARD", self.request.split_reward),
            )
            if wanted
        ]
        await self._control("ENABLE", *modes)

    async def run(self) -> None:
        """Submit all lines and take their completions; the job may end it at the first STOP."""
        while self.taken < self.count:
            self._ring_doorbell()
            await self._cycle()
            if self.stopped:
                self.stopped = False
                await self._wait_until_halted()
                if self.request.halt:
                    self.halted = True
                    break
                await self._control("ENABLE", "RESUME")
        await self._rest()

    def finish(self) -> None:
        """Write the completions and the summary, once the registers have agreed."""
        self.time.stop()
        self.conclude(self.time.cycle)
        for path, data in zip(self.job.rings, (self.done, self.reward), strict=True):
            path.write_bytes(data)
        Summary(
            done=len(self.done) // contract.DESC_BYTES,
            reward=len(self.reward) // contract.DESC_BYTES,
            halted=self.halted,
            cycles=self.time.cycle,
        ).save(self.job.result)

    # ------------------------------------------------------------------ one cycle

    async def _cycle(self) -> None:
        """One clock cycle: offer the next line, take the completions that are there."""
        await self.falling
        if self._access:
            self._reg_valid.value = 0
            self._access = False
        self.line_cycle()
        if self.idle > self._hang_cycles:
            self.idle = 0
            raise await self._failure(f"no completion for {self._hang_cycles} cycles")

    def count_completion(self) -> None:
        """A completion was taken; now and then its number is written down."""
        super().count_completion()
        if self.taken % PROGRESS_LINES == 0:
            self.job.progress.write_text(str(self.taken), encoding="ascii")

    # ------------------------------------------------------------------ registers

    def _write(self, register: str, value: int) -> None:
        """Offer a register write to the next rising edge; one a cycle."""
        self._reg_addr.value = contract.REGISTER[register].offset
        self._reg_wdata.value = value
        self._reg_write.value = 1
        self._reg_valid.value = 1
        self._access = True

    async def _read(self, register: str) -> int:
        self._reg_addr.value = contract.REGISTER[register].offset
        self._reg_write.value = 0
        self._reg_valid.value = 1
        self._access = True
        await self._cycle()
        if not read_int(self._reg_rvalid):
            raise AssertionError(f"the read of {register} got no response in the next cycle")
        return read_int(self._reg_rdata)

    async def _control(self, *bits: str) -> None:
        """Write CTRL; the device has taken it on return."""
        self._write("CTRL", sum(contract.register_bit("CTRL", bit) for bit in bits))
        await self._cycle()

    def _ring_doorbell(self) -> None:
        """Publish lines once there is room for a batch, also before they are written [RING-011].

        CMD_HEAD is at least the completions taken, so that the new tail is always legal [DB-002].
        """
        room = self.taken + self.job.slots - self._published
        missing = self.count - self._published
        lines = min(room, missing)
        if lines == 0 or lines < min(self._batch, missing):
            return
        self._published += lines
        self._batch = int(self.rng.integers(1, self.job.slots + 1))
        self._write("DOORBELL", (self.request.first_index + self._published) & U32)

    async def _wait_until_halted(self) -> None:
        halted = contract.register_bit("STATUS", "HALTED")
        for _ in range(HALT_READS):
            if await self._read("STATUS") & halted:
                return
        raise await self._failure("expected STATUS.HALTED after STOPPED, got none")

    # ------------------------------------------------------------------ the end

    async def _rest(self) -> None:
        """Take what is left in the rings, then hold the device to its registers [RING-009]."""
        answered = (await self._read("CMD_HEAD") - self.request.first_index) & U32
        while self.taken < answered:
            await self._cycle()
        for _ in range(REST_CYCLES):
            await self._cycle()
        done = len(self.done) // contract.DESC_BYTES
        reward = len(self.reward) // contract.DESC_BYTES
        for register, count in (
            ("CMD_HEAD", self.taken),
            ("CMD_TAIL", self._published),
            ("DONE_HEAD", done),
            ("DONE_TAIL", done),
            ("REWARD_HEAD", reward),
            ("REWARD_TAIL", reward),
        ):
            await self._expect(register, (self.request.first_index + count) & U32)
        await self._expect("CNT_DESCRIPTORS", self.taken)
        await self._expect("CNT_BAD_DOORBELLS", 0)
        errors = sum(contract.register_bit("STATUS", name) for name in _ERROR_BITS)
        self.registers.check(
            f"STATUS, bits {', '.join(_ERROR_BITS)}",
            expected=0,
            actual=await self._read("STATUS") & errors,
        )
        if self.taken > self.count or (self.taken < self.count and not self.halted):
            raise await self._failure("not one completion a line")

    async def _expect(self, register: str, expected: int) -> None:
        self.registers.check(register, expected=expected, actual=await self._read(register))

    async def _failure(self, what: str) -> AssertionError:
        """An error with ``what``, and the state of host and device."""
        state = [f"{name}=0x{await self._read(name):x}" for name in _STATE]
        return AssertionError(f"{what}; {self._where()}; {' '.join(state)}")

    def _where(self) -> str:
        return f"{self.where()}, {self._published} published, {self.time.context()}"
