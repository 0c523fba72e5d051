# SPDX-License-Identifier: Apache-2.0
"""Runs the same rollouts over one GPU, over all, and over all with the CPU's devices beside them.

Log and trajectories of each must have the bytes of the native engine's run on one device. Without
a GPU it measures nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from descring_cuda import CudaEngine
from descring_cuda.refusals import import_cupy
from descring_host import DeviceError, open_device
from descring_rollouts import Runtime, Sampling, open_engine

sys.path.insert(0, str(Path(__file__).parent))

from common.report import Report, add_output
from cuda_host import describe

GROUPS, SAMPLES, NEW_TOKENS = 96, 16, 96
OPTIONS: dict[str, Any] = {
    "sampling": Sampling(seed=9, temperature=0.9, top_p=0.95),
    "slots": 256, "kv_blocks": 2048, "window": 256, "ring_slots": 1024, "scorer": 1,
}  # fmt: skip


def main() -> int:
    """Run each way twice; the quicker one counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_output(parser)
    options = parser.parse_args()
    try:
        cupy = import_cupy()
        gpus = int(cupy.cuda.runtime.getDeviceCount())
    except DeviceError as error:
        print(f"bench/rollouts_gpus.py: nothing measured: {error}", file=sys.stderr)
        return 0
    rng = np.random.default_rng(2)
    prompts = [rng.integers(0, 1024, rng.integers(8, 65)).tolist() for _ in range(GROUPS)]
    new = rng.integers(NEW_TOKENS // 2, NEW_TOKENS + 1, (GROUPS, SAMPLES))
    ways: dict[str, tuple[list[str], list[str | int]]] = {
        "native, cpu": (["cpu"], ["native"]),
        "one GPU, cpu": (["cpu"], [0]),
        "all GPUs, cpu each": (["cpu"] * gpus, list(range(gpus))),
        "all GPUs, native and model beside": (
            ["cpu"] * gpus + ["cpu", "model"], [*range(gpus), "native", "model"],
        ),
    }  # fmt: skip
    report = Report("rollouts_gpus", options.output, ("way",), describe(cupy, 0), gpus=gpus)
    expected: tuple[bytes, bytes] | None = None
    for way, (names, engines) in ways.items():
        seconds = []
        for _ in range(2):
            with ExitStack() as stack:
                devices = [stack.enter_context(open_device(name, memory=4 << 20)) for name in names]
                makers: list[Any] = []
                for engine in engines:
                    made = (
                        open_engine(engine)
                        if isinstance(engine, str)
                        else CudaEngine(device=engine)
                    )
                    stack.callback(made.close)
                    makers.append(made)
                runtime = Runtime(devices=devices, engine=makers, **OPTIONS)
                start = time.perf_counter()
                list(runtime.run(prompts, samples=SAMPLES, new_tokens=new))
                seconds.append(time.perf_counter() - start)
                found = runtime.log_file(), runtime.trajectories.npz()
                groups = [len(report.groups) for report in runtime.devices]
            if expected is None:
                expected = found
            if found != expected or runtime.losses:
                raise SystemExit(f"{way}: other bytes than the native engine's, {runtime.losses}")
        report.row(
            way=way, seconds=seconds, groups=groups, rollouts=GROUPS * SAMPLES,
            tokens=int(new.sum()), thousand_tokens_per_s=int(new.sum()) / min(seconds) / 1e3,
            bytes_compared=sum(map(len, found)), differences=0,
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
