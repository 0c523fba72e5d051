# SPDX-License-Identifier: Apache-2.0
"""The engine's kernels on the CPU: a machine whose memory is this process's."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_cuda.kernels import folders
from emulated import EMULATOR, compile_kernels

ENGINE_EMULATOR = EMULATOR.with_name("engine.cc")
SCALED_CHECK = EMULATOR.with_name("scaled_check.cc")
ENGINE_FLAGS = ("-ffp-contract=off", "-mf16c", "-mfma", f"-I{EMULATOR.parent}")
_ALIGNMENT = 256


def build_engine(folder: Path, kernels: Path | None = None, *extra: str) -> Path:
    """Compile the engine's kernels (default: the tree's); its path."""
    target = folder / "engine.so"
    compile_kernels(ENGINE_EMULATOR, target, kernels, "-shared", "-fPIC", *ENGINE_FLAGS, *extra)
    return target


def scaled_faults(
    folder: Path, kernels: Path | None = None, *extra: str, seed: int = 1, temperatures: int = 20
) -> str:
    """The first logit that is divided, or turned into fixed point, wrongly; empty: none."""
    target = folder / "scaled_check"
    compile_kernels(SCALED_CHECK, target, kernels, *ENGINE_FLAGS, *extra)
    done = subprocess.run([target, str(seed), str(temperatures)], capture_output=True, text=True)
    return done.stderr if done.returncode == 0 else done.stderr or f"exit code {done.returncode}"


_FOLDER = tempfile.TemporaryDirectory()


@functools.cache
def engine_library() -> Path:
    """The tree's engine, compiled once a process."""
    assert folders()
    return build_engine(Path(_FOLDER.name))


class EmulatedMachine:
    """A :class:`descring_cuda.machine.Machine` on the CPU."""

    blocks = 3

    def __init__(self, library: Path | None = None) -> None:
        self._library = ctypes.CDLL(str(library or engine_library()))
        self._memory: dict[int, npt.NDArray[np.uint8]] = {}

    def allocate(self, size: int) -> int:
        """See :class:`descring_cuda.machine.Machine`."""
        spare = self.host_array(size + _ALIGNMENT)
        address = spare.ctypes.data + -spare.ctypes.data % _ALIGNMENT
        self._memory[address] = spare
        return address

    def free(self, address: int) -> None:
        """See :class:`descring_cuda.machine.Machine`."""
        del self._memory[address]

    def host_array(self, size: int) -> npt.NDArray[np.uint8]:
        """See :class:`descring_cuda.machine.Machine`."""
        return np.zeros(size, dtype=np.uint8)

    def write(self, address: int, data: npt.NDArray[Any]) -> None:
        """See :class:`descring_cuda.machine.Machine`."""
        ctypes.memmove(address, data.ctypes.data, data.nbytes)

    def read(self, address: int, data: npt.NDArray[Any]) -> None:
        """See :class:`descring_cuda.machine.Machine`."""
        ctypes.memmove(data.ctypes.data, address, data.nbytes)

    def launch(self, kernel: str, blocks: int, threads: int, *arguments: int | np.generic) -> None:
        """See :class:`descring_cuda.machine.Machine`."""
        words = (ctypes.c_uint64 * len(arguments))(*(int(item) for item in arguments))
        assert self._library.hwe_emulate(kernel.encode(), blocks, threads, words), kernel

    def repeated(self, work: Callable[[], None]) -> Callable[[], None]:
        """See :class:`descring_cuda.machine.Machine`."""
        return work

    def synchronize(self) -> None:
        """See :class:`descring_cuda.machine.Machine`."""
