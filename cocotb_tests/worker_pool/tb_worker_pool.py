# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``worker_pool``.

    line monitor -> golden model -> checker <- completion monitor

Beside it a watcher follows the pins cycle by cycle and holds the pool to what it promises of
acceptance, halting and ``busy_o``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
from descring_model import contract
from descring_model.lines import Lines
from descring_vip.handles import is_high, parameter, signal
from descring_vip.models.worker import (
    CHANGED_FIELDS,
    crc_without,
    limit_comparisons,
    verdicts_on,
    worker_answers,
)
from descring_vip.resume import Resumer
from descring_vip.scoreboard import Checker, ModelChecker, ValueChecker
from descring_vip.stream.line_stream import Beat
from descring_vip.stream.lines import join, split
from descring_vip.testbench import Testbench

OUTPUTS = (
    "ready_o",
    "valid_o",
    "data_o",
    "crc_o",
    "tokens_o",
    "error_o",
    "halted_o",
    "busy_o",
)
_LINE_SIDES = ("error_code_i", "stop_i", "below_limit_i", "at_limit_i", "kept_crc_i")
_PINS = (
    "enable_i",
    "resume_i",
    "valid_i",
    "ready_o",
    "stop_i",
    "valid_o",
    "ready_i",
    "halted_o",
    "busy_o",
)
_LONG = 200
"""Cycles in which a pool that may accept or complete something surely does."""


@dataclass
class PoolState:
    """What can be known of a pool from its pins [LIFE-003] [LIFE-007]."""

    in_flight: int = 0
    stopping: bool = False
    halted: bool = False

    def step(self, *, accept: bool, stop: bool, retire: bool, resume: bool) -> None:
        """Follow one clock edge."""
        self.in_flight += accept - retire
        if resume and self.halted:
            self.halted = self.stopping = False
            return
        # Nothing is accepted behind a STOP, so the completion that empties the pool is its own.
        if self.stopping and retire and self.in_flight == 0:
            self.halted = True
        if accept and stop:
            self.stopping = True


class PoolTestbench(Testbench):
    """Drives checked lines into the pool and takes completions out.

    Attributes:
        workers: the pool's number of workers.
        lines: driver of the lines, with the verdict on each.
        completions: sink of the completions.
        resumer: drives ``resume_i``.
        pool: what the pins tell of the pool.
        retired: cycle in which each completion since the last reset was taken.
    """

    def __init__(self, dut: HierarchyObject, *, require_checked: bool = False) -> None:
        super().__init__(dut, outputs=OUTPUTS)
        self.workers = parameter(dut, "WorkerCount")
        self.require_checked = require_checked
        self.lines = self.add_driver(side=_LINE_SIDES)
        self.completions = self.add_sink()
        self.resumer = Resumer(dut, self.time)
        self.pool = PoolState()
        self.retired: list[int] = []

        self._checker = self.add_checker(
            ModelChecker("completions", self.time.context, self._model)
        )
        self._side_checker = self.add_checker(ValueChecker("tokens and errors", self.time.context))
        self._watched = Checker("pool state", self.time.context)
        self._error_codes: list[int] = []
        self._sides: deque[tuple[int, int, int]] = deque()
        self._last_completion: bytes | None = None
        incoming = self.add_monitor(into=True, side=("error_code_i",))
        incoming.add_callback(self._on_line)
        outgoing = self.add_monitor(into=False, side=("tokens_o", "error_o", "crc_o"))
        outgoing.add_callback(self._on_completion)

        self._enable = signal(dut, "enable_i")
        self._require_checked = signal(dut, "require_checked_i")
        self._pins = {name: signal(dut, name) for name in _PINS}
        self.enable(True)
        self._require_checked.value = int(require_checked)
        for name in _LINE_SIDES:
            signal(dut, name).value = 0

    # --- wiring ------------------------------------------------------------------------------

    def _on_line(self, beat: Beat) -> None:
        self._error_codes.append(beat.side["error_code_i"])
        self._checker.submit(beat.line)

    def _on_completion(self, beat: Beat) -> None:
        self.retired.append(beat.cycle)
        self._last_completion = beat.line
        self._sides.append((beat.side["tokens_o"], beat.side["error_o"], beat.side["crc_o"]))
        self._checker.observe(beat.line, beat.cycle)

    def _model(self, lines: Lines, first: int) -> Lines:
        """The completions, and on the way the comparison of what comes beside them."""
        codes = np.array(self._error_codes[first : first + len(lines)], dtype=np.uint8)
        answers = worker_answers(lines, codes, require_checked=self.require_checked)
        checksums = crc_without(answers.completions, "checksum_or_cookie")
        for offset, (tokens, crc) in enumerate(
            zip(answers.tokens.tolist(), checksums, strict=True)
        ):
            actual_tokens, actual_error, actual_crc = self._sides.popleft()
            name = f"of line {first + offset}"
            self._side_checker.check(f"tokens_o {name}", expected=tokens, actual=actual_tokens)
            self._side_checker.check(f"crc_o {name}", expected=crc, actual=actual_crc)
            self._side_checker.check(
                f"error_o {name}", expected=int(codes[offset] != 0), actual=actual_error
            )
        return answers.completions

    async def _watch(self) -> None:
        edge = RisingEdge(self.time.clock)
        while True:
            await edge
            if not is_high(self.time.reset_n):
                continue
            pins = {name: is_high(pin) for name, pin in self._pins.items()}
            self._judge(pins)
            self.pool.step(
                accept=pins["valid_i"] and pins["ready_o"],
                stop=pins["stop_i"],
                retire=pins["valid_o"] and pins["ready_i"],
                resume=pins["resume_i"],
            )

    def _judge(self, pins: dict[str, bool]) -> None:
        for pin, expected in (
            ("halted_o", self.pool.halted),
            ("busy_o", self.pool.in_flight > 0),
        ):
            if pins[pin] != expected:
                raise self._watched.fail(
                    f"{pin} must be {int(expected)}, is {int(pins[pin])}: {self.pool}"
                )
        if pins["ready_o"] and (self.pool.stopping or not pins["enable_i"]):
            raise self._watched.fail(
                f"ready_o is high with enable_i {int(pins['enable_i'])}: {self.pool}"
            )

    # --- what cases do -----------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything, with the watcher."""
        self.add_task(self._watch())
        await super().start()

    def stop(self) -> None:
        """Stop everything."""
        self.resumer.stop()
        super().stop()

    def on_reset(self) -> None:
        """The pool forgets what it held."""
        self.pool = PoolState()
        self.retired.clear()
        self._error_codes.clear()
        self._sides.clear()

    def state(self) -> dict[str, object]:
        """What a timeout prints."""
        pins = {name: str(pin.value) for name, pin in self._pins.items()}
        return {**super().state(), "pool": self.pool, "pins": pins}

    def enable(self, on: bool) -> None:
        """Drive ``enable_i``."""
        self._enable.value = int(on)

    def send(self, lines: Lines) -> None:
        """Queue ``lines``, each with the verdict that the checks have on it."""
        verdicts = verdicts_on(lines, require_checked=self.require_checked)
        self.send_judged(lines, verdicts.error_codes.tolist())

    def send_judged(self, lines: Lines, error_codes: Sequence[int]) -> None:
        """Queue ``(n,)`` lines with the verdicts ``error_codes``, one for each."""
        stops = (lines["opcode"] == contract.OPCODE["STOP"]).tolist()
        below, last = (pins.tolist() for pins in limit_comparisons(lines))
        kept = crc_without(lines, *CHANGED_FIELDS)
        for number, (line, code) in enumerate(zip(split(lines), error_codes, strict=True)):
            self.lines.send_soon(
                [line],
                error_code_i=code,
                stop_i=int(stops[number] and code == 0),
                below_limit_i=int(below[number]),
                at_limit_i=int(last[number]),
                kept_crc_i=kept[number],
            )

    async def resume_until_done(self, line: Lines) -> None:
        """Decode one rollout as a host does: resubmit each completion until it is DONE [DEC-005].

        Raises:
            AssertionError: it takes more completions than there are boundaries on the way.
        """
        tokens = int(line["max_tokens"][0]) - int(line["seq_len"][0])
        for _ in range(tokens // contract.REWARD_INTERVAL + 2):
            self._last_completion = None
            self.send(line)
            await self.until(lambda: self._last_completion is not None, 100, "a completion")
            assert self._last_completion is not None
            line = join([self._last_completion])
            if int(line["flags"][0]) & contract.FLAG["DONE"]:
                return
        raise self._watched.fail("the rollout never came to DONE")

    async def halted(self) -> None:
        """Wait until the pool has halted, with everything that it accepted completed."""
        await self.until(lambda: self.pool.halted, 4096, "halted_o")

    async def must_not_accept(self, cycles: int = _LONG) -> None:
        """Offer lines for a long while; fail if the pool takes one.

        Raises:
            AssertionError: no line is on offer, or one was accepted.
        """
        accepted = self.lines.accepted
        for _ in range(cycles):
            await self.time.edge()
            if not self.lines.queued:
                raise self._watched.fail("the case offers no line that could be refused")
        if self.lines.accepted != accepted:
            raise self._watched.fail(
                f"{self.lines.accepted - accepted} lines were accepted: {self.pool}"
            )

    def check_saturated(self, tokens: int) -> None:
        """Check how long the completions took that came since reset, all of ``tokens`` tokens.

        A token costs its worker a cycle, and lines pass at one a cycle while workers are free: the
        workers finish in groups, as far apart as one worker needs for its line.

        Raises:
            AssertionError: they took longer, or less than their tokens cost.
        """
        groups, rest = divmod(len(self.retired) - 1, self.workers)
        self._side_checker.check(
            f"cycles from the first to the last of {len(self.retired)} completions",
            expected=groups * max(tokens, self.workers) + rest,
            actual=self.retired[-1] - self.retired[0],
        )
