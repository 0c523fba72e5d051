# SPDX-License-Identifier: Apache-2.0
"""Litmus tests as CUDA: a kernel for each test and scope, checked in its machine code."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any, Literal

import numpy as np
from descring_sim.gen import nvrtc

from labkit.lab import NotObservableError
from labkit.litmus.program import Fence, Load, Op, Outcome, Store, Test
from labkit.native import HERE, LabError

Scope = Literal["block", "device", "system"]
Memory = Literal["GPU", "host"]
PTX_SCOPE = {"block": "cta", "device": "gpu", "system": "sys"}
"""How PTX names a scope."""
_SASS_SCOPE = {"block": "SM", "device": "GPU", "system": "SYS"}
"""And how the machine code does."""
THREADS = 1024
_KEYS = 256
_LIMIT_NS = 5_000_000_000
_WINDOWS = (1, 64, 512, 2048)
"""Cycles in which the warps begin a step; one is drawn for each run."""


@dataclass(frozen=True)
class Placed:
    """A test with the scope of its accesses and fences, and where its threads and locations are.

    Attributes:
        apart: its threads are in different blocks, on different multiprocessors.
        memory: of the GPU, or of the host across PCIe.
    """

    test: Test
    scope: Scope
    apart: bool
    memory: Memory = "GPU"

    @property
    def place(self) -> str:
        """All but the test."""
        blocks = "blocks apart" if self.apart else "one block"
        memory = ", host memory" if self.memory == "host" else ""
        return f"{self.scope} scope, {blocks}{memory}"

    @property
    def name(self) -> str:
        """Unique among the tests."""
        return f"{self.test.name}, {self.place}"

    @property
    def weak(self) -> Outcome:
        """The outcome that the test is about."""
        return self.test.weak

    @property
    def inclusive(self) -> bool:
        """Whether the scope includes all threads."""
        return self.scope != "block" or not self.apart


def symbol(test: Test, scope: Scope) -> str:
    """Of the kernel of a test."""
    return "litmus_" + re.sub(r"\W+", "_", f"{test.name} {scope}".lower())


def _statement(op: Op, test: Test, scope: Scope) -> str:
    name = PTX_SCOPE[scope]
    if isinstance(op, Fence):
        text = {"seq_cst": f"fence.sc.{name};", "light": ""}[op.kind]
        return f'asm volatile("{text}" ::: "memory");'
    place = "xy"[test.locations().index(op.location)]
    if isinstance(op, Store):
        return (
            f'asm volatile("st.{op.order}.{name}.u32 [%0], %1;" '
            f':: "l"({place}), "r"({op.value}) : "memory");'
        )
    return (
        f"unsigned {op.register}; "
        f'asm volatile("ld.{op.order}.{name}.u32 %0, [%1];" '
        f': "=r"({op.register}) : "l"({place}) : "memory");'
    )


def _registers(test: Test, thread: int) -> list[str]:
    """Those of a thread, in the order in which it returns them."""
    return [op.register for op in test.threads[thread] if isinstance(op, Load)]


def _function(test: Test, scope: Scope, thread: int) -> str:
    body = "\n".join(f"  {_statement(op, test, scope)}" for op in test.threads[thread])
    parts = [f"{name} << VALUE_BITS * {k}" for k, name in enumerate(_registers(test, thread))]
    return (
        f"static __device__ __noinline__ unsigned {symbol(test, scope)}_t{thread}"
        f"(unsigned *x, unsigned *y) {{\n{body}\n  return {' | '.join(parts) or '0'};\n}}\n"
    )


def _choice(name: str, values: Sequence[int]) -> str:
    cases = "".join(f"case {k}: return {value}; " for k, value in enumerate(values))
    return (
        f"  static __device__ int {name}(int k) {{ switch (k) {{ {cases}default: return 0; }} }}\n"
    )


def _kernel(test: Test, scope: Scope) -> str:
    name = symbol(test, scope)
    owners, places = [], []
    for register in test.registers():
        for number in range(len(test.threads)):
            if register in _registers(test, number):
                owners.append(number)
                places.append(_registers(test, number).index(register))
    cases = "".join(
        f"case {number}: return {name}_t{number}(x, y); " for number in range(len(test.threads))
    )
    return (
        "\n".join(_function(test, scope, number) for number in range(len(test.threads)))
        + f"struct {name}_test {{\n  enum {{ THREADS = {len(test.threads)}, "
        f"REGISTERS = {len(test.registers())}, FINALS = {len(test.final)} }};\n"
        + _choice("owner", owners)
        + _choice("place", places)
        + _choice("final", [test.locations().index(location) for location in test.final])
        + "  static __device__ unsigned thread(int part, unsigned *x, unsigned *y) {\n"
        f"    switch (part) {{ {cases}default: return 0; }}\n  }}\n}};\n"
        f'extern "C" __global__ void __launch_bounds__({THREADS}) {name}(\n'
        f"    const litmus_run_t *run) {{\n  litmus<{name}_test>(run);\n}}\n"
    )


def source(tests: Sequence[tuple[Test, Scope]]) -> str:
    """The CUDA program of these tests."""
    harness = (HERE / "litmus.cu").read_text(encoding="utf-8")
    return harness + "\n" + "\n".join(_kernel(test, scope) for test, scope in tests)


def _instruction(op: Op, scope: Scope) -> tuple[str, ...]:
    """An access or fence as nvdisasm prints it: patterns that follow each other."""
    name = _SASS_SCOPE[scope]
    fence = "CTA" if scope == "block" else name
    own_cache = () if scope == "block" else (r"^CCTL\.IVALL",)
    if isinstance(op, Fence):
        return (rf"^MEMBAR\.SC\.{fence}", *own_cache) if op.kind == "seq_cst" else ()
    if isinstance(op, Store):
        before = (rf"^MEMBAR\.ALL\.{fence}",) if op.order == "release" else ()
        return (*before, rf"^ST\.E\.STRONG\.{name}\b")
    return (rf"^LD\.E\.STRONG\.{name}\b", *(own_cache if op.order == "acquire" else ()))


_ORDERING = re.compile(r"^(LD|ST|MEMBAR|CCTL|ATOM|RED)[.]")


def disassembly(cubin: bytes) -> str:
    """What nvdisasm prints of it; raises ``LabError``."""
    program = shutil.which("nvdisasm")
    if program is None:
        raise LabError(
            "expected nvdisasm on PATH; install the CUDA toolkit or nvidia-cuda-nvdisasm"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "litmus.cubin"
        file.write_bytes(cubin)
        done = subprocess.run([program, "-c", str(file)], capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"nvdisasm: expected exit code 0, got {done.returncode}: {done.stderr}")
    return done.stdout


def check(listing: str, tests: Sequence[tuple[Test, Scope]]) -> None:
    """Each thread has exactly its accesses and fences, in the order of the test.

    Raises:
        LabError: the compiler moved, added or dropped one.
    """
    functions = {}
    for block in re.split(r"^(?=\S+:$)", listing, flags=re.MULTILINE):
        label, _, body = block.partition("\n")
        functions[label] = re.findall(r"\*/ +(?:@\S+ )?([^;]*?) *;", body)
    for test, scope in tests:
        for number, thread in enumerate(test.threads):
            name = f"{symbol(test, scope)}_t{number}E"
            found = [body for label, body in functions.items() if name in label]
            accesses = [text for body in found for text in body if _ORDERING.match(text)]
            needs = [pattern for op in thread for pattern in _instruction(op, scope)]
            good = len(accesses) == len(needs) and all(map(re.match, needs, accesses))
            if len(found) != 1 or not good:
                raise LabError(
                    f"{test.name}, {scope} scope, thread {number}: expected {' .. '.join(needs)}, "
                    f"got {'; '.join(accesses) or 'no function'}"
                )


_RUN = np.dtype(
    [
        ("at", np.uint64, 2),
        ("reads", np.uint64),
        ("counted", np.uint64),
        ("arrived", np.uint64),
        ("places", np.uint64),
        ("steps", np.uint32),
        ("shift", np.uint32),
        ("factor", np.uint32, 2),
        ("offset", np.uint32, 2),
        ("window", np.uint32),
        ("seed", np.uint32),
        ("limit_ns", np.uint64),
    ],
    align=True,
)
"""``litmus_run_t``."""
_LARGEST_FACTOR = 1 << 14
"""Times an instance, of which there are fewer than 2**18, it stays below 2**32."""


class Gpu:
    """The first GPU with the kernels of these tests, disassembled and checked.

    Raises:
        NotObservableError: there is no CuPy, or no GPU.
        LabError: expected the accesses of a test in its machine code, got others.
    """

    def __init__(self, tests: Sequence[Placed]) -> None:
        try:
            import cupy

            cupy.cuda.runtime.getDeviceCount()
        except Exception as error:
            raise NotObservableError(f"expected cupy and a GPU: {error}") from error
        self._cupy = cupy
        device = cupy.cuda.Device()
        self.name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
        self.blocks = int(device.attributes["MultiProcessorCount"])
        programs = sorted({(t.test, t.scope) for t in tests}, key=lambda item: symbol(*item))
        text = source(programs)
        compiled = nvrtc.compile_program(text, {}, arch=f"sm_{device.compute_capability}")
        if not compiled.cubin:
            raise LabError(f"litmus.cu: the compiler refuses:\n{compiled.log}")
        check(disassembly(compiled.cubin), programs)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "litmus.cubin"
            file.write_bytes(compiled.cubin)
            self._module = cupy.RawModule(path=str(file))
            self._module.compile()
        words = self.blocks * THREADS
        self._words = cupy.zeros(3 * words + 1 + self.blocks, dtype=cupy.uint32)
        self._counted = cupy.zeros(_KEYS + 1, dtype=cupy.uint64)
        self._run = cupy.zeros(_RUN.itemsize, dtype=cupy.uint8)
        self._host = cupy.cuda.runtime.hostAlloc(8 * words, 3)
        ctypes.memset(self._host, 0, 8 * words)

    def _drawn(self, placed: Placed, turns: int, random: np.random.Generator) -> Any:
        """The parameters of a run, and the number of instances of a step."""
        threads = len(placed.test.threads)
        instances = self.blocks * (THREADS // 32 // threads) * 32
        run = np.zeros(1, dtype=_RUN)
        words, width = self._words.data.ptr, 4 * self.blocks * THREADS
        first = self._host if placed.memory == "host" else words
        run["at"][0] = first, first + width
        run["reads"], run["arrived"] = words + 2 * width, words + 3 * width
        run["places"], run["counted"] = words + 3 * width + 4, self._counted.data.ptr
        run["steps"] = -(-turns // instances)
        run["shift"] = random.integers(1, self.blocks // threads + 1) if placed.apart else 0
        for at in range(2):
            # Side by side, or each on a line of its own.
            factor = 1
            while random.integers(2) or gcd(factor, instances) > 1:
                factor = int(random.integers(1, _LARGEST_FACTOR))
            run["factor"][0, at] = factor
        run["offset"][0] = random.integers(0, instances, 2)
        run["window"] = random.choice(_WINDOWS)
        run["seed"] = random.integers(1, 1 << 32)
        run["limit_ns"] = _LIMIT_NS
        return run

    def run(
        self, placed: Placed, turns: int, random: np.random.Generator
    ) -> tuple[dict[Outcome, int], float]:
        """Run a test at least so often: how often each outcome was seen, and ns of a turn.

        Raises:
            LabError: blocks did not meet, or shared a multiprocessor.
        """
        run = self._drawn(placed, turns, random)
        self._run.set(run.view(np.uint8).reshape(-1))
        self._counted.fill(0)
        arrived = 3 * self.blocks * THREADS
        self._words[arrived:].fill(0)
        kernel = self._module.get_function(symbol(placed.test, placed.scope))
        self._cupy.cuda.runtime.deviceSynchronize()
        start = time.perf_counter_ns()
        kernel((self.blocks,), (THREADS,), (self._run,))
        self._cupy.cuda.runtime.deviceSynchronize()
        took = time.perf_counter_ns() - start
        counted = self._counted.get()
        places = {*self._words[arrived + 1 :].get().tolist()}
        if counted[_KEYS] or len(places) != self.blocks:
            raise LabError(
                f"{placed.name}: expected {self.blocks} blocks that meet, each on a "
                f"multiprocessor, got {counted[_KEYS]} late ones on {len(places)}"
            )
        names = placed.test.names()
        outcomes = {
            tuple((name, key >> 2 * (len(names) - 1 - k) & 3) for k, name in enumerate(names)): int(
                counted[key]
            )
            for key in map(int, np.flatnonzero(counted[:_KEYS]))
        }
        return outcomes, took / sum(outcomes.values())
