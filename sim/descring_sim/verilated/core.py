# SPDX-License-Identifier: Apache-2.0
"""Replays of streams on the RTL that Verilator compiled into a library: batches at C++ speed.

lines = streams.generate(1_000_000, seed=7)
with VerilatedCore(CoreConfig(workers=8)) as core:
    done, reward = core.replay(lines)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from descring_model import DESC_DTYPE, Lines, as_lines, contract, longest_decode
from descring_model.lines import INDEX_MODULUS, check_index

from descring_sim.support.errors import SimulationError
from descring_sim.verilated import build as verilated_build
from descring_sim.verilated.build import CORE, Say

SLICE_CYCLES = 1 << 20
"""Clock cycles of one call into the library: between two, Python sees Ctrl-C and progress."""
HANG_CYCLES = 4096
"""Cycles without a completion after which the device counts as hung; a line takes at most 32."""
WINDOW_CYCLES = 512
"""Cycles up to a failure that the waves of its repetition show."""
_ERROR_BYTES = 1024
_U64 = 2**64 - 1


class RtlFault(SimulationError):
    """The RTL failed: an assertion, a hang, or registers that do not fit to what was seen.

    ``cycle`` is the clock cycle of the replay in which that was found, None before its first.
    """

    def __init__(self, message: str, cycle: int | None = None) -> None:
        super().__init__(message)
        self.cycle = cycle


@dataclass(frozen=True)
class CoreConfig:
    """What a library is built for.

    ``depth`` is the number of slots of each of the three rings, ``workers`` that of workers.
    ``waves`` makes it slower and able to record; without ``assertions`` the RTL checks nothing by
    itself and is nearly twice as fast.
    """

    depth: int = 256
    workers: int = 8
    waves: bool = False
    assertions: bool = True
    rtl_dir: Path | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        least, most = 1 << contract.RING_LOG2_MIN, 1 << contract.RING_LOG2_MAX
        if not least <= self.depth <= most or self.depth & (self.depth - 1):
            raise ValueError(
                f"expected a ring depth that is a power of two from {least} to {most}, "
                f"but got {self.depth}"
            )
        if not 1 <= self.workers <= 16:
            raise ValueError(f"expected 1 to 16 workers, but got {self.workers}")

    def parameters(self) -> dict[str, int]:
        """The parameters of ``rl_runtime_mmio``."""
        rings = dict.fromkeys(("RingDepth", "DoneDepth", "RewardDepth"), self.depth)
        return rings | {"WorkerCount": self.workers}

    def build(self, say: Say = lambda _text: None) -> Path:
        """The library of this configuration, made if need be; raises ``SimulationError``."""
        return verilated_build.build(
            CORE,
            self.parameters(),
            waves=self.waves,
            assertions=self.assertions,
            rtl_dir=self.rtl_dir,
            say=say,
        )


@dataclass(frozen=True)
class Traffic:
    """How the host of a replay behaves; all of it is drawn from ``seed``.

    ``doorbell_batch`` lines are published at once, 0 draws each batch. ``pause_in`` and
    ``pause_out`` are the shares of cycles, of 256, in which no line is presented and in which a
    completion ring is not read.
    """

    seed: int = 1
    doorbell_batch: int = 0
    pause_in: int = 0
    pause_out: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= _U64:
            raise ValueError(f"expected a seed from 0 to 2^64 - 1, but got {self.seed}")
        for name in ("pause_in", "pause_out"):
            if not 0 <= getattr(self, name) < 256:
                raise ValueError(f"expected {name} from 0 to 255, but got {getattr(self, name)}")
        if self.doorbell_batch < 0:
            raise ValueError(f"expected a batch of 0 or more lines, but got {self.doorbell_batch}")


@dataclass(frozen=True)
class Replay:
    """What a replay gave: the lines of both rings, clock cycles, and whether it ended HALTED."""

    done: Lines
    reward: Lines
    cycles: int
    halted: bool


@cache
def _library(path: Path) -> tuple[Any, Any]:
    ffi = verilated_build.api(CORE)
    return ffi, ffi.dlopen(str(path))


class VerilatedCore:
    """One device with its rings on chip. Used from one thread at a time; calls release the GIL."""

    def __init__(self, config: CoreConfig | None = None, *, seed: int = 1) -> None:
        """Build or find the library, and make a device.

        Args:
            config: what the device is built with.
            seed: of the random initial state of its registers.

        Raises:
            SimulationError: the library can't be built.
            RtlFault: the RTL refuses its parameters.
        """
        self.config = config or CoreConfig()
        self._ffi, self._lib = _library(self.config.build())
        error = self._ffi.new(f"char[{_ERROR_BYTES}]")
        self._lock = threading.Lock()
        self._core = self._lib.dv_open(seed, error, _ERROR_BYTES)
        if self._core == self._ffi.NULL:
            raise RtlFault(self._ffi.string(error).decode())
        if self._lib.dv_contract_hash() != contract.CONTRACT_HASH:
            raise SimulationError("hw_desc.h is of another contract than Python's; run `make gen`")

    def replay(
        self,
        lines: Lines,
        *,
        first_index: int = 0,
        require_checked: bool = False,
        split_reward: bool = False,
        halt: bool = False,
        traffic: Traffic | None = None,
        progress: Callable[[int], None] = lambda _count: None,
        waves: tuple[Path, int, int] | None = None,
        out: Lines | None = None,
    ) -> Replay:
        """Reset the device, push a stream through it, and take all completions.

        Args:
            lines: ``(n,)`` of DESC_DTYPE or ``(n, 64)`` uint8; read in place if contiguous.
            first_index: the value of all indices after reset [RING-012].
            require_checked: CTRL.REQUIRE_CHECKED.
            split_reward: CTRL.SPLIT_REWARD.
            halt: end at the first STOP instead of resuming after it.
            traffic: batches and pauses.
            progress: called now and then with the number of completions so far.
            waves: file, first cycle, and cycle after the last, of waves to record (FST).
            out: as many contiguous lines, for the completions of the done ring; default: fresh.

        Returns:
            The completions in order, views of ``out`` or of fresh arrays.

        Raises:
            RtlFault: completions are missing; the text has the reason, indices, cycle and seed. The
                device is closed then.
            ValueError: lines of another shape or dtype.
        """
        stream = np.ascontiguousarray(as_lines(lines))
        traffic = traffic or Traffic()
        done = np.empty(len(stream), dtype=DESC_DTYPE) if out is None else out
        if len(done) != len(stream) or not done.flags.c_contiguous:
            raise ValueError(f"out: expected {len(stream)} contiguous lines, got {len(done)}")
        reward = np.empty(len(stream) if split_reward else 0, dtype=DESC_DTYPE)
        ffi, lib = self._ffi, self._lib
        job = ffi.new("dv_job_t *")
        job.first_index = check_index(first_index, "first_index")
        job.require_checked, job.split_reward, job.halt = require_checked, split_reward, halt
        job.seed, job.doorbell_batch = traffic.seed, traffic.doorbell_batch
        job.pause_in, job.pause_out = traffic.pause_in, traffic.pause_out
        job.hang_cycles = HANG_CYCLES + longest_decode(stream)
        job.count = len(stream)
        # cffi does not keep arrays alive; this frame does.
        job.lines, job.done, job.reward = (
            ffi.from_buffer(array) if len(array) else ffi.NULL for array in (stream, done, reward)
        )
        state = ffi.new("dv_state_t *")
        with self._lock:
            core = self._open_core()
            if waves is not None:
                path, start, stop = waves
                self._check(lib.dv_waves(core, str(path).encode(), start, min(stop, _U64)))
            self._check(lib.dv_start(core, job))
            while self._check(lib.dv_run(core, SLICE_CYCLES)):
                lib.dv_state(core, state)
                progress(state.done + state.reward)
            lib.dv_state(core, state)
        progress(state.done + state.reward)
        return Replay(
            done=done[: state.done],
            reward=reward[: state.reward],
            cycles=int(state.cycles),
            halted=bool(state.halted),
        )

    def close(self) -> None:
        """Give the device back; harmless if repeated."""
        core, self._core = self._core, self._ffi.NULL
        if core != self._ffi.NULL:
            self._lib.dv_close(core)

    def __enter__(self) -> VerilatedCore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_core"):
            self.close()

    def _open_core(self) -> Any:
        if self._core == self._ffi.NULL:
            raise SimulationError("the device is closed, or failed before; open a new one")
        return self._core

    def _check(self, code: int) -> int:
        if code >= 0:
            return code
        text = self._ffi.string(self._lib.dv_error(self._core)).decode()
        state = self._ffi.new("dv_state_t *")
        self._lib.dv_state(self._core, state)
        self.close()
        raise RtlFault(text, int(state.cycles))


def replay_parallel(
    lines: Lines,
    config: CoreConfig | None = None,
    *,
    devices: int,
    first_index: int = 0,
    require_checked: bool = False,
    traffic: Traffic | None = None,
) -> Replay:
    """A stream on several devices at once, each with a part of it and a thread of its own.

    A completion depends on its own line and index alone [RING-007], and a device can start at any
    index [RING-012]; so the parts make up the same completions. With two completion rings they
    would not: tags of a ring count what went there before.

    Returns:
        As :meth:`VerilatedCore.replay`; ``cycles`` are those of the slowest device.

    Raises:
        ValueError: fewer than one device.
        RtlFault: as :meth:`VerilatedCore.replay`.
    """
    if devices < 1:
        raise ValueError(f"expected one device or more, got {devices}")
    stream = np.ascontiguousarray(as_lines(lines))
    done = np.empty(len(stream), dtype=DESC_DTYPE)
    bounds = [len(stream) * number // devices for number in range(devices + 1)]

    def part(number: int) -> Replay:
        start, stop = bounds[number : number + 2]
        with VerilatedCore(config) as core:
            return core.replay(
                stream[start:stop],
                first_index=(first_index + start) % INDEX_MODULUS,
                require_checked=require_checked,
                traffic=traffic,
                out=done[start:stop],
            )

    with ThreadPoolExecutor(devices) as pool:
        parts = list(pool.map(part, range(devices)))
    return Replay(done, done[:0], max(item.cycles for item in parts), halted=False)
