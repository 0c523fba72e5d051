# SPDX-License-Identifier: Apache-2.0
"""What the measurements of the cuda backend share: where they run, streams, and statistics."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_cuda import CudaDevice
from descring_cuda.kernels import source
from descring_cuda.machine import CupyMachine
from descring_host import CommandQueue, DeviceError
from descring_host.native import ffi
from descring_model import DESC_DTYPE, Lines, complete, contract, streams
from descring_sim.bench import results

ROOT = Path(__file__).resolve().parents[1]
NATIVE = ROOT / "host" / "native"
Times = npt.NDArray[np.uint64]
"""Nanoseconds of each round trip."""
PERIOD = 4096
MEMORY = 16 << 20
CHECKED = contract.FLAG["CHECKED"]
STOP = contract.OPCODE["STOP"]


def machine_or_end(program: str) -> CupyMachine:
    """The first GPU; without one ``program`` has nothing to measure and ends with exit code 0."""
    try:
        return CupyMachine()
    except DeviceError as error:
        print(f"bench/{program}: nothing measured: {error}", file=sys.stderr)
        raise SystemExit(0) from None


def build_native(folder: Path) -> ctypes.CDLL:
    """Compile the host's half of the measurements for this very CPU."""
    target = folder / "cuda_native.so"
    sources = [*map(str, sorted(NATIVE.glob("*.c"))), str(ROOT / "bench/cuda/native.c")]
    command = ["cc", "-std=c11", "-O3", "-march=native", "-fno-strict-aliasing", "-pthread"]
    command += ["-shared", "-fPIC", f"-I{NATIVE}", f"-I{ROOT / 'host/include'}"]
    subprocess.run([*command, *sources, "-o", str(target)], check=True)
    library = ctypes.CDLL(str(target))
    library.bench_latency.restype = ctypes.c_uint32
    library.bench_throughput.restype = ctypes.c_uint32
    library.bench_verify.restype = ctypes.c_uint64
    return library


def address(array: npt.NDArray[Any]) -> ctypes.c_void_p:
    """Where an array lies."""
    return ctypes.c_void_p(array.ctypes.data)


def aligned(lines: Lines) -> Lines:
    """A copy that native code may load by whole lines."""
    raw = np.empty(lines.nbytes + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    copy = raw[start : start + lines.nbytes].view(DESC_DTYPE)
    copy[:] = lines
    return copy


def segment_of(device: CudaDevice) -> ctypes.c_void_p:
    """The segment of a device, for a native program."""
    return ctypes.c_void_p(int(ffi.cast("uintptr_t", device._segment.base)))


def table(kind: str) -> tuple[Lines, Lines]:
    """A period of submissions and their completions by the golden model."""
    drawn = streams.generate(8 * PERIOD, seed=5, profile="mixed" if kind == "plain" else kind)
    keep = drawn["opcode"] != STOP
    if kind == "plain":
        keep &= (drawn["flags"] & CHECKED) == 0
    lines = drawn[keep][:PERIOD].copy()
    assert len(lines) == PERIOD
    # CHECKED lines are sealed again for the index at which they are submitted.
    return aligned(lines), aligned(complete(lines))


def percentiles(nanoseconds: npt.NDArray[np.uint64]) -> dict[str, float]:
    """What is reported of a set of round trips, in microseconds."""
    p50, p99, p999 = np.percentile(nanoseconds, [50, 99, 99.9]) / 1e3
    return {
        "samples": len(nanoseconds),
        "p50_us": round(float(p50), 3),
        "p99_us": round(float(p99), 3),
        "p999_us": round(float(p999), 3),
        "min_us": round(float(nanoseconds.min()) / 1e3, 3),
    }


@contextmanager
def opened(shape: str, slots: int = 65536, **options: Any) -> Iterator[CudaDevice]:
    """A device with its rings laid out and enabled."""
    with CudaDevice(MEMORY, shape=shape, **options) as device:  # type: ignore[arg-type]
        with CommandQueue(device, cmd_slots=slots):
            pass
        yield device


def _cpu_list(text: str) -> list[int]:
    """The numbers of a kernel's CPU list, as in 0-3,8."""
    numbers: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def near_cpus(cupy: Any, gpu: int) -> list[int]:
    """CPUs of the GPU's NUMA node, one of each core first, then their siblings."""
    allowed = os.sched_getaffinity(0)
    bus = cupy.cuda.runtime.deviceGetPCIBusId(gpu).lower()
    local = Path(f"/sys/bus/pci/devices/{bus}/local_cpulist")
    if local.exists():
        allowed = allowed & set(_cpu_list(local.read_text())) or allowed
    firsts: dict[str | int, int] = {}
    for cpu in sorted(allowed):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        firsts.setdefault(siblings.read_text() if siblings.exists() else cpu, cpu)
    cores = list(firsts.values())
    return cores + sorted(allowed - set(cores))


@contextmanager
def pinned(cpu: int) -> Iterator[None]:
    """This thread on one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def model_chunk(job: tuple[int, int, int]) -> str:
    """Lines of every kind and their completions, in shared memory; its name."""
    seed, count, first = job
    lines = streams.generate(count, seed=seed, profile="mixed", first_index=first)
    memory = shared_memory.SharedMemory(create=True, size=128 * count)
    assert memory.buf is not None  # it is None only after close()
    both = np.frombuffer(memory.buf, dtype=np.uint8)[: 128 * count]
    both[: 64 * count] = lines.view(np.uint8).reshape(-1)
    both[64 * count :] = complete(lines, first_index=first).view(np.uint8).reshape(-1)
    del both
    memory.close()
    return memory.name


def steadiness(at_ns: npt.NDArray[np.uint64], done: npt.NDArray[np.uint64]) -> dict[str, Any]:
    """Rate over all, and how it varies from second to second, after the first one."""
    seconds = at_ns / 1e9
    if seconds[-1] < 3:
        rate = float(done[-1]) / seconds[-1]
        return {"seconds": round(float(seconds[-1]), 1), "lines_per_s": round(rate)}
    whole = np.arange(1, int(seconds[-1]) + 1)
    lines = np.interp(whole, seconds, done.astype(np.float64))
    rates = np.diff(lines)
    return {
        "seconds": len(rates),
        "lines_per_s": round(float(rates.mean())),
        "least_per_s": round(float(rates.min())),
        "variation_percent": round(float(rates.std() / rates.mean() * 100), 2),
        "each_second_lines_per_s": [round(float(rate)) for rate in rates],
    }


def baselines() -> str:
    """The baselines' program; its headers are the worker's."""
    text = (ROOT / "bench" / "cuda" / "baselines.cu").read_text()
    headers = re.sub(r'extern "C" __global__.*', "", source(), flags=re.S)
    return headers + re.sub(r'#include "[^"]+"\n', "", text)


def describe(cupy: Any, gpu: int) -> dict[str, Any]:
    """Where and when this ran."""
    properties = cupy.cuda.runtime.getDeviceProperties(gpu)
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "-i", str(gpu)]
    driver = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    return {
        **results.origin("bench", "cuda", "host", "pymodel"),
        "gpu": properties["name"].decode(),
        "driver": driver,
        "cuda": cupy.cuda.runtime.runtimeGetVersion(),
        "cupy": cupy.__version__,
    }
