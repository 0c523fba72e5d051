# SPDX-License-Identifier: Apache-2.0
"""Testbench of one worker.

    starts -> golden model -> checker <- results

The worker sees lengths only: what a line asks of it, which ``line_accept`` says in the design and
:meth:`WorkerTestbench.send` says here, from the golden model's answer to the line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
from descring_model import DESC_DTYPE, complete, contract, decoded_tokens
from descring_vip.handles import is_high, read_int, signal
from descring_vip.scoreboard import Checker, ValueChecker
from descring_vip.stream.patterns import Gate, Idle, Ready, idle_pattern, ready_pattern
from descring_vip.testbench import Testbench

_STATES = {0: "StIdle", 1: "StDecode", 2: "StComplete"}
"""The worker's states; looked at only to choose when to reset."""


@dataclass(frozen=True)
class Job:
    """One start of the worker, and what must come of it."""

    start: dict[str, int]
    seq_len: int
    paused: bool
    cost: int
    """Cycles for which it holds a worker whose results are taken at once."""


def jobs(opcode: str, lengths: Iterable[tuple[int, int]]) -> list[Job]:
    """The work on a line of ``opcode`` for each pair (seq_len, max_tokens)."""
    pairs = np.array(list(lengths), dtype=np.uint32)
    lines = np.zeros(len(pairs), dtype=DESC_DTYPE)
    lines["opcode"] = contract.OPCODE[opcode]
    lines["seq_len"], lines["max_tokens"] = pairs.T
    answers = complete(lines)
    ends = answers["seq_len"].tolist()
    pauses = (answers["flags"] & contract.FLAG["NEEDS_REWARD"] != 0).tolist()
    made = decoded_tokens(lines, answers).tolist()
    found = []
    for (first, limit), end, paused, tokens in zip(pairs.tolist(), ends, pauses, made, strict=True):
        start = {
            "seq_len_i": first + 1 if tokens else end,
            "last_from_i": (limit - 1) % 2**32,
            "rollout_i": int(opcode == "ROLLOUT"),
            "ended_i": int(tokens <= 1),
            "paused_i": int(tokens == 1 and paused),
        }
        found.append(Job(start, end, paused, max(tokens, 1)))
    return found


class WorkerTestbench(Testbench):
    """Starts in, results out.

    Attributes:
        reset_states: names of the states that :meth:`reset` has met.
    """

    def __init__(self, dut: HierarchyObject, *, idle: Idle = Idle.NONE) -> None:
        super().__init__(dut, outputs=("ready_o", "valid_o", "seq_len_o", "paused_o"))
        self.reset_states: set[str] = set()
        self._inputs = {
            name: signal(dut, name)
            for name in ("seq_len_i", "last_from_i", "rollout_i", "ended_i", "paused_i")
        }
        self._valid_i, self._ready_o = signal(dut, "valid_i"), signal(dut, "ready_o")
        self._valid_o, self._ready_i = signal(dut, "valid_o"), signal(dut, "ready_i")
        self._results = {name: signal(dut, name) for name in ("seq_len_o", "paused_o")}
        self._state = signal(dut, "state_q")
        self._gap = Gate(idle_pattern(idle, self.rng))
        self._taking = Gate(ready_pattern(Ready.LATE, self.rng))
        self._queue: deque[Job] = deque()
        self._working: deque[Job] = deque()
        self._held: list[tuple[int, int]] = []
        self._seen = 0
        self._checker = self.add_checker(ValueChecker("results", self.time.context))
        self._cost = Checker("cost of a start", self.time.context)
        for pin in (self._valid_i, self._ready_i, *self._inputs.values()):
            pin.value = 0

    # Stimulus.

    async def start(self) -> None:
        """Start everything."""
        self.add_task(self._run())
        await super().start()

    def start_sink(self, ready: Ready) -> None:
        """Take results with backpressure as ``ready`` says; none before this."""
        self._taking = Gate(ready_pattern(ready, self.rng))

    def send(self, work: Iterable[Job]) -> None:
        """Queue starts."""
        self._queue.extend(work)

    def send_random(self, count: int) -> None:
        """Queue starts of every kind, near boundaries, limits and the end of u32."""
        bases = self.rng.choice([0, 32, 64, 1 << 16, (1 << 32) - 200], count)
        firsts = bases + self.rng.integers(0, 70, count)
        limits = firsts + self.rng.integers(-3, 60, count)
        pairs = np.stack([firsts, np.clip(limits, 0, 2**32 - 1)], axis=1)
        for opcode, pair in zip(
            self.rng.choice(["DECODE", "ROLLOUT", "PREFILL", "NOP"], count).tolist(),
            pairs.tolist(),
            strict=True,
        ):
            self.send(jobs(opcode, [tuple(pair)]))

    # Life cycle.

    async def reset(self, cycles: int = 2) -> None:
        """Reset as the base does, and note the state that it met."""
        if self._seen or self._queue or self._working:
            self.reset_states.add(_STATES[read_int(self._state)])
        await super().reset(cycles)

    def check_every_state_was_reset(self) -> None:
        """Fail unless a reset has met every state."""
        missed = set(_STATES.values()) - self.reset_states
        if missed:
            raise self._cost.fail(f"no reset has met the states {sorted(missed)}")

    def on_reset(self) -> None:
        """Forget the starts that the reset dropped."""
        self._queue.clear()
        self._working.clear()
        self._held.clear()
        self._valid_i.value = 0

    def is_drained(self) -> bool:
        """Whether every start has its result."""
        return not self._queue and not self._working

    def progress(self) -> tuple[int, ...]:
        """Results and starts so far."""
        return (self._seen, len(self._held))

    def check_costs(self) -> None:
        """Hold the worker to n tokens in max(n, 1) cycles; only for a case without pauses.

        Raises:
            AssertionError: a start held the worker for another number of cycles.
        """
        if len(self._held) < 2:
            raise self._cost.fail(f"only {len(self._held)} starts were accepted")
        for number, ((cycle, cost), (after, _)) in enumerate(
            zip(self._held, self._held[1:], strict=False)
        ):
            if after - cycle != cost:
                raise self._cost.fail(
                    f"start {number} held the worker for {after - cycle} cycles instead of {cost}"
                )

    def state(self) -> dict[str, object]:
        """Add the state of the worker."""
        return {**super().state(), "state_q": str(self._state.value), "working": self._working}

    # Wiring.

    async def _run(self) -> None:
        """Drive and watch the pins, edge by edge."""
        edge = RisingEdge(self.time.clock)
        offered: Job | None = None
        while True:
            await edge
            if not is_high(self.time.reset_n):
                offered = None
                continue
            if is_high(self._valid_o) and is_high(self._ready_i):
                self._take()
            if is_high(self._valid_i) and is_high(self._ready_o) and offered is not None:
                self._held.append((self.time.cycle, offered.cost))
                self._working.append(offered)
                self._queue.popleft()
                offered = None
            if offered is None and self._queue and self._gap.step():
                offered = self._queue[0]
                for name, pin in self._inputs.items():
                    pin.value = offered.start[name]
            self._valid_i.value = int(offered is not None)
            if offered is None:
                # Whoever takes a start without valid is found out.
                self._inputs["seq_len_i"].value = 0xDEADBEEF
            self._ready_i.value = int(self._taking.step())

    def _take(self) -> None:
        if not self._working:
            raise self._cost.fail("a result without a start")
        job = self._working.popleft()
        name = f"of start {self._seen}, {job.start}"
        actual = {pin: read_int(handle) for pin, handle in self._results.items()}
        self._checker.check(f"seq_len_o {name}", expected=job.seq_len, actual=actual["seq_len_o"])
        self._checker.check(f"paused_o {name}", expected=job.paused, actual=actual["paused_o"])
        self._seen += 1
