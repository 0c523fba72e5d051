# SPDX-License-Identifier: Apache-2.0
"""Measures attention with keys and values staged in shared memory, one to six planes ahead.

Beside it, in the same run: the engine's attention, which loads into registers, and reading the same
bytes. Every word of every depth must be that of the engine. Without a GPU it measures nothing.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from descring_cuda.engine import CudaEngine
from descring_cuda.kernels import source
from descring_cuda.machine import CupyMachine
from descring_model.engine import contract

sys.path.insert(0, str(Path(__file__).parent))

from common.report import Report, add_output
from cuda_host import describe, machine_or_end
from engine_load import Baselines, Load, median_us

SHAPES = ((4096, 512), (4096, 4096), (64, 32768), (8192, 32), (64, 4096), (256, 512), (1000, 333))
DEPTHS = (1, 2, 3, 4, 5, 6)
WARPS = 4
PLANE_BYTES = contract.BLOCK_BYTES // 2
TEXT = Path(__file__).parent / "cuda" / "engine_staged.cu"


class Staged:
    """The kernels of ``engine_staged.cu``."""

    def __init__(self, machine: CupyMachine) -> None:
        self._machine = machine
        text = source("engine.cu") + TEXT.read_text(encoding="utf-8")
        module = machine.cupy.RawModule(code=text, options=("-std=c++17",), backend="nvrtc")
        self.blocks: dict[int, int] = {}
        self.registers: dict[int, int] = {}
        self._kernels: dict[int, Any] = {}
        for depth in DEPTHS:
            kernel = module.get_function(f"staged_attention_{depth}")
            kernel.max_dynamic_shared_size_bytes = self.shared(depth)
            resident = machine.cupy.cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(
                kernel.kernel.ptr, 32 * WARPS, self.shared(depth)
            )
            self.blocks[depth] = int(resident)
            self.registers[depth] = int(kernel.attributes["num_regs"])
            self._kernels[depth] = kernel

    @staticmethod
    def shared(depth: int) -> int:
        """Bytes of shared memory of a block of threads."""
        return WARPS * depth * PLANE_BYTES

    def attend(self, depth: int, engine: int) -> None:
        """Launch it."""
        blocks = self._machine.multiprocessors * self.blocks[depth]
        self._kernels[depth](
            (blocks,), (32 * WARPS,), (np.uint64(engine),), shared_mem=self.shared(depth),
            stream=self._machine.stream,
        )  # fmt: skip


def main() -> int:
    """Measure every shape at every depth."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_output(parser)
    options = parser.parse_args()
    machine = machine_or_end(Path(__file__).name)
    baselines, staged = Baselines(machine), Staged(machine)
    print(json.dumps({"blocks": staged.blocks, "registers": staged.registers}), flush=True)
    report = Report(
        "engine_staging", options.output, ("shape",), describe(machine.cupy, 0),
        blocks=staged.blocks, registers=staged.registers,
    )  # fmt: skip
    with CudaEngine(machine=machine) as engine:
        for count, length in SHAPES:
            task_blocks = 8 if count * length >= 1 << 20 else 2
            load = Load(engine, baselines, count, length, 32, task_blocks)
            shape = (count, contract.DIMS)
            load.poison("outputs", 4 * contract.DIMS * count)
            load.rewind_tasks()
            load.seats.attend()
            expected = load.array("outputs", shape, np.uint32)
            plain = median_us(machine, load.seats.attend, load.rewind_tasks)
            sweep = median_us(
                machine, functools.partial(baselines.sweep, load.arena, load.read_bytes)
            )
            times = {}
            for depth in DEPTHS:
                load.poison("outputs", 4 * contract.DIMS * count)
                load.rewind_tasks()
                staged.attend(depth, load.seats.engine)
                got = load.array("outputs", shape, np.uint32)
                if differ := int((got != expected).sum()):
                    raise SystemExit(f"{count} x {length}, depth {depth}: {differ} words differ")
                times[depth] = median_us(
                    machine,
                    functools.partial(staged.attend, depth, load.seats.engine),
                    load.rewind_tasks,
                )
            report.row(
                shape=f"{count} x {length}", task_blocks=task_blocks, plain_us=plain,
                sweep_us=sweep, staged_us=times,
                of_plain={depth: plain / took for depth, took in times.items()},
                words_compared=len(DEPTHS) * expected.size, differences=0,
            )  # fmt: skip
            load.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
