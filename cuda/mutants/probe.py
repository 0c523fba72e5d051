# SPDX-License-Identifier: Apache-2.0
"""A short run over kernels compiled for the CPU: exit code 0 if all agrees with the golden model.

probe.py KERNELS SHAPE, where SHAPE is latency, throughput, resident, engine (the engine's kernels),
trace (latency and throughput with one), scaled: the arithmetic of masses alone, or mailbox: its
check under ThreadSanitizer. Exit code 3: the kernels do not compile. A run that does not end is
ended by an alarm. ``descring dev mutants-cuda`` is over it.
"""

import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[2] / "host" / "tests"))

import engine_cases
import host_support
import resident_cases
import trace_cases
from descring_cuda import CudaEngine
from descring_host import CommandQueue
from descring_model import Lines, complete, contract, streams
from emulated import build, mailbox_faults, open_emulated
from emulated_machine import EmulatedMachine, build_engine, scaled_faults
from emulated_resident import build_resident, open_emulated_resident
from host_support import (
    FLAG,
    REG,
    STATUS,
    assert_counts_all_tokens,
    assert_same,
    eventually,
    run_stream,
    split,
)

FIRST = 0xFFFFFF00
_NO_BUILD = 3
_PATIENCE_S = 60
host_support.PATIENCE_S = 15.0


def in_mode(library: Path, shape: str, batch: int, cmd_slots: int, **modes: bool) -> None:
    """A stream of every kind through small rings, and the counters after it."""
    lines = streams.generate(400, seed=41, profile="mixed", first_index=FIRST)
    with (
        open_emulated(shape, library, memory=1 << 20, first_index=FIRST) as device,
        CommandQueue(device, cmd_slots=cmd_slots, done_slots=8, reward_slots=4, **modes) as queue,  # type: ignore[arg-type]
    ):
        done, reward = run_stream(queue, lines, batch)
        expected = complete(lines, first_index=FIRST, **modes)
        parts = split(expected) if modes.get("split_reward") else (expected, expected[:0])
        assert_same(parts[0], done)
        assert parts[1].tobytes() == reward.tobytes()
        errors = int(((expected["flags"] & FLAG["ERROR"]) != 0).sum())
        assert device.read32(REG["CNT_ERRORS"]) == errors
        assert device.read32(REG["CNT_DESCRIPTORS"]) == len(lines)


def halts(library: Path, shape: str) -> None:
    """A STOP among lines that are taken together, then again across a gate."""
    lines: Lines = streams.generate(64, seed=42, profile="nop")
    lines["opcode"][[5, 20]] = contract.OPCODE["STOP"]
    with (
        open_emulated(shape, library, memory=1 << 20) as device,
        CommandQueue(device, cmd_slots=128) as queue,
    ):
        queue.submit(lines[:40])
        for stop in (5, 20):
            eventually(lambda: queue.halted, "it halts")
            device.write32(REG["CTRL"], device.read32(REG["CTRL"]))  # a gate that changes nothing
            queue.submit(lines[40 + stop : 41 + stop])
            time.sleep(0.05)
            assert device.read32(REG["STATUS"]) & STATUS["HALTED"]
            assert device.read32(REG["DONE_TAIL"]) == device.read32(REG["CMD_HEAD"]) == stop + 1
            queue.continue_after_stop()
        eventually(lambda: queue.answered == 42, "all are completed")


def one_by_one(library: Path, shape: str) -> None:
    """A full done ring stalls, a STOP holds back the line behind it."""
    lines: Lines = streams.generate(8, seed=43, profile="nop")
    lines["opcode"][4] = contract.OPCODE["STOP"]
    with (
        open_emulated(shape, library, memory=1 << 20) as device,
        CommandQueue(device, cmd_slots=16, done_slots=4) as queue,
    ):
        for at in range(8):
            queue.submit(lines[at : at + 1])
            tail = min(at + 1, 4)
            eventually(lambda tail=tail: device.read32(REG["DONE_TAIL"]) == tail, "posted")  # type: ignore[misc]
            if at == 4:  # the worker sees it as the newest line before another one replaces it
                time.sleep(0.1)
                assert device.read32(REG["DONE_TAIL"]) == 4
        time.sleep(0.05)
        assert device.read32(REG["DONE_TAIL"]) == 4
        assert len(queue.poll(4)) == 4
        eventually(lambda: queue.halted, "it halts")
        time.sleep(0.05)
        assert device.read32(REG["DONE_TAIL"]) == 5
        queue.continue_after_stop()
        assert len(queue.drain(10.0)) == 4
    lines["opcode"][4] = contract.OPCODE["NOP"]
    lines["opcode"][2] = contract.OPCODE["STOP"]
    with (
        open_emulated(shape, library, memory=1 << 20) as device,
        CommandQueue(device, cmd_slots=16) as queue,
    ):
        for at in range(4):
            queue.submit(lines[at : at + 1])
            tail = min(at + 1, 3)
            eventually(lambda tail=tail: device.read32(REG["DONE_TAIL"]) == tail, "posted")  # type: ignore[misc]
        time.sleep(0.05)
        assert device.read32(REG["DONE_TAIL"]) == 3


def counts_tokens(library: Path, shape: str) -> None:
    """CNT_TOKENS of ROLLOUTs."""
    with open_emulated(shape, library, memory=1 << 20) as device:
        assert_counts_all_tokens(device)


def run_engine(library: Path, shape: str) -> None:
    """The engine's kernels, the quick cases first."""
    del shape
    for case in engine_cases.CASES:
        case(EmulatedMachine(library))


def run_resident(library: Path, shape: str) -> None:
    """Rollouts through the rings."""
    del shape
    with CudaEngine(machine=EmulatedMachine(library)) as engine:
        for case in resident_cases.CASES:
            case(partial(open_emulated_resident, library, engine=engine, memory=1 << 20))
    for traced in trace_cases.CASES:
        traced(partial(open_emulated_resident, library))


def run_trace(library: Path, shape: str) -> None:
    """Events of the shapes without an engine."""
    del shape
    for case in trace_cases.CASES:
        for name in ("throughput", "latency"):
            case(partial(open_emulated, name, library))


BUILD = {"engine": build_engine, "resident": build_resident}
RUN = {"engine": run_engine, "resident": run_resident, "trace": run_trace}


def main() -> None:
    """Everything, in a few seconds."""
    kernels, shape = Path(sys.argv[1]), sys.argv[2]
    with tempfile.TemporaryDirectory() as folder:
        try:
            if shape == "mailbox":
                sys.exit(mailbox_faults(Path(folder), kernels, "-Wno-error") or 0)
            if shape == "scaled":
                sys.exit(scaled_faults(Path(folder), kernels, "-Wno-error") or 0)
            library = BUILD.get(shape, build)(Path(folder), kernels, "-Wno-error")
        except AssertionError as error:
            print(error, file=sys.stderr)
            sys.exit(_NO_BUILD)
        signal.alarm(_PATIENCE_S)
        RUN.get(shape, run)(library, shape)


def run(library: Path, shape: str) -> None:
    """Every part, over the kernels in ``library``."""
    halts(library, shape)
    one_by_one(library, shape)
    counts_tokens(library, shape)
    for batch, cmd_slots in ((1, 8), (23, 64), (400, 512)):
        in_mode(library, shape, batch, cmd_slots)
        in_mode(library, shape, batch, cmd_slots, split_reward=True)
    for batch in (1, 50):  # the newest line, and lines from the ring
        in_mode(library, shape, batch, 64, require_checked=True)


if __name__ == "__main__":
    main()
