# SPDX-License-Identifier: Apache-2.0
"""Testbench of the whole device: a host at its pins, the golden device beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import contract, seal
from descring_model.lines import Lines, index_range
from descring_model.streams import generate
from descring_vip.handles import is_high, parameter, signal
from descring_vip.register_port import Access, RegisterMaster, RegisterMonitor
from descring_vip.stream.line_stream import Beat, LineMonitor
from descring_vip.stream.lines import join, split
from descring_vip.stream.patterns import Idle, Pattern, Ready, idle_pattern, ready_pattern
from descring_vip.testbench import Testbench

from rl_runtime_mmio.device_scoreboard import (
    ENABLE,
    HALTED,
    OFFSET,
    READY,
    RESET,
    RESUME,
    U32,
    DeviceScoreboard,
)

_OUTPUTS = (
    *("reg_rvalid_o", "reg_rdata_o", "line_ready_o", "irq_o"),
    *("done_valid_o", "done_data_o", "reward_valid_o", "reward_data_o"),
)
_OFFSETS = list(OFFSET.values())
_QUIET_CYCLES = 80
"""Longer than any line takes: over this time a device at rest must stay at rest."""

_SETTLE_CYCLES = 8_000
_PROGRESS_CYCLES = 4_000
"""Cycles without a completion after which the host gives up."""


class _CompletionMonitor(LineMonitor):
    """Knows that CTRL.RESET, too, takes completions off offer."""

    scoreboard: DeviceScoreboard | None = None

    @property
    def in_reset(self) -> bool:
        """Whether nothing is on offer now because of a reset."""
        if not is_high(self._timebase.reset_n):
            return True
        if self.scoreboard is None or not self.scoreboard.in_soft_reset(self._timebase.cycle):
            return False
        if is_high(self.bus.valid):
            raise AssertionError(
                f"{self.label}: a completion is on offer after CTRL.RESET "
                f"({self._timebase.context()})"
            )
        return True


class DeviceTestbench(Testbench):
    """The host of the device, and the golden device that is told what the pins showed.

    Attributes:
        scoreboard: the golden device and its checkers.
        registers: master of the register port.
        lines: driver of the line port.
        done: sink of the done ring. ``reward`` is the sink of the reward ring.
        depths: slots of command, done and reward ring.
        workers: number of workers.
        completion_cycles: the cycle of every completion that the host took, of both rings.
    """

    def __init__(
        self, dut: HierarchyObject, *, first_index: int = 0, idle: Idle = Idle.NONE
    ) -> None:
        super().__init__(dut, outputs=_OUTPUTS)
        self.depths = (
            parameter(dut, "RingDepth"),
            parameter(dut, "DoneDepth"),
            parameter(dut, "RewardDepth"),
        )
        self.workers = parameter(dut, "WorkerCount")
        self.scoreboard = DeviceScoreboard(
            self.time.context, depths=self.depths, first_index=first_index
        )
        for checker in (self.scoreboard.done, self.scoreboard.reward, self.scoreboard.registers):
            self.add_checker(checker)
        signal(dut, "first_index_i").value = first_index
        self.irq = signal(dut, "irq_o")
        self.registers = RegisterMaster(dut, self.time)
        self.lines = self.add_driver("line_", idle=idle_pattern(idle, self.rng))
        self.done = self.add_sink("done_")
        self.reward = self.add_sink("reward_")
        self.add_monitor("line_", into=True).add_callback(
            lambda beat: self.scoreboard.line_written(beat.line, beat.cycle)
        )
        self.completion_cycles: list[int] = []
        self._received: list[bytes] = []
        for ring in ("DONE", "REWARD"):
            monitor = _CompletionMonitor(dut, self.time, f"{ring.lower()}_", into=False)
            monitor.scoreboard = self.scoreboard
            monitor.add_callback(self._on_completion(ring))
            self.monitors.append(monitor)
        self._register_monitor = RegisterMonitor(
            dut,
            self.time,
            on_access=self.scoreboard.accessed,
            on_answer=self.scoreboard.answered,
        )

    def _on_completion(self, ring: str) -> Callable[[Beat], None]:
        def taken(beat: Beat) -> None:
            self.completion_cycles.append(beat.cycle)
            self._received.append(beat.line)
            self.scoreboard.completion_taken(ring, beat.line, beat.cycle)

        return taken

    # ------------------------------------------------------------------ the base's hooks

    def on_reset(self) -> None:
        """A model fresh from reset."""
        self.registers.abort()
        self.scoreboard.reset()

    def is_drained(self) -> bool:
        """Whether the model has nothing left to hand out."""
        self.scoreboard.flush()
        return super().is_drained()

    def stop(self) -> None:
        """Stop every task."""
        super().stop()
        self._register_monitor.stop()

    def state(self) -> dict[str, object]:
        """The base's, and where the model stands."""
        board = self.scoreboard
        model = {name: f"0x{value:x}" for name, value in board.state_now().items()}
        return {
            **super().state(),
            "host": f"{board.written} lines written, {board.taken} completions taken",
            "model": model,
            "lines waiting in the model": -board.model.line_room + self.depths[0],
        }

    async def finish(self) -> None:
        """As the base; the design must have come to rest where the model has."""
        await self.settle()
        await super().finish()

    # ------------------------------------------------------------------ the host

    @property
    def first_index(self) -> int:
        """The value of every index after reset."""
        return self.scoreboard.first_index

    @property
    def written(self) -> int:
        """Lines that the device has taken since the last reset."""
        self.scoreboard.flush()
        return self.scoreboard.written

    @property
    def taken(self) -> int:
        """Completions that the host has taken since the last reset."""
        self.scoreboard.flush()
        return self.scoreboard.taken

    def start_sinks(self, ready: Ready = Ready.ALWAYS) -> None:
        """Take completions of both rings, by a pattern of its own each."""
        for sink in (self.done, self.reward):
            sink.start(self._ready_pattern(ready), kind=ready)

    def _ready_pattern(self, ready: Ready) -> Pattern | None:
        return ready_pattern(ready, self.rng)

    @property
    def enough(self) -> int:
        """Lines that occupy every worker and leave some waiting, if the command ring has the slots.

        A ring that could hold many more makes a case longer and no sharper.
        """
        return min(self.depths[0], self.workers + 12)

    @property
    def next_index(self) -> int:
        """Ring index of the next line that is queued; for a driver at rest."""
        return (self.first_index + self.written + self.lines.queued) % U32

    def stream(self, count: int, profile: str = "mixed") -> Lines:
        """Draw lines of ``profile`` for the indices from :attr:`next_index` on."""
        seed = int(self.rng.integers(1 << 32))
        return generate(count, seed=seed, profile=profile, first_index=self.next_index)

    def received(self, count: int) -> Lines:
        """The last ``count`` completions that the host took."""
        return join(self._received[-count:])

    def stops(self, count: int, *, checked: bool = False) -> Lines:
        """Lines of STOP, for the indices from :attr:`next_index` on if they are CHECKED."""
        lines = self.stream(count, "nop")
        lines["opcode"] = contract.OPCODE["STOP"]
        if not checked:
            return lines
        return seal(lines, index_range(self.next_index, count), set_flag=True)

    def decodes(self, tokens: Sequence[int], *, to_reward: Sequence[bool] | bool = False) -> Lines:
        """DECODE lines of so many tokens each, 1 to 32, that end DONE or with NEEDS_REWARD."""
        lines = self.stream(len(tokens), "decode")
        lines["seq_len"] = 96 - np.array(tokens)
        lines["max_tokens"] = 96 + np.broadcast_to(to_reward, len(tokens))
        return lines

    def write_lines(self, lines: Lines) -> None:
        """Queue lines for the line port."""
        self.lines.send_soon(split(lines))

    def write_stream(self, count: int, profile: str = "mixed") -> None:
        """Draw and queue lines; see :meth:`stream`."""
        self.write_lines(self.stream(count, profile))

    async def write(self, name: str, value: int) -> None:
        """Write the register called ``name``."""
        await self.registers.write(OFFSET[name], value)

    async def read(self, name: str) -> int:
        """Read the register called ``name``."""
        return await self.registers.read(OFFSET[name])

    async def enable(self, modes: int = 0) -> None:
        """CTRL.ENABLE, with these mode bits."""
        await self.write("CTRL", ENABLE | modes)

    async def publish(self, count: int) -> None:
        """Doorbell with the first ``count`` lines since the reset."""
        await self.write("DOORBELL", (self.first_index + count) % U32)

    async def resume(self) -> None:
        """Wait until the device says that it is halted, then let it go on."""
        await self.until_status(HALTED, HALTED)
        await self.write("CTRL", ENABLE | RESUME)

    async def until_status(self, mask: int, value: int) -> None:
        """Poll STATUS until ``mask`` of it is ``value``."""
        start = self.time.cycle
        while (await self.read("STATUS")) & mask != value:
            if self.time.cycle - start > _PROGRESS_CYCLES:
                raise self.timeout(f"STATUS never came to be 0x{value:x} in bits 0x{mask:x}")

    async def until_taken(self, count: int) -> None:
        """Wait until the host has taken ``count`` completions since the reset."""
        await self.until(lambda: self.taken >= count, _PROGRESS_CYCLES, f"{count} completions")

    async def soft_reset(self, also: int = 0) -> None:
        """CTRL.RESET, with other bits of CTRL; returns when STATUS.READY says that it is over."""
        await self.write("CTRL", RESET | also)
        await self.until_status(READY, READY)

    async def lines_taken(self) -> None:
        """Wait until the device has taken every line that is queued."""
        await self.until(lambda: not self.lines.queued, _PROGRESS_CYCLES, "the lines to be taken")

    def unchanged(self, what: str, before: int, after: int) -> None:
        """What the device showed before it must show again."""
        self.scoreboard.registers.check(what, expected=before, actual=after)

    async def serve(
        self,
        count: int,
        *,
        longest_batch: int = 24,
        longest_gap: int = 12,
        patience: int = _PROGRESS_CYCLES,
    ) -> None:
        """Be a host until the first ``count`` lines since the reset are answered and taken.

        Doorbells come in batches, ahead of the lines or behind them, some of them repeated; a
        halted device is resumed. The lines are the driver's business, taking them the sinks'.
        """
        published = answered = self.taken
        last, since = self.taken, self.time.cycle
        while self.taken < count:
            # Any register may be read at any time; most of them know no time.
            other = _OFFSETS[int(self.rng.integers(len(_OFFSETS)))]
            status, head, _ = await self.registers.run(
                [Access(OFFSET["STATUS"]), Access(OFFSET["CMD_HEAD"]), Access(other)]
            )
            if status & HALTED:
                await self.write("CTRL", ENABLE | RESUME)
            answered = max((head - self.first_index) % U32, self.taken)
            batch = int(self.rng.integers(0, longest_batch + 1))
            published = max(published, min(published + batch, answered + self.depths[0], count))
            await self.publish(published)
            await self.time.cycles(int(self.rng.integers(0, longest_gap + 1)))
            if self.taken != last:
                last, since = self.taken, self.time.cycle
            elif self.time.cycle - since > patience:
                raise self.timeout(f"no completion for {patience} cycles")

    async def serve_halts(self) -> None:
        """Resume the device for as long as it halts."""
        await self.quiet()
        while (await self.read("STATUS")) & HALTED:
            await self.resume()
            await self.quiet()

    async def fill_done_ring(self, profile: str) -> None:
        """Write and publish as many lines as the done ring has slots, and take none of them."""
        self.write_stream(self.depths[1], profile)
        await self.publish_all_there_is_room_for(self.depths[1])

    async def publish_all_there_is_room_for(self, count: int) -> None:
        """Publish the first ``count`` lines, or as many as the device will have in its rings."""
        published = 0
        while True:
            await self.settle()
            head = await self.read("CMD_HEAD")
            tail = min(count, (head - self.first_index) % U32 + self.depths[0])
            if tail == published:
                return
            published = tail
            await self.publish(published)

    async def expect_stall(self, stalled: bool) -> None:
        """CNT_STALL_CYCLES must be 0, or must not: how many cycles it counts is never compared."""
        cycles = await self.read("CNT_STALL_CYCLES")
        self.scoreboard.registers.check(
            f"whether CNT_STALL_CYCLES, which is {cycles}, counted any",
            expected=int(stalled),
            actual=int(cycles != 0),
            digits=1,
        )

    async def pump(self, count: int) -> None:
        """Be the fastest host: every cycle a doorbell for all that there is room for."""

        def doorbells() -> Iterator[Access]:
            start = self.time.cycle
            while (taken := self.taken) < count:
                tail = min(taken + self.depths[0], count)
                yield Access(OFFSET["DOORBELL"], (self.first_index + tail) % U32)
                if self.time.cycle - start > 40 * count + _PROGRESS_CYCLES:
                    raise self.timeout(f"{taken} of {count} lines are answered")

        await self.registers.run(doorbells())

    async def quiet(self, cycles: int = _QUIET_CYCLES) -> None:
        """Let so much time pass that whatever the device would do, it has done."""
        await self.time.cycles(cycles)

    async def settle(self) -> None:
        """Wait until the design has come as far as the model; then compare every register.

        It must then stay there: a device that goes further than the contract lets it is found.

        Raises:
            AssertionError: it never comes there, does not stay, or a register differs.
        """
        start = self.time.cycle
        while not await self._agrees() or not await self._stays():
            if self.time.cycle - start > _SETTLE_CYCLES:
                raise self.timeout(f"the design and the model disagree: {await self._where()}")
        self.scoreboard.at_rest = True
        await self.registers.run([Access(offset) for offset in OFFSET.values()])
        if not self.scoreboard.at_rest:
            raise self.timeout("the device did not stay at rest while its registers were read")
        self.scoreboard.registers.check(
            "irq_o",
            expected=int(self.scoreboard.model.irq),
            actual=int(is_high(self.irq)),
            digits=1,
        )

    async def _where(self) -> dict[str, int]:
        names = list(self.scoreboard.state_now())
        values = await self.registers.run([Access(OFFSET[name]) for name in names])
        return dict(zip(names, values, strict=True))

    async def _agrees(self) -> bool:
        where = await self._where()
        return where == self.scoreboard.state_now()

    async def _stays(self) -> bool:
        before = self.progress()
        await self.quiet()
        return self.progress() == before and await self._agrees()
