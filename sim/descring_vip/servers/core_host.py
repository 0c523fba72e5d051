# SPDX-License-Identifier: Apache-2.0
"""The host of a foreign core behind the wrapper that the conformance kit generates.

It compares no completion: the kit does, outside. What only shows at the ports it judges here: a
completion before its doorbell or its line, one behind a halt, one too many.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import contract
from descring_sim.protocol.stream import CoreFolder, CoreResult

from descring_vip.handles import read_bytes, read_int, signal
from descring_vip.scoreboard import ValueChecker
from descring_vip.servers.stream_host import StreamHost

REST_CYCLES = 128
"""Cycles over which a core that has nothing to do must do nothing."""
HALT_CYCLES = 64
"""Cycles within which `halted` follows the completion STOPPED."""
LATE_CYCLES = 96
"""Cycles that a late host leaves a batch of lines without a doorbell, and one that pauses waits."""
_SETTLE_CYCLES = 8
"""Cycles around a change of `enable` in which no line is published: which is first is open."""
U32 = 0xFFFF_FFFF


class _Ended(Exception):
    """The run is over before the stream is: a hang, or a broken rule."""

    def __init__(self, result: CoreResult) -> None:
        super().__init__(result.hung or result.text)
        self.result = result


class CoreHost(StreamHost):
    """Drives ``descring_dut_wrapper`` as the job requires."""

    def __init__(self, dut: HierarchyObject, folder: Path) -> None:
        """The request lies in ``folder``."""
        self.job = CoreFolder.load(folder)
        self.request = self.job.request
        super().__init__(dut, self.job.submissions.read_bytes())
        self.rng = np.random.default_rng(self.request.seed)
        self.answered = ValueChecker("completions", self.where)
        self.checkers.append(self.answered)
        self.result = CoreResult(0)
        self._enable = signal(dut, "enable_i")
        self._resume = signal(dut, "resume_i")
        self._require_checked = signal(dut, "require_checked_i")
        self._split_reward = signal(dut, "split_reward_i")
        self._cmd_tail = signal(dut, "cmd_tail_i")
        self._halted = signal(dut, "halted_o")
        self._published = 0
        self._since_doorbell = 0
        self._pause = 0
        self._enabled = False
        self._quiet = 0  # cycles since `enable` was cleared, or since the last completion after it
        self._accepted_at_most = 0  # lines published before `enable` was cleared
        self._until = 0  # completions at which it is cleared next
        self._resumed = 0
        self._since_resume = 0
        self._shown: dict[str, bytes | None] = {"done": None, "reward": None}

    async def start(self) -> None:
        """Clock, reset, modes, and enable."""
        job = self.job
        self.quiet_ports()
        self.first_index.value = self.request.first_index
        self._require_checked.value = int(self.request.require_checked)
        self._split_reward.value = int(self.request.split_reward)
        self._cmd_tail.value = self.request.first_index
        self._resume.value = 0
        self._enable.value = 0
        await self.time.start()
        await self.time.reset(job.reset_cycles)
        await self.falling
        if job.host == "pauses":
            self._clear_enable()
        else:
            self._set_enable()

    async def run(self) -> None:
        """Submit all lines and take their completions, until the job's end or a reason to stop."""
        try:
            await self._stream()
            await self._rest()
        except _Ended as end:
            self.result = end.result

    async def _stream(self) -> None:
        while self.taken < self.count:
            self._behave()
            await self._cycle()
            if self.stopped:
                self.stopped = False
                await self._wait_until_halted()
                if self.request.halt:
                    return
                await self._leave_halt()

    async def _cycle(self) -> None:
        await self.falling
        self._since_doorbell += 1
        self._since_resume += 1
        self._quiet += 1
        before = self.taken
        self._watch()
        self.line_cycle()
        if self.taken != before and not self._enabled:
            self._quiet = 0
            if self.taken > self._accepted_at_most:
                self._break("LIFE-007", "a completion of a line published while `enable` was low")
        visible = min(self._published, self.written)
        if self.taken > self.count:
            self._break("RING-006", "more completions than lines")
        if self.taken > visible and self.taken > before:
            rule = "DB-001" if self._published <= self.written else "RING-011"
            self._break(rule, "a completion of a line that is not both written and published")
        if self.idle > self.job.patience:
            text = f"no completion for {self.job.patience} cycles; {self.where()}"
            raise _Ended(CoreResult(self.time.cycle, hung=text))

    def _watch(self) -> None:
        """What may not be seen at the ports at any time."""
        if self.job.has_halted and self._since_resume > HALT_CYCLES and read_int(self._halted):
            left = self.job.stops[self._resumed :]
            if not left or left[0] >= min(self._published, self.written):
                self._break("LIFE-003", "`halted` is high and no STOP is in the ring")
        if self.job.host != "slow":
            return
        for name, valid, data in (
            ("done", self.done_valid, self.done_data),
            ("reward", self.reward_valid, self.reward_data),
        ):
            now = read_bytes(data) if read_int(valid) else None
            if self._shown[name] is not None and now != self._shown[name]:
                what = "changed" if now else "was withdrawn"
                self._break("RING-005", f"a pending completion {what} before it was taken")
            self._shown[name] = None if self.taking else now

    def _set_enable(self) -> None:
        self._enabled = True
        self._enable.value = 1
        self._until = self.taken + int(self.rng.integers(3, 24))

    def _clear_enable(self) -> None:
        self._enabled = False
        self._enable.value = 0
        self._quiet = 0
        self._accepted_at_most = self._published

    async def _leave_halt(self) -> None:
        """Pulse `resume`; a host that pauses does so while `enable` is low, and nothing runs."""
        paused = self.job.host == "pauses"
        if paused:
            self._clear_enable()
            self._accepted_at_most = self.taken
        self._resume.value = 1
        await self._cycle()
        self._resume.value = 0
        self._resumed += 1
        self._since_resume = 0
        if paused:
            for _ in range(HALT_CYCLES + _SETTLE_CYCLES):
                self.idle = 0
                await self._cycle()
            if self.job.has_halted and read_int(self._halted):
                self._break("LIFE-003", "`halted` is high after a `resume` with `enable` low")
            self._set_enable()

    def _pause_and_go_on(self) -> None:
        """Clear `enable` after some completions, and set it once all has been quiet for long."""
        if self._enabled:
            if self.taken >= self._until and self._since_doorbell > _SETTLE_CYCLES:
                self._clear_enable()
                return
            near = self.taken >= self._until
        else:
            self.idle = 0
            near = self._quiet <= _SETTLE_CYCLES
            if self._quiet > LATE_CYCLES:
                self._set_enable()
        if not near:
            self._publish(self.taken + self.job.slots)

    def _resume_out_of_turn(self) -> None:
        """Pulse `resume` at random while no STOP is published: it must have no effect."""
        left = self.job.stops[self._resumed :]
        before_it = left[0] if left else self.count
        early = self.taken < before_it
        self._resume.value = int(early and self.rng.random() < 0.3)
        tail = self.taken + self.job.slots
        self._publish(min(tail, before_it) if early else tail)

    def _break(self, rule: str, text: str) -> None:
        where = f"{text}; {self.where()}, {self._published} published"
        raise _Ended(CoreResult(self.time.cycle, rule=rule, text=where))

    def _behave(self) -> None:
        """Offer, publish and take as the job's host does."""
        host = self.job.host
        if host == "slow":
            self._pause -= 1
            if self._pause <= 0:
                self.taking = not self.taking
                self._pause = int(self.rng.integers(1, 4 if self.taking else 60))
        if host == "late":
            unpublished = self.written - self._published
            full = self.written == self.count or unpublished >= self.job.slots // 2
            if full and self._since_doorbell < LATE_CYCLES:
                self.idle = 0
                return
            if not full:
                self._since_doorbell = 0
                return
            self._publish(self.written)
        elif host == "ahead":
            self.offering = bool(self.rng.random() < 0.1)
            self._publish(self.taken + self.job.slots)
        elif host == "pauses":
            self._pause_and_go_on()
        elif host == "resumes":
            self._resume_out_of_turn()
        else:
            self._publish(self.taken + self.job.slots)

    def _publish(self, tail: int) -> None:
        tail = min(tail, self.count, self.taken + self.job.slots)
        if tail > self._published:
            self._published = tail
            self._since_doorbell = 0
            self._cmd_tail.value = (self.request.first_index + tail) & U32

    async def _wait_until_halted(self) -> None:
        for _ in range(HALT_CYCLES):
            if not self.job.has_halted or read_int(self._halted):
                break
            await self._cycle()
        else:
            self._break("LIFE-003", "expected the core to be halted after STOPPED, got no halt")
        if self.taken < self.count or self.request.halt:
            before = self.taken
            self.taking = True
            for _ in range(HALT_CYCLES):
                await self._cycle()
            if self.taken != before:
                self._break("LIFE-003", "a completion after STOPPED without a resume")
            self.idle = 0

    async def _rest(self) -> None:
        self.taking = True
        expected = self.taken
        for _ in range(REST_CYCLES):
            self.idle = 0
            await self._cycle()
        if self.taken != expected and not self.request.halt:
            self._break("RING-006", "more completions than lines")

    def _lines(self) -> int:
        return (len(self.done) + len(self.reward)) // contract.DESC_BYTES

    def finish(self) -> None:
        """Write completions and result; the kit judges them."""
        self.time.stop()
        self.answered.check("the rings are in step", expected=self.taken, actual=self._lines())
        self.conclude(self.time.cycle)
        for path, data in zip(self.job.rings, (self.done, self.reward), strict=True):
            path.write_bytes(data)
        ended = self.result
        CoreResult(self.time.cycle, ended.hung, ended.rule, ended.text).save(self.job.result)
