# SPDX-License-Identifier: Apache-2.0
"""Testbench of one worker.

    line monitor -> golden model -> checker <- completion monitor

The worker stands behind the checks, so each line comes with a verdict, and its completion has no
tag and checksum yet: :mod:`descring_vip.models.worker` is the golden model in that place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import contract, streams
from descring_model.lines import DESC_DTYPE, Lines
from descring_vip.handles import read_int, signal
from descring_vip.models.worker import verdicts_on, worker_answers
from descring_vip.scoreboard import Checker, ModelChecker, ValueChecker
from descring_vip.stream.line_stream import Beat
from descring_vip.stream.lines import join, split
from descring_vip.stream.patterns import Idle, Ready, idle_pattern, ready_pattern
from descring_vip.testbench import Testbench

_STATES = {0: "StIdle", 1: "StDecode", 2: "StComplete"}
"""The worker's states; looked at only to choose when to reset."""


class WorkerTestbench(Testbench):
    """Lines with verdicts in, completions and token counts out.

    Attributes:
        require_checked: level of ``require_checked_i`` throughout the case.
        reset_states: names of the states that :meth:`reset` has met.
    """

    def __init__(
        self, dut: HierarchyObject, *, idle: Idle = Idle.NONE, require_checked: bool = False
    ) -> None:
        super().__init__(dut, outputs=("ready_o", "valid_o", "data_o", "tokens_o"))
        self.require_checked = require_checked
        signal(dut, "require_checked_i").value = int(require_checked)
        signal(dut, "error_code_i").value = 0
        self._state = signal(dut, "state_q")
        self.reset_states: set[str] = set()
        self.driver = self.add_driver(side=("error_code_i",), idle=idle_pattern(idle, self.rng))
        self.sink = self.add_sink()
        self._completions = self.add_checker(
            ModelChecker("completion", self.time.context, self._model)
        )
        self._tokens = self.add_checker(ValueChecker("tokens_o", self.time.context))
        self._cost = Checker("cost of a line", self.time.context)
        self.add_monitor(into=True, side=("error_code_i",)).add_callback(self._on_line)
        self._out = self.add_monitor(into=False, side=("tokens_o",))
        self._out.add_callback(self._on_completion)
        self._forget()

    def _forget(self) -> None:
        self._error_codes: list[int] = []
        self._tokens_seen: deque[int] = deque()
        self._accepted_at: list[int] = []
        self._costs: list[int] = []
        self._last_completion: bytes | None = None

    # Stimulus.

    def start_sink(self, ready: Ready) -> None:
        """Take completions with backpressure as ``ready`` says."""
        self.sink.start(ready_pattern(ready, self.rng), kind=ready)

    def send(self, lines: Lines) -> None:
        """Queue ``(n,)`` lines, each with the verdict that the checks would reach."""
        verdicts = verdicts_on(lines, require_checked=self.require_checked)
        self.send_judged(lines, verdicts.error_codes.tolist())

    def send_judged(self, lines: Lines, error_codes: Iterable[int]) -> None:
        """Queue ``(n,)`` lines with the verdicts ``error_codes``, one for each."""
        for line, error_code in zip(split(lines), error_codes, strict=True):
            self.driver.send_soon([line], error_code_i=error_code)

    def send_stream(self, profile: str, count: int) -> None:
        """Queue ``count`` lines of one of the model's stream profiles."""
        seed = int(self.rng.integers(2**32))
        self.send(streams.generate(count, seed=seed, profile=profile))

    def random_lines(self, count: int, opcode: str) -> Lines:
        """``(count,)`` lines of random bytes with one opcode and without CHECKED.

        A ROLLOUT makes at most ``streams.ROLLOUT_TOKENS`` tokens, or it would never end.
        """
        lines: Lines = np.frombuffer(
            self.rng.bytes(count * contract.DESC_BYTES), dtype=DESC_DTYPE
        ).copy()
        lines["opcode"] = contract.OPCODE[opcode]
        lines["flags"] &= 0xFFFF & ~contract.FLAG["CHECKED"]
        streams.limit_rollouts(lines)
        return lines

    def with_lengths(self, opcode: str, lengths: Sequence[tuple[int, int]]) -> Lines:
        """A line for each pair (seq_len, max_tokens), else as :meth:`random_lines`."""
        lines = self.random_lines(len(lengths), opcode)
        lines["seq_len"], lines["max_tokens"] = np.array(lengths, dtype=np.uint32).T
        return lines

    async def resume_until_done(self, seq_len: int, max_tokens: int) -> None:
        """Decode one rollout as a host does: resubmit each completion until it is DONE [DEC-005].

        Raises:
            AssertionError: it takes more completions than there are boundaries on the way.
        """
        line = self.with_lengths("DECODE", [(seq_len, max_tokens)])
        for _ in range((max_tokens - seq_len) // contract.REWARD_INTERVAL + 2):
            self._last_completion = None
            self.send(line)
            await self.until(lambda: self._last_completion is not None, 100, "a completion")
            assert self._last_completion is not None
            line = join([self._last_completion])
            if int(line["flags"][0]) & contract.FLAG["DONE"]:
                return
        raise self._completions.fail(f"a rollout of {seq_len} to {max_tokens} never came to DONE")

    # Life cycle.

    async def reset(self, cycles: int = 2) -> None:
        """Reset as the base does, and note the state that it met."""
        if self._out.seen or self.driver.queued:
            self.reset_states.add(_STATES[read_int(self._state)])
        await super().reset(cycles)

    def check_every_state_was_reset(self) -> None:
        """Fail unless a reset has met every state."""
        missed = set(_STATES.values()) - self.reset_states
        if missed:
            raise self._completions.fail(f"no reset has met the states {sorted(missed)}")

    def on_reset(self) -> None:
        """Forget the lines that the reset dropped."""
        self._forget()

    def check_costs(self) -> None:
        """Hold the worker to n tokens in max(n, 1) cycles; only for a case without pauses.

        Raises:
            AssertionError: a line held the worker for another number of cycles.
        """
        self._completions.flush()
        if len(self._costs) != len(self._accepted_at) or len(self._costs) < 2:
            raise self._cost.fail(
                f"{len(self._costs)} costs are known for {len(self._accepted_at)} lines"
            )
        held = np.diff(np.array(self._accepted_at))
        expected = np.array(self._costs[:-1])
        for number in np.flatnonzero(held != expected)[:1].tolist():
            raise self._cost.fail(
                f"line {number} held the worker for {held[number]} cycles instead of "
                f"{expected[number]}"
            )

    def state(self) -> dict[str, object]:
        """Add the state of the worker."""
        return {**super().state(), "state_q": str(self._state.value)}

    # Wiring.

    def _on_line(self, beat: Beat) -> None:
        self._error_codes.append(beat.side["error_code_i"])
        self._accepted_at.append(beat.cycle)
        self._completions.submit(beat.line)

    def _on_completion(self, beat: Beat) -> None:
        self._tokens_seen.append(beat.side["tokens_o"])
        self._last_completion = beat.line
        self._completions.observe(beat.line, beat.cycle)

    def _model(self, lines: Lines, first: int) -> Lines:
        """The completions; on the way, what comes beside them is compared."""
        codes = np.array(self._error_codes[first : first + len(lines)], dtype=np.uint8)
        answers = worker_answers(lines, codes, require_checked=self.require_checked)
        for number, tokens in enumerate(answers.tokens.tolist(), first):
            self._tokens.check(
                f"line {number}", expected=tokens, actual=self._tokens_seen.popleft(), digits=2
            )
            self._costs.append(max(tokens, 1))
        return answers.completions
