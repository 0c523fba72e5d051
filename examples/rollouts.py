# SPDX-License-Identifier: Apache-2.0
"""Decode rollouts of random length to their end on any backend, and show that all agree.

The program is the same for every backend:

    python examples/rollouts.py --backend model --backend cpu --backend icarus --backend verilator

Each backend decodes the same rollouts, every other one as CHECKED lines. A decode stops at every
reward boundary; the program takes the completion for the reward and submits it again. Credits
bound what is in flight: a submission takes one, its completion returns it. Which line is submitted
next depends on the completions only and never on their timing, so every backend must return the
same bytes. Indices start shortly before 2^32 and wrap.

Exit codes: 0 all agree, 1 they do not, or a result is wrong, 2 an error.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import sys
import time
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from descring_host import BACKENDS, CommandQueue, HostError, open_device
from descring_model import DESC_DTYPE, Lines, contract, goes_to_reward, line_bytes, seal

FIRST_INDEX = (1 << 32) - 1000
CREDITS = 192
SLOTS = 256
PATIENCE_S = 60.0
PROGRESS_S = 5.0


class Outcome(NamedTuple):
    """How the rollouts ended: the last line of each, how many legs each took, and totals.

    ``stream`` is the SHA-256 over every completion in order.
    """

    last: Lines
    legs: npt.NDArray[np.int64]
    lines: int
    tokens: int
    stream: str
    seconds: float


def rollouts(count: int, seed: int) -> Lines:
    """The first submission of each rollout: a prompt of up to 64 tokens, up to 128 to decode."""
    rng = np.random.default_rng(seed)
    lines = np.zeros(count, dtype=DESC_DTYPE)
    lines["opcode"] = contract.OPCODE["DECODE"]
    lines["rollout_id"] = lines["user_data"] = np.arange(count)
    lines["prefix_id"] = rng.integers(0, 3, count)
    lines["flags"] = np.where(lines["prefix_id"] != 0, contract.FLAG["COW_PREFIX"], 0)
    lines["kv_offset"] = np.arange(count, dtype=np.uint64) << np.uint64(20)
    lines["delta_offset"] = rng.integers(0, 1 << 40, count)
    lines["seq_len"] = rng.integers(0, 65, count)
    lines["max_tokens"] = lines["seq_len"] + rng.integers(0, 129, count).astype(np.uint32)
    lines["flags"][1::2] |= contract.FLAG["CHECKED"]
    return lines


class Program:
    """The host program: one queue, one credit a line in flight."""

    def __init__(self, queue: CommandQueue, first: Lines) -> None:
        self.queue = queue
        self.first = first
        self.waiting = first  # rollouts not begun
        self.last = np.zeros(len(first), dtype=DESC_DTYPE)
        self.legs = np.zeros(len(first), dtype=np.int64)
        self.lines = self.tokens = 0
        self.stream = hashlib.sha256()

    def run(self, name: str) -> Outcome:
        """Until every rollout is DONE."""
        began = reported = time.monotonic()
        self.submit(self.begin(CREDITS))
        while self.queue.in_flight:
            completions = self.queue.poll(timeout_s=PATIENCE_S)
            if not len(completions):
                raise HostError(f"no completion for {PATIENCE_S} s, {self.lines} lines completed")
            self.submit(self.follow_up(completions))
            if time.monotonic() - reported > PROGRESS_S:
                reported = time.monotonic()
                done = len(self.last) - len(self.waiting) - self.queue.in_flight
                print(f"{name}: {done} of {len(self.last)} rollouts done", file=sys.stderr)
        seconds = time.monotonic() - began
        digest = self.stream.hexdigest()
        return Outcome(self.last, self.legs, self.lines, self.tokens, digest, seconds)

    def begin(self, count: int) -> Lines:
        """The next rollouts, at most ``count``."""
        lines, self.waiting = self.waiting[:count], self.waiting[count:]
        return lines

    def submit(self, lines: Lines) -> None:
        """Seal the CHECKED ones for the indices that they go in at, and submit all."""
        checked = np.flatnonzero(lines["flags"] & contract.FLAG["CHECKED"])
        if len(checked):
            lines = lines.copy()
            tags = (self.queue.next_index + checked) & 0xFFFFFFFF
            lines[checked] = seal(lines[checked], tags.astype(np.uint32))
        if len(lines):
            self.queue.submit(lines, timeout_s=PATIENCE_S)

    def follow_up(self, completions: Lines) -> Lines:
        """Take note of completions; for each, in order, the line that gets its credit."""
        check(completions, self.lines)
        self.stream.update(line_bytes(completions).tobytes())
        self.lines += len(completions)
        rollout = completions["rollout_id"].astype(np.int64)
        before = np.where(self.legs == 0, self.first["seq_len"], self.last["seq_len"])[rollout]
        self.tokens += int((completions["seq_len"].astype(np.int64) - before).sum())
        self.last[rollout] = completions
        self.legs[rollout] += 1
        resumed = goes_to_reward(completions)
        fresh = self.begin(int((~resumed).sum()))
        # A rollout that is DONE hands its credit to the next one, in its place, while there is one.
        places = np.flatnonzero(~resumed)
        following = completions.copy()
        following[places[: len(fresh)]] = fresh
        return np.delete(following, places[len(fresh) :])


def check(completions: Lines, completed: int) -> None:
    """Raise for completions that are errors, or CHECKED ones that are damaged or misplaced."""
    if (completions["flags"] & contract.FLAG["ERROR"]).any():
        raise HostError("expected completions without ERROR, got one with it")
    checked = np.flatnonzero(completions["flags"] & contract.FLAG["CHECKED"])
    tags = ((FIRST_INDEX + completed + checked) & 0xFFFFFFFF).astype(np.uint32)
    if (line_bytes(seal(completions[checked], tags)) != line_bytes(completions[checked])).any():
        raise HostError("a CHECKED completion has a wrong tag or checksum")


def verify(first: Lines, outcome: Outcome) -> None:
    """Check the results against what decoding means, independently of any backend."""
    wanted = first["max_tokens"]
    if not (outcome.last["flags"] & contract.FLAG["DONE"]).all():
        raise HostError("not every rollout is DONE")
    if (outcome.last["seq_len"] != wanted).any():
        raise HostError("a rollout has another length than it was to have")
    if outcome.tokens != int((wanted - first["seq_len"]).sum()):
        raise HostError(f"{outcome.tokens} tokens were decoded, which is not what was asked for")


def run(backend: str, count: int, seed: int, options: dict[str, Any]) -> Outcome:
    """All rollouts on one backend."""
    first = rollouts(count, seed)
    with (
        open_device(backend, memory=1 << 20, first_index=FIRST_INDEX, **options) as device,
        CommandQueue(device, cmd_slots=SLOTS, timeout_s=PATIENCE_S) as queue,
    ):
        outcome = Program(queue, first).run(backend)
    verify(first, outcome)
    return outcome


def results(outcome: Outcome) -> str:
    """The SHA-256 over every rollout's last line and number of legs."""
    digest = hashlib.sha256(line_bytes(outcome.last).tobytes())
    digest.update(outcome.legs.astype("<u4").tobytes())
    return digest.hexdigest()


def option(text: str) -> tuple[str, Any]:
    """NAME=VALUE as an option of open_device; the value as Python writes it, else a string."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main() -> int:
    """Run on every backend asked for and compare; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--backend",
        action="append",
        choices=list(BACKENDS),
        help="may be given several times (default: cpu)",
    )
    parser.add_argument("--rollouts", type=int, default=10_000, help="default: 10000")
    parser.add_argument("--seed", type=int, default=1, help="of their lengths; default: 1")
    parser.add_argument(
        "--option",
        action="append",
        type=option,
        default=[],
        metavar="NAME=VALUE",
        help="of open_device, as workers=4; for every backend asked for",
    )
    chosen = parser.parse_args()
    if chosen.rollouts < 1 or chosen.seed < 0:
        parser.error("expected --rollouts from 1 and --seed from 0")
    digests = set()
    for backend in chosen.backend or ["cpu"]:
        try:
            outcome = run(backend, chosen.rollouts, chosen.seed, dict(chosen.option))
        except (HostError, ValueError) as error:
            print(f"{backend}: {error}", file=sys.stderr)
            return 2
        digests.add((outcome.stream, results(outcome)))
        print(
            f"{backend}: {chosen.rollouts} rollouts, {outcome.lines} lines, {outcome.tokens} "
            f"tokens, {outcome.seconds:.1f} s; results {results(outcome)[:16]}, "
            f"stream {outcome.stream[:16]}",
            flush=True,
        )
    if len(digests) > 1:
        print("the backends differ", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
