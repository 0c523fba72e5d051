# SPDX-License-Identifier: Apache-2.0
"""Shows where the rounds of the throughput shape spend their time, and how full the bus is.

cuda_profile.py OUT   writes OUT.json, OUT.png and OUT.svg

The kernel is compiled with a clock read between its stages (nothing else is changed), and serves 1,
2, 4 and 8 rings whose lines the host publishes and takes without touching them, so that worker and
bus alone are measured. Beside them: copies by the GPU's copy engines, which is what the bus can
carry, and how fast a kernel reads and writes pinned memory as the workers do.

With --range RINGS the kernels run as they are, for a second inside a profiler's range:
ncu --replay-mode app-range --metrics ... python bench/cuda_profile.py --range 4
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread
from typing import Any

import descring_cuda.gpus
import numpy as np
from descring_cuda import CudaDevice
from descring_cuda.kernels import source
from descring_host import DeviceError

sys.path.insert(0, str(Path(__file__).parent))

import cuda_bench
from cuda_host import build_native

STAGES = (
    "finds lines to claim",
    "reads its lines over the bus",
    "runs the step",
    "waits for its turn",
    "has the turn: places, hands on",
    "writes completions",
    "waits until the host has them",
)
SECONDS = 2.0
RINGS = (1, 2, 4, 8)
SLOTS = cuda_bench.STEADY_SLOTS
COPY_BYTES = 256 << 20
COPIES = 20

# Text of the worker's loop, and the stage that ends there.
MARKS = (
    ("    if (plan.ends) {\n", -1),
    ("    const hw_rings_t rings = state->rings;\n", 0),
    ("    hw_step_round(&state->round, rings, plan.first, plan.count, team);\n", 1),
    ("    const hw_u32 until = hw_until_stop(&state->round, plan.count);\n", 2),
    ("    for (hw_u32 from = 0;;) {\n", 3),
    ("      const hw_part part = state->part;\n", 4),
    ("      if (team.lane == 0) {\n        hw_fence_system();\n", 5),
    ("      from = part.to;\n", 6),
)


def with_clocks(sums: int) -> str:
    """The program with a clock read behind each stage; cycles are added up at ``sums``."""
    text = source()
    start = text.index("hw_throughput_worker(hw_hub *hub, hw_worker_state *state")
    head, loop = text[:start], text[start:]
    first = "  hw_u32 epoch = 0, rewards"
    clocks = f"  long long cycles[{len(STAGES)}] = {{}}, rounds = 0, then = clock64();\n"
    for mark, stage in ((first, None), *MARKS):
        if mark not in loop:
            raise SystemExit(f"bench/cuda_profile.py: no {mark.strip()!r} in the kernel any more")
        if stage is None:
            added = clocks
        elif stage < 0:  # the end: lines that were never claimed count for nothing
            added = "".join(
                f"    if (plan.ends && team.lane == 0) atomicAdd((unsigned long long *){sums}ull"
                f" + {n}, (unsigned long long){value});\n"
                for n, value in enumerate([f"cycles[{n}]" for n in range(len(STAGES))] + ["rounds"])
            )
        else:
            added = (
                f"{{ const long long now = clock64(); cycles[{stage}] += now - then; then = now;"
                f"{' ++rounds;' if stage == len(STAGES) - 1 else ''} }}\n"
            )
        loop = loop.replace(mark, added + mark, 1)
    return head + loop


class Profile:
    """The measurements of one GPU."""

    def __init__(self, bench: cuda_bench.Bench) -> None:
        self.bench = bench
        self.runtime = bench.cupy.cuda.runtime
        self.sums = int(self.runtime.malloc(8 * 16))
        self.rows: list[dict[str, Any]] = []

    def use(self, text: str) -> None:
        """Compile this program for the devices opened from now on."""
        vars(descring_cuda.gpus)["source"] = lambda: text
        descring_cuda.gpus.gpu.cache_clear()

    def rings(self, rings: int) -> None:
        """Cycles of each stage with so many rings, and what nvidia-smi sees on the bus."""
        self.runtime.memset(self.sums, 0, 8 * 16)
        self.runtime.deviceSynchronize()
        bus: list[tuple[float, float]] = []
        watcher = Thread(target=lambda: bus.extend(bus_traffic()))
        watcher.start()
        self.bench.throughput(SECONDS, "plain", rings=rings, hosts=1, touch=False, slots=SLOTS)
        watcher.join()
        found = np.zeros(len(STAGES) + 1, dtype=np.uint64)
        self.runtime.memcpy(found.ctypes.data, self.sums, found.nbytes, 2)
        measured = self.bench.report.rows[-1]
        rounds = int(found[-1])
        each = found[:-1] / rounds
        row = {
            "rings": rings,
            "lines_per_s": measured["lines_per_s"],
            "gigabytes_per_s_each_way": measured["gigabytes_per_s_each_way"],
            "rounds": rounds,
            "cycles_a_round": dict(zip(STAGES, each.round().tolist(), strict=True)),
            "bus_gigabytes_per_s": max(bus, default=None),
        }
        self.rows.append(row)
        print(json.dumps(row), flush=True)

    def copies(self) -> dict[str, float]:
        """What the copy engines move between pinned memory and the GPU, GB/s."""
        cupy = self.bench.cupy
        host = [int(self.runtime.hostAlloc(COPY_BYTES, 3)) for _ in range(2)]
        device = [int(self.runtime.malloc(COPY_BYTES)) for _ in range(2)]
        streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(2)]
        result = {}
        for what, ways in (("to the GPU", (0,)), ("to the host", (1,)), ("both at once", (0, 1))):
            for repeat in (1, COPIES):
                start = time.perf_counter()
                for _ in range(repeat):
                    for way in ways:
                        to, of = (device, host) if way == 0 else (host, device)
                        self.runtime.memcpyAsync(
                            to[way], of[way], COPY_BYTES, way + 1, streams[way].ptr
                        )
                for way in ways:
                    streams[way].synchronize()
                took = time.perf_counter() - start
            result[what] = round(COPIES * COPY_BYTES / took / 1e9, 1)
        for address in host:
            self.runtime.freeHost(address)
        for address in device:
            self.runtime.free(address)
        print(json.dumps(result), flush=True)
        return result


def bus_traffic() -> list[tuple[float, float]]:
    """GB/s that the GPU received and sent in each second, by nvidia-smi where it can."""
    command = ["nvidia-smi", "dmon", "-s", "t", "-c", str(int(SECONDS) + 2)]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.findall(r"^\s*\d+\s+(\d+)\s+(\d+)\s*$", text, re.MULTILINE)
    return [(int(a) / 1000, int(b) / 1000) for a, b in found]


def draw(report: dict[str, Any], out: str) -> None:
    """Stages of a round on the left, the bus on the right."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), constrained_layout=True)
    names = [str(row["rings"]) for row in report["rings"]]
    bottom = np.zeros(len(names))
    for stage in STAGES:
        height = np.array([row["cycles_a_round"][stage] for row in report["rings"]]) / 1e3
        left.bar(names, height, bottom=bottom, label=stage)
        bottom += height
    left.set(xlabel="rings of 16 workers", ylabel="thousand cycles")
    left.set_title("A round of 256 lines, from claim to report")
    left.legend(fontsize=8)
    rates = [row["gigabytes_per_s_each_way"] for row in report["rings"]]
    right.plot(names, rates, marker="o", label="lines in, and completions out")
    right.axhline(report["copies"]["both at once"], color="grey", linestyle=":",
                  label="copy engines, both ways at once")  # fmt: skip
    right.set(ylim=(0, None), xlabel="rings of 16 workers", ylabel="GB/s in each direction")
    right.set_title("Payload over the bus; the host touches no line")
    right.grid(alpha=0.3)
    right.legend(fontsize=8)
    where = report["where"]
    figure.suptitle(f"{where['gpu']}, driver {where['driver']}, {where['date']}, {where['commit']}")
    for suffix in ("png", "svg"):
        figure.savefig(f"{out}.{suffix}", dpi=110)


def main() -> int:
    """Measure, or run for a profiler."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", help="write OUT.json, OUT.png and OUT.svg")
    parser.add_argument("--range", type=int, default=0, metavar="RINGS")
    parser.add_argument("--seconds", type=float, default=1.0, help="of --range")
    parser.add_argument("--gpu", type=int, default=0)
    options = parser.parse_args()
    try:
        CudaDevice(1 << 20, device=options.gpu).close()
    except DeviceError as error:
        print(f"bench/cuda_profile.py: nothing measured: {error}", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        bench = cuda_bench.Bench(build_native(Path(folder)), options.gpu, None)
        if options.range:
            bench.cupy.cuda.runtime.profilerStart()
            bench.throughput(
                options.seconds, "plain", rings=options.range, hosts=1, touch=False, slots=SLOTS
            )
            bench.cupy.cuda.runtime.profilerStop()
            return 0
        profile = Profile(bench)
        copies = profile.copies()
        profile.use(with_clocks(profile.sums))
        for rings in RINGS:
            profile.rings(rings)
        report = {"where": bench.report.origin, "copies": copies, "rings": profile.rows}
    if options.out:
        Path(f"{options.out}.json").write_text(json.dumps(report, indent=1) + "\n")
        draw(report, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
